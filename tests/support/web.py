"""A bridge's web server over fakes, on a free port of this machine, and raw calls to it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bridge.web.app import create_app
from bridge.web.http.server import Server
from bridge.web.http.settings import WebSettings
from bridge.web.http.web_config import WebConfig
from tests.support.fake_views import AT, FakeCommands, FakeQueries


class Site:
    """A running server and what it was asked."""

    def __init__(self, settings: WebSettings, config: WebConfig) -> None:
        self.queries, self.commands = FakeQueries(), FakeCommands()
        self.metrics = b"up 1\n"
        app = create_app(self.queries, self.commands, settings, lambda _: self.metrics, config, lambda: AT)
        self.server = Server(app, settings, config)
        self.url = f"http://{self.server.address}"
        self.port = int(self.server.address.rpartition(":")[2])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def raw(self, text: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case) and body of the answer to a request as it is written; LF becomes CRLF."""
        with self.connect() as client:
            client.sendall(text.replace("\n", "\r\n").encode() + body)
            return read_answer(client)


def read_answer(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """All that comes until the server closes the connection."""
    data = b""
    while part := client.recv(65_536):
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


@contextlib.contextmanager
def serving(settings: WebSettings | None = None, config: WebConfig | None = None) -> Iterator[Site]:
    """A started server, stopped at the end."""
    site = Site(settings or WebSettings("127.0.0.1:0"), config or WebConfig())
    site.server.start()
    try:
        yield site
    finally:
        site.server.stop(2.0)


def ends(site: Site) -> bool:
    """Stop the server; return whether it ended. A client that held it up would do so for longer than it may take."""
    site.server.stop(300.0)
    return not site.server._thread.alive


def make_certificate(folder: Path, name: str, host: str = "localhost") -> None:
    """A self-signed certificate for `host` and 127.0.0.1: NAME.pem and NAME.key in `folder`."""
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={host}",
        "-addext", f"subjectAltName=DNS:{host},IP:127.0.0.1",
    ]  # fmt: skip
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
