"""Cleaning: `clean`."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from pairwright._defaults import Params, salt_of, settings
from pairwright._read import Logs, Source, read_logs
from pairwright._tables import Result, Rows, frames, is_table, step_of, table_of
from tasks.clean import stage as stage
from tasks.common import salt as salts
from tasks.core.errors import UserError
from tasks.core.tables import Feedback, Turns


@dataclass(frozen=True, repr=False)
class Cleaned(Logs):
    """Turns and feedback, repaired, redacted and with their languages; broken messages are dropped."""


CHATS = ("turns", "feedback")


def chats_of(
    source: Source | Result, feedback: Rows | None, where: str, salt: str | None, params: Params | None, names: tuple[str, ...] = CHATS
) -> tuple[dict[str, pa.Table], str]:
    """The tables turns and feedback (or as many of `names` as there are) of whatever a step is given, and the salt behind them."""
    if feedback is None and not isinstance(source, Result) and not is_table(source, Turns):
        source = read_logs(source, salt=salt, params=params)
    if isinstance(source, Result):
        kept = source.steps[-1].kept
        if not set(CHATS) <= set(kept):
            found = f"the result of a later step ({type(source).__name__})"
            raise UserError(where, found, "logs, or turns and feedback", "pass what an earlier step returned")
        return {name: kept[name] for name in names if name in kept}, salt or getattr(source, "_salt", "") or salt_of(None)
    told = [] if feedback is None else feedback
    return {"turns": table_of(source, Turns, f"{where}: turns"), "feedback": table_of(told, Feedback, f"{where}: feedback")}, salt_of(salt)


def clean(
    source: Source | Result,
    feedback: Rows | None = None,
    *,
    salt: str | None = None,
    params: Params | None = None,
    **own: object,
) -> Cleaned:
    """Repair text, drop empty and broken answers, redact personal data and secrets, identify languages.

    Parameters
    ----------
    source : Logs, logs as `read_logs` takes them, or turns
        Turns (with `feedback` beside them) are rows with the columns of `Logs.turns`, as a list of dicts, pandas or Arrow.
    feedback : list of dicts, pandas.DataFrame or pyarrow.Table, optional
        Rows with the columns of `Logs.feedback`, where `source` are turns.
    salt : str, optional
        As in `read_logs`; by default that of the logs.
    params : mapping, optional
        Other parameters than the shipped ones, by stage, as in `params.yaml`.
    **own
        Parameters of the stage `clean` by name, for instance `redact` (a list of kinds) or `reasoning` ("drop" or "keep").

    Returns
    -------
    Cleaned
        `turns` and `feedback` that stay; `dropped` says for which reason the others went.

    Raises
    ------
    UserError
        For rows without the columns of their table, and for parameters that the stage does not know.

    Examples
    --------
    >>> import pairwright
    >>> chat = {"id": "a", "messages": [{"role": "user", "content": "Mail me at ann@example.com"}, {"role": "assistant", "content": ""}]}
    >>> cleaned = pairwright.clean([chat])
    >>> cleaned.turns["content"].to_pylist()
    ['Mail me at [EMAIL_1]']
    >>> cleaned.dropped.select(["id", "reason"]).to_pylist()
    [{'id': 'jsonl:a/0001', 'reason': 'empty'}]
    """
    tables, key = chats_of(source, feedback, "clean", salt, params, (*CHATS, "files"))
    with salts.using(key):
        result = stage.run(frames(tables), settings("clean", stage.Params, params, own))
        return Cleaned((step_of("clean", result, tables, stage.WRITES),), key)
