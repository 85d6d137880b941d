"""A receiver on a real socket that misbehaves as told: hangs, drips, resets half-way, answers anything."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Reply:
    """A whole HTTP answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} X", f"Content-Length: {len(self.body)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


HANG = "hang"  # reads the request, never answers
DRIP = "drip"  # one byte of the answer every 50 ms, for ever
RESET = "reset"  # half an answer, then a TCP reset
HANG_UP = "hang up"  # closes without a byte
Behaviour = Reply | str


@dataclass(frozen=True)
class Received:
    """A request as it came in; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Behaves as the items of `plan` say, one per request, the last one for ever."""

    def __init__(self, *plan: Behaviour) -> None:
        self.plan: list[Behaviour] = list(plan) or [Reply()]
        self.requests: list[Received] = []
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._spawn(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and cut what is still open."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _spawn(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError), connection.makefile("rb") as stream:
                request = _read(stream)
                if request is not None:
                    self._behave(connection, self._take(request))
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _take(self, request: Received) -> Behaviour:
        with self._lock:
            self.requests.append(request)
            return self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]

    def _behave(self, connection: socket.socket, behaviour: Behaviour) -> None:
        if isinstance(behaviour, Reply):
            connection.sendall(behaviour.encode())
        elif behaviour == HANG:
            self._closed.wait(30)
        elif behaviour == DRIP:
            connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 100000\r\n\r\n")
            while not self._closed.wait(0.05):
                connection.sendall(b"x")
        elif behaviour == RESET:
            connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _read(stream: Any) -> Received | None:
    first = stream.readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    for line in iter(stream.readline, b"\r\n"):
        if not line:
            return None
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return Received(first[0], first[1], headers, stream.read(int(headers.get("content-length", 0))))


@contextlib.contextmanager
def receivers(*plans: tuple[Behaviour, ...]) -> Iterator[list[Receiver]]:
    """Several at once."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Receiver(*plan)) for plan in plans]
