"""A receiver of OpenLineage events, which holds each against the specification's schemas."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource

SCHEMAS = Path(__file__).parent.parent / "openlineage"
Event = dict[str, Any]


def _documents() -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(SCHEMAS.glob("*.json"))]


REGISTRY: Registry[Any] = Registry().with_resources((one["$id"], Resource.from_contents(one)) for one in _documents())


def check(event: Event) -> None:
    """Raise unless the event and each facet in it are as the schemas that they name say."""
    _validator(event["schemaURL"]).validate(event)
    for facet in _facets(event):
        _validator(facet["_schemaURL"]).validate(facet)


def _validator(url: str) -> Any:
    return jsonschema.Draft202012Validator({"$ref": url}, registry=REGISTRY, format_checker=jsonschema.FormatChecker())


def _facets(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "_schemaURL" in value:
            yield value
        for inner in value.values():
            yield from _facets(inner)
    for inner in value if isinstance(value, list) else []:
        yield from _facets(inner)


@dataclass
class Received:
    """What came in."""

    url: str = ""
    events: list[Event] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    fails: int = 0  # tries that are still answered with 503


@contextmanager
def receiving(fails: int = 0) -> Iterator[Received]:
    """A server on this machine that takes events in; the first `fails` tries are refused."""
    got = Received(fails=fails)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(self._take(json.loads(body)))
            self.end_headers()

        def _take(self, event: Event) -> int:
            if got.fails:
                got.fails -= 1
                return 503
            got.keys.add(self.headers.get("Authorization", ""))
            try:
                assert self.path == "/api/v1/lineage"
                check(event)
            except (AssertionError, jsonschema.ValidationError) as error:
                got.faults.append(str(error))
                return 422
            got.events.append(event)
            return 201

        def log_message(self, *told: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    got.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
