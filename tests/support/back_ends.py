"""Stand-ins for query back ends: each checks a request as its vendor does; a real server evaluates the query."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

Answer = tuple[int, dict[str, str], bytes]
EVERYWHERE = frozenset({"query", "time", "timeout", "start", "end", "step", "match[]"})
JSON = {"Content-Type": "application/json"}


@dataclass
class Request:
    """Request as it came over the wire. headers: names in lower case. params: of the query and of the form."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def params(self) -> dict[str, str]:
        form = self.body.decode() if self.headers.get("content-type") == "application/x-www-form-urlencoded" else ""
        return dict(parse_qsl(f"{urlsplit(self.target).query}&{form}"))


@dataclass(frozen=True)
class Kind:
    """Vendor of a stand-in.

    flavor: its name. prefix: path before /api/v1. params: that it takes besides those of every server; None = any.
    settings: configuration of the bridge, for (stand-in, folder).
    refused: returns the answer to a request without the right credentials; None = they are right.
    limit, throttled: answers to a query that is too large, and to one too many.
    partial: for the request's parameters, the answer while a store is missing.
    post: whether it takes POST.
    """

    flavor: str
    settings: Callable[[StandIn, Path], dict[str, Any]]
    refused: Callable[[StandIn, Request], Answer | None]
    limit: Answer
    throttled: Answer
    partial: Callable[[Mapping[str, str]], Answer | None] = lambda _: None
    prefix: str = ""
    params: frozenset[str] | None = frozenset()
    post: bool = True


@dataclass
class StandIn:
    """Running stand-in. upstream: URL of the real server.

    plan: answers of the next requests; "cut" = half of the answer, None = as usual.
    credential: what it accepts at present; `refused` of its kind gives it a meaning.
    lacking: a store is missing. zipped: answers are compressed.
    """

    kind: Kind
    upstream: str
    url: str = ""
    plan: list[Answer | str | None] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    credential: str = "first"
    lacking: bool = False
    zipped: bool = False
    tokens: list[Request] = field(default_factory=list)
    token_answer: Callable[[Request], Answer] | None = None

    def answer(self, request: Request) -> Answer | str:
        """Return the answer to a request; "cut" for half of one."""
        if self.token_answer is not None and not request.path.startswith(f"{self.kind.prefix}/api/v1"):
            self.tokens.append(request)
            return self.token_answer(request)
        self.requests.append(request)
        planned = self.plan.pop(0) if self.plan else None
        return planned if planned is not None else self._checked(request)

    def _checked(self, request: Request) -> Answer:
        kind = self.kind
        if not request.path.startswith(f"{kind.prefix}/api/v1/"):
            return 404, {}, b"404 page not found"
        if request.method == "POST" and not kind.post:
            return 405, {"Allow": "GET"}, b"Method Not Allowed"
        if (refused := kind.refused(self, request)) is not None:
            return refused
        if kind.params is not None and (unknown := set(request.params) - EVERYWHERE - kind.params):
            return 400, JSON, error("bad_data", f"unknown parameters {sorted(unknown)}")
        if self.lacking and (partial := kind.partial(request.params)) is not None:
            return partial
        return self._evaluated(request)

    def _evaluated(self, request: Request) -> Answer:
        url = f"{self.upstream}{request.path.removeprefix(self.kind.prefix)}?{urlencode(request.params)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as found:
                body = found.read()
                return found.status, JSON, body
        except urllib.error.HTTPError as failure:
            with failure:
                return failure.code, dict(failure.headers.items()), failure.read()


def error(kind: str, text: str) -> bytes:
    """Return Prometheus' envelope of an error."""
    return json.dumps({"status": "error", "errorType": kind, "error": text}).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        found = self.server.stand_in.answer(Request(self.command, self.path, headers, body))
        cut = found == "cut"
        status, more, content = (200, JSON, b'{"status":"success","data":{"resu') if isinstance(found, str) else found
        if self.server.stand_in.zipped and status == 200:
            content, more = gzip.compress(content), {**more, "Content-Encoding": "gzip"}
        self.send_response(status)
        for name, value in more.items():
            if name.lower() not in {"content-length", "date", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) + (1000 if cut else 0)))
        self.end_headers()
        self.wfile.write(content)
        if cut:
            self.close_connection = True

    do_GET = do_POST = _serve

    def log_message(self, *_: object) -> None:
        """Be silent."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    stand_in: StandIn


@contextlib.contextmanager
def stand_in(kind: Kind, upstream: str) -> Iterator[StandIn]:
    """Return a running stand-in of a kind over a real server."""
    made = StandIn(kind, upstream)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.stand_in = made
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join(10)
