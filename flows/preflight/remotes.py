"""DVC's remotes: named, with what their kind needs, and answering within a second, or said not to. Nothing is sent but a knock."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flows.preflight.finding import Finding, ok, warning
from flows.storage import clients

TOPIC = "remotes"
KNOCK = 1.0  # seconds
PORTS = {"ssh": 22, "http": 80, "https": 443, "webdav": 80, "webdavs": 443}
SERVICES = {"s3": "https://s3.amazonaws.com", "gs": "https://storage.googleapis.com"}
# Where credentials of each kind may stand, beside DVC's own configuration: variables, and files in the home folder.
VARIABLES = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS",),
    "azure": ("AZURE_STORAGE_CONNECTION_STRING",),
}
FILES = {"s3": ".aws/credentials", "gs": ".config/gcloud/application_default_credentials.json", "azure": ".azure/azureProfile.json"}
OPTIONS = {
    "s3": ("access_key_id", "profile", "credentialpath"),
    "gs": ("credentialpath",),
    "azure": ("connection_string", "account_key", "sas_token", "client_secret"),
}


def findings() -> Iterator[Finding]:
    """A line each."""
    from dvc.config import Config, ConfigError

    try:
        remotes = Config(str(Path(".dvc").absolute()), validate=False).get("remote", {})
    except ConfigError as fault:
        yield warning(TOPIC, " ".join(str(fault).split()))
        return
    if not remotes:
        yield ok(TOPIC, "none: data and models stay on this machine")
    for name, options in remotes.items():
        odd = _fault(options)
        yield warning(TOPIC, f"{name}: {odd}") if odd else ok(TOPIC, f"{name}: {_shown(options['url'])}")


def _shown(url: str) -> str:
    """The address without a password in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.password else url


def _fault(options: Mapping[str, Any]) -> str:
    """Why the remote cannot be used now; nothing where it seems that it can."""
    url = str(options.get("url", ""))
    scheme = clients.scheme(url)
    if not url:
        return "no url; run `dvc remote modify NAME url URL`"
    if not scheme:
        return _folder(Path(url.removeprefix("file://")))
    if extra := clients.missing(url):
        return f"{_shown(url)} needs dvc-{extra}; {clients.remedy(extra)}"
    if scheme in VARIABLES and not _has_credentials(scheme, options):
        return f"{_shown(url)}: no credentials; set {VARIABLES[scheme][0]}, or `dvc remote modify --local`"
    return _knock(scheme, url, options)


def _folder(path: Path) -> str:
    """Of a remote that is a folder, which DVC makes when it first pushes."""
    place = path if path.is_absolute() else Path(".dvc") / path
    there = next(above for above in (place.absolute(), *place.absolute().parents) if above.exists())
    if not os.access(there, os.W_OK):
        return f"{path}: not writable"
    return "" if there == place.absolute() or there == place.absolute().parent else f"{path}: not there; is a disk not mounted?"


def _has_credentials(scheme: str, options: Mapping[str, Any]) -> bool:
    given = any(options.get(name) for name in OPTIONS[scheme]) or any(os.environ.get(name) for name in VARIABLES[scheme])
    return given or bool(options.get("allow_anonymous_login")) or (Path.home() / FILES[scheme]).is_file()


def _knock(scheme: str, url: str, options: Mapping[str, Any]) -> str:
    """Whether anybody listens at the remote's address."""
    at = urlsplit(str(options.get("endpointurl") or SERVICES.get(scheme) or url))
    port = at.port or options.get("port") or PORTS.get(at.scheme)
    if not at.hostname or not port:
        return ""
    try:
        socket.create_connection((at.hostname, int(port)), KNOCK).close()
    except OSError as error:
        return f"{at.hostname} not reached ({error.strerror or 'no answer within a second'}); what is pushed waits for it"
    return ""
