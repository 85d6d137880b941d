"""A stub on a real socket: keeps runs, and misbehaves at its start call as told."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, unquote, urlsplit

CUT_BEFORE = "cut before"  # the start call is read, and nothing is made of it
CUT_AFTER = "cut after"  # the run is made, and the connection is cut
ERROR_AFTER = "500 after"  # the run is made, and the answer is a 500
TOO_MANY = "429"
UNAVAILABLE = "503"
FORBIDDEN = "403"
FOREIGN = "foreign 409"  # a conflict with something that is not our run


@dataclass
class StubRun:
    """A run of the server. state: of the bridge's words; key: what the server knows it by."""

    id: str
    key: str
    state: str = "queued"
    version: str = ""
    body: Any = None


@dataclass
class Call:
    """A request as it came in."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Any
    text: str = ""

    def fits(self, method: str, pattern: str) -> re.Match[str] | None:
        """Match the method and the whole path."""
        return re.fullmatch(pattern, self.path) if self.method == method else None


Answer = tuple[int, Any]
NOT_FOUND: Answer = (404, {"detail": "Not Found"})


class Facts:
    """Facts of a kind of orchestrator, or of one server."""

    preset: str
    target: Mapping[str, Any]
    entry: Mapping[str, Any] = {}
    words: Mapping[str, str]  # state of the bridge -> the server's word
    exact: bool = True


@dataclass
class Stub(Facts):
    """An orchestrator. `handle` answers everything but the faults."""

    lists: ClassVar[bool] = True  # one call reads many runs
    versions: ClassVar[bool] = True
    unauthorized: ClassVar[Answer] = (401, {"detail": "who are you"})
    has_unknown_words: ClassVar[bool] = True
    looks_up: ClassVar[bool] = True
    has_link: ClassVar[bool] = True
    later: ClassVar[bool] = False  # the server makes the run after the start call, with parameters that it reads itself

    runs: list[StubRun] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    token: str = ""  # required in Authorization, "" = none
    tokens: int = 0
    paused: bool = False
    gone: bool = False  # the target does not exist
    starts: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def is_start(self, call: Call) -> bool:
        """Whether the call starts a run."""
        raise NotImplementedError

    def handle(self, call: Call) -> Answer:
        """Answer a call."""
        raise NotImplementedError

    def conflict(self) -> Answer:
        """A 409 that has nothing to do with our run."""
        return 409, {"detail": "conflict"}

    def authorized(self, call: Call) -> bool:
        """Whether the credentials are right."""
        return not self.token or call.headers.get("authorization", "") == f"Bearer {self.token}"

    def by(self, **wanted: str) -> list[StubRun]:
        """The runs with these fields."""
        return [run for run in self.runs if all(getattr(run, key) == value for key, value in wanted.items())]

    def named(self, reference: str) -> list[StubRun]:
        """The runs that the reference of a delivery can mean."""
        return [run for run in self.runs if reference == run.id or (self.later and reference == run.key)]

    def make(self, key: str, body: Any = None, id_: str = "") -> StubRun:
        """A new run."""
        run = StubRun(id_ or f"run-{len(self.runs) + 1}", key, body=body)
        self.runs.append(run)
        return run

    # ------------------------------------------------------------ the server

    def __enter__(self) -> Self:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _serve(self) -> None:
                stub.serve(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Read a request, and answer it or misbehave."""
        text = handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode()
        parts = urlsplit(handler.path)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body = json.loads(text) if text and "json" in headers.get("content-type", "") else None
        call = Call(handler.command, unquote(parts.path), parse_qs(parts.query), headers, body, text)
        with self.lock:
            self.calls.append(call)
            fault = ""
            if self.is_start(call):
                self.starts += 1
                fault = self.faults.pop(0) if self.faults else ""
            answer = self._answer(call, fault)
        if answer is None:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        data = b"" if answer[1] is None else json.dumps(answer[1]).encode()
        handler.send_response(answer[0])
        handler.send_header("Content-Length", str(len(data)))
        handler.send_header("Content-Type", "application/json")
        if fault == TOO_MANY:
            handler.send_header("Retry-After", "7")
        handler.end_headers()
        handler.wfile.write(data)

    def _answer(self, call: Call, fault: str) -> Answer | None:
        refusals = {
            TOO_MANY: (429, {"detail": "slow down"}), UNAVAILABLE: (503, {"detail": "busy"}),
            FORBIDDEN: (403, {"detail": "no"}), FOREIGN: self.conflict(), CUT_BEFORE: None,
        }  # fmt: skip
        if fault in refusals:
            return refusals[fault]
        answer = self.handle(call) if self.authorized(call) or self.is_login(call) else self.unauthorized
        return {CUT_AFTER: None, ERROR_AFTER: (500, {"detail": "oops"})}.get(fault, answer)

    def is_login(self, call: Call) -> bool:
        """Whether the call needs no token."""
        return False
