"""A Hugging Face Hub to upload to: it speaks what `huggingface_hub` asks of one for a dataset repository, and refuses all else.

Commits, tags and files are kept as the Hub keeps them, small ones in the commit, Parquet by its digest through the LFS protocol.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_right"
LARGE = ".parquet"
Answer = tuple[int, Any]


@dataclass
class Hub:
    """What one repository of the Hub holds, and how it answers."""

    url: str = ""
    repo: str = ""  # its name once it was made
    private: bool | None = None
    commits: list[dict[str, bytes]] = field(default_factory=list)  # the files after each
    messages: list[str] = field(default_factory=list)
    tags: dict[str, int] = field(default_factory=dict)  # name -> commit
    objects: dict[str, bytes] = field(default_factory=dict)  # digest -> large file
    asked: list[str] = field(default_factory=list)
    down: int = 0  # the status that everything is answered with
    races: int = 0  # commits that are answered as if somebody else had committed first

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """The answer to a request that brought the right token."""
        for pattern, work in ROUTES:
            if found := re.fullmatch(pattern, f"{method} {path}"):
                return work(self, body, *map(unquote, found.groups()))
        return 400, {"error": f"nothing that this Hub knows: {method} {path}"}

    def oid(self, number: int) -> str:
        """The name of a commit."""
        return f"{number:040x}"


def _create(hub: Hub, body: bytes) -> Answer:
    asked = json.loads(body)
    assert asked["type"] == "dataset"
    if hub.repo:
        return 409, {"error": "You already created this dataset repo", "url": f"{hub.url}/datasets/{hub.repo}"}
    hub.repo, hub.private = f"{asked['organization']}/{asked['name']}", asked.get("visibility") == "private"
    hub.commits.append({".gitattributes": b"*.parquet filter=lfs\n"})
    return 200, {"url": f"{hub.url}/datasets/{hub.repo}"}


def _info(hub: Hub, body: bytes, revision: str = "main") -> Answer:
    at = len(hub.commits) - 1 if revision == "main" else int(revision, 16)
    files = [{"rfilename": name} for name in hub.commits[at]]
    return 200, {"id": hub.repo, "private": hub.private, "sha": hub.oid(at), "siblings": files, "tags": [], "downloads": 0, "likes": 0}


def _tree(hub: Hub, body: bytes) -> Answer:
    return 200, [{"type": "file", "path": name, "size": len(data), "oid": "0" * 40} for name, data in hub.commits[-1].items()]


def _refs(hub: Hub, body: bytes) -> Answer:
    main = {"name": "main", "ref": "refs/heads/main", "targetCommit": hub.oid(len(hub.commits) - 1)}
    tags = [{"name": name, "ref": f"refs/tags/{name}", "targetCommit": hub.oid(at)} for name, at in hub.tags.items()]
    return 200, {"branches": [main], "tags": tags, "converts": []}


def _card(hub: Hub, body: bytes) -> Answer:
    asked = json.loads(body)
    assert asked["repoType"] == "dataset"
    told = asked["content"].startswith("---\n")
    return (200, {"errors": [], "warnings": []}) if told else (400, {"errors": [{"message": "no metadata"}]})


def _modes(hub: Hub, body: bytes) -> Answer:
    files = [one["path"] for one in json.loads(body)["files"]]
    return 200, {
        "files": [{"path": name, "uploadMode": "lfs" if name.endswith(LARGE) else "regular", "shouldIgnore": False} for name in files]
    }


def _batch(hub: Hub, body: bytes, repo: str) -> Answer:
    def told(one: dict[str, Any]) -> dict[str, Any]:
        wanted = {} if one["oid"] in hub.objects else {"actions": {"upload": {"href": f"{hub.url}/objects/{one['oid']}"}}}
        return {"oid": one["oid"], "size": one["size"], **wanted}

    return 200, {"transfer": "basic", "objects": [told(one) for one in json.loads(body)["objects"]]}


def _object(hub: Hub, body: bytes, digest: str) -> Answer:
    assert hashlib.sha256(body).hexdigest() == digest
    hub.objects[digest] = body
    return 200, {}


def _commit(hub: Hub, body: bytes) -> Answer:
    head, *changes = [json.loads(line) for line in body.splitlines()]
    if hub.races or head["value"]["parentCommit"] != hub.oid(len(hub.commits) - 1):
        hub.races -= 1
        return 412, {"error": "A commit has happened since. Please refresh and try again."}
    files = dict(hub.commits[-1])
    for one in changes:
        value = one["value"]
        if one["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif one["key"] == "lfsFile":
            files[value["path"]] = hub.objects[value["oid"]]
        else:
            assert one["key"] == "deletedFile"
            del files[value["path"]]
    hub.commits.append(files)
    hub.messages.append(head["value"]["summary"])
    oid = hub.oid(len(hub.commits) - 1)
    return 200, {"success": True, "commitOid": oid, "commitUrl": f"{hub.url}/datasets/{hub.repo}/commit/{oid}"}


def _tag(hub: Hub, body: bytes, revision: str) -> Answer:
    name = json.loads(body)["tag"]
    if name in hub.tags:
        return 409, {"error": "Tag already exists"}
    hub.tags[name] = int(revision, 16)
    return 200, {}


REPO = "/api/datasets/[^/]+/[^/]+"
ROUTES = (
    ("POST /api/repos/create", _create),
    (f"GET {REPO}", _info),
    (f"GET {REPO}/revision/([^/]+)", _info),
    (f"GET {REPO}/tree/main", _tree),
    (f"GET {REPO}/refs", _refs),
    ("POST /api/validate-yaml", _card),
    (f"POST {REPO}/preupload/main", _modes),
    (r"POST /datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch", _batch),
    ("PUT /objects/([0-9a-f]{64})", _object),
    (f"POST {REPO}/commit/main", _commit),
    (f"POST {REPO}/tag/([^/]+)", _tag),
)


@contextmanager
def serving() -> Iterator[Hub]:
    """A running Hub with nothing in it."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path
            hub.asked.append(f"{self.command} {path}")
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}" or path.startswith("/objects/")
            code, told = hub.answer(self.command, path, body) if known else (401, {"error": "Invalid username or password."})
            data = json.dumps(told).encode()
            self.send_response(hub.down or code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _do  # noqa: N815 (names that the server asks for)

        def log_message(self, *arguments: object) -> None:
            """Nothing on the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield hub
        server.shutdown()
