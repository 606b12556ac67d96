"""The salt that people's ids are hashed with: there, nobody else's to read, and the one of the last run."""

from __future__ import annotations

from collections.abc import Iterator

from flows.preflight.finding import Finding, error, ok, warning
from tasks.common import log_salt, salt
from tasks.core import pipeline
from tasks.core.errors import UserError

TOPIC = "salt"


def findings() -> Iterator[Finding]:
    """One line, and one more where others may read the secret."""
    reader = next((stage for stage in pipeline.stages().values() if any(path.name == salt.FINGERPRINT for path in stage.code)), None)
    if reader is None:
        return
    secret = salt.FOLDER / salt.SECRET
    try:
        due, last = log_salt.due(reader.data[0]), salt.last_fingerprint()
    except UserError as fault:
        yield error(TOPIC, fault)
        return
    if not salt.given() and secret.exists() and (mode := secret.stat().st_mode & 0o777) & log_salt.OTHERS_MAY_READ:
        yield warning(TOPIC, UserError(str(secret), f"mode {mode:04o}", "0600: the salt is its owner's only", f"run `chmod 600 {secret}`"))
    yield _compared(due, last)


def _compared(due: str | None, last: str | None) -> Finding:
    """The salt that would be used, against the one of the last run, whose fingerprint git keeps."""
    known = salt.FOLDER / salt.FINGERPRINT
    public = salt.fingerprint(salt.PUBLIC)
    if due is None and last not in (None, public):
        fault = UserError(
            str(salt.FOLDER / salt.SECRET),
            "no such file",
            f"the salt whose fingerprint is in {known}",
            "put the salt of earlier runs there; a new one gives every person a new id",
        )
        return warning(TOPIC, fault)
    if due is None:
        return ok(TOPIC, "none yet: the first run makes a secret one")
    if last not in (None, public, due):
        fault = UserError(str(known), str(last), f"{due}, the salt that is due", "people get other ids than in the last run")
        return warning(TOPIC, fault)
    if due == public:
        return ok(TOPIC, "the public one of the sample, whose people are invented")
    return ok(TOPIC, "secret, and the one of the last run" if last == due else "secret, and new: no run has used it yet")
