"""Receivers of notifications: a web server and a mail server on this machine that keep what they are sent."""

from __future__ import annotations

import http.server
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Web(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        got: list[str] = self.server.got  # type: ignore[attr-defined]
        got.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Mail(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as a client needs to leave a letter."""

    def handle(self) -> None:
        got: list[str] = self.server.got  # type: ignore[attr-defined]
        self.wfile.write(b"220 ready\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                letter = b"".join(iter(self.rfile.readline, b".\r\n"))
                got.append(letter.decode())
            if verb == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 ok\r\n")


@contextmanager
def web() -> Iterator[tuple[str, list[str]]]:
    """Address of a web server, and the bodies that it was sent; it is displeased with everything sent to /broken."""
    with _running(http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Web)) as (place, got):
        yield place, got


@contextmanager
def mail() -> Iterator[tuple[str, list[str]]]:
    """Address of a mail server, and the letters that it was sent."""
    with _running(socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail)) as (place, got):
        yield place, got


@contextmanager
def _running(server: socketserver.TCPServer) -> Iterator[tuple[str, list[str]]]:
    got: list[str] = []
    server.got = got  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
