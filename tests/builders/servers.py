"""Real servers that hold DVC's remotes, started from packages: S3 (moto), SSH (OpenSSH) and WebDAV (WsgiDAV), each behind a gate.

Each has two places, `shared` and `private`. What a package lacks that starts one skips the test and says so.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from getpass import getuser
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.builders.browser import wait_for
from tests.builders.served import free_port

PLACES = ("shared", "private")
SSHD = Path("/usr/sbin/sshd")
ROOM = "2m"  # of the disk below a server's folders, so that a test can fill it
Options = dict[str, str]


class Gate:
    """A port that leads to a server's own, and can be shut: then nobody answers there, and what was connected is cut."""

    def __init__(self, behind: int) -> None:
        self.port, self.behind = free_port(), behind
        self.open()

    def open(self) -> None:
        """Let everybody through."""
        self.listening = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.joined: list[socket.socket] = []
        threading.Thread(target=self._let_in, args=(self.listening,), daemon=True).start()

    def shut(self) -> None:
        """Cut all connections and refuse new ones."""
        for one in (self.listening, *self.joined):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _let_in(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
                far = socket.create_connection(("127.0.0.1", self.behind))
            except OSError:
                return
            self.joined += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=(source, sink), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@dataclass
class Server:
    """A running server."""

    kind: str
    gate: Gate
    url: str  # of a place, with `{}` for its name
    options: Options  # what a client says to be let in
    wrong: Options  # the same, and nobody is let in
    holds: Callable[[str], list[bytes]]  # every object of a place
    disk: Path | None = None  # what its places lie on where that is a small disk of its own

    def remote(self, name: str, place: str, options: Options | None = None) -> str:
        """Lines of DVC's configuration that name a place of this server."""
        lines = {"url": self.url.format(place), **(self.options if options is None else options)}
        return "".join([f"['remote \"{name}\"']\n", *(f"    {key} = {value}\n" for key, value in lines.items())])

    @contextmanager
    def full(self) -> Iterator[None]:
        """No room is left on its disk meanwhile."""
        assert self.disk
        filler = self.disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as stream:
            while stream.write(bytes(4096)):
                pass
        try:
            yield
        finally:
            filler.unlink()


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[Server]:
    """A server of this kind with its files below the folder."""
    with SERVERS[kind](folder) as server:
        yield server
        with contextlib.suppress(OSError):
            server.gate.shut()


@contextmanager
def _running(command: list[str], port: int, log: Path, **more: str) -> Iterator[None]:
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=os.environ | more)
    try:
        wait_for(lambda: _listens(port) or process.poll() is not None, lambda: f"no server: {log.read_text()}", 60)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _needs(*modules: str) -> None:
    for name in modules:
        if find_spec(name) is None:
            pytest.skip(f"needs {name}: pip install -r locks/servers.txt")


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """A disk of its own in the folder, where this user may mount one."""
    folder.mkdir()
    mounted = (
        os.getuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
    )
    for place in PLACES:
        (folder / place).mkdir()
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _files(folder: Path) -> Callable[[str], list[bytes]]:
    return lambda place: [path.read_bytes() for path in sorted((folder / place).rglob("*")) if path.is_file()]


@contextmanager
def _s3(folder: Path) -> Iterator[Server]:
    """Moto's server, which knows one user and lets nobody else in."""
    _needs("dvc_s3", "moto", "flask", "flask_cors")
    import boto3

    port = free_port()
    keys = {"aws_access_key_id": "first", "aws_secret_access_key": "first", "region_name": "us-east-1"}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port, folder / "moto.log"):
        own = f"http://127.0.0.1:{port}"
        people = boto3.client("iam", endpoint_url=own, **keys)
        people.create_user(UserName="desk")
        policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
        people.put_user_policy(UserName="desk", PolicyName="all", PolicyDocument=policy)
        made = people.create_access_key(UserName="desk")["AccessKey"]
        gate = Gate(port)
        options = {"access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"]}
        for place in PLACES:
            boto3.client("s3", endpoint_url=own, **keys).create_bucket(Bucket=place)
        closed = urllib.request.Request(f"{own}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})
        urllib.request.urlopen(closed, timeout=30).close()

        def holds(place: str) -> list[bytes]:
            client = boto3.client(
                "s3", endpoint_url=own, region_name="us-east-1", **{f"aws_{key}": value for key, value in options.items()}
            )
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=place)
            found = [one["Key"] for page in pages for one in page.get("Contents", [])]
            return [client.get_object(Bucket=place, Key=key)["Body"].read() for key in found]

        more = {"endpointurl": f"http://127.0.0.1:{gate.port}", "region": "us-east-1", "read_timeout": "10", "connect_timeout": "10"}
        wrong = {**options, "secret_access_key": "x" * 40}
        yield Server("s3", gate, "s3://{}/objects", options | more, wrong | more, holds)


@contextmanager
def _ssh(folder: Path) -> Iterator[Server]:
    """OpenSSH's server with a host key of its own, which knows one key."""
    _needs("dvc_ssh")
    if not SSHD.is_file():
        pytest.skip(f"needs {SSHD}: apt-get install openssh-server")
    for name in ("host", "known", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "known.pub", folder / "authorized")
    port = free_port()
    said = {
        "ListenAddress": "127.0.0.1", "Port": port, "HostKey": folder / "host", "AuthorizedKeysFile": folder / "authorized",
        "PidFile": "none", "StrictModes": "no", "UsePAM": "no", "PasswordAuthentication": "no", "PermitRootLogin": "yes",
        "Subsystem": "sftp internal-sftp",
    }  # fmt: skip
    (folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in said.items()))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (
        _small_disk(folder / "disk") as disk,
        _running([str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")], port, folder / "sshd.log"),
    ):
        gate = Gate(port)
        options = {"user": getuser(), "port": str(gate.port), "allow_agent": "false"}
        url = f"ssh://127.0.0.1{folder}/disk/{{}}"
        known, stranger = (options | {"keyfile": str(folder / name)} for name in ("known", "stranger"))
        yield Server("ssh", gate, url, known, stranger, _files(folder / "disk"), disk)


DAV = """
import sys
from cheroot.wsgi import Server
from wsgidav.wsgidav_app import WsgiDAVApp
port, folder = int(sys.argv[1]), sys.argv[2]
people = {"*": {"desk": {"password": "right"}}}
app = WsgiDAVApp({"provider_mapping": {"/": folder}, "simple_dc": {"user_mapping": people}, "logging": {"enable": True}})
Server(("127.0.0.1", port), app).start()
"""


@contextmanager
def _webdav(folder: Path) -> Iterator[Server]:
    """WsgiDAV, which knows one password."""
    _needs("dvc_webdav", "wsgidav", "cheroot")
    port = free_port()
    command = [sys.executable, "-c", DAV, str(port), str(folder / "disk")]
    with _small_disk(folder / "disk") as disk, _running(command, port, folder / "dav.log"):
        gate = Gate(port)
        url = f"webdav://127.0.0.1:{gate.port}/{{}}"
        right, wrong = ({"user": "desk", "password": password} for password in ("right", "wrong"))
        yield Server("webdav", gate, url, right, wrong, _files(folder / "disk"), disk)


SERVERS = {"s3": _s3, "ssh": _ssh, "webdav": _webdav}
