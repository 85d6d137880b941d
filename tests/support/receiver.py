"""A receiver on a real socket that misbehaves as told: hangs, drips, resets half-way, answers anything."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
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
DRIP = "drip"  # one byte of the answer's body every 50 ms, for ever
DRIP_OLD = "drip old"  # the same without a length: the end of the connection would be the end of the body
DRIP_HEAD = "drip head"  # the same with its header lines
RESET = "reset"  # half an answer, then a TCP reset
HANG_UP = "hang up"  # closes without a byte
_BEFORE_DRIPPING = {
    DRIP: b"HTTP/1.1 200 X\r\nContent-Length: 100000\r\n\r\n",
    DRIP_OLD: b"HTTP/1.0 200 X\r\n\r\n",
    DRIP_HEAD: b"HTTP/1.1 200 X\r\nX-Long: ",
}


@dataclass(frozen=True)
class Raw:
    """These bytes, whatever they are, and the end of the connection."""

    data: bytes

    def encode(self) -> bytes:
        return self.data


Behaviour = Reply | Raw | str


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
    """Behaves as the items of `plan` say, one per request, the last one for ever. tls: speak HTTPS."""

    def __init__(self, *plan: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self.plan: list[Behaviour] = list(plan) or [Reply()]
        self.requests: list[Received] = []
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._tls = tls
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
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

    def _serve(self, plain: socket.socket) -> None:
        connection = plain
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True)
            with contextlib.suppress(OSError), connection.makefile("rb") as stream:
                request = _read(stream)
                if request is not None:
                    self._behave(connection, self._take(request))
        except ssl.SSLError:
            return  # a client that does not want this certificate
        finally:
            with self._lock:
                self._open.discard(plain)
            connection.close()
            plain.close()

    def _take(self, request: Received) -> Behaviour:
        with self._lock:
            self.requests.append(request)
            return self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]

    def _behave(self, connection: socket.socket, behaviour: Behaviour) -> None:
        if isinstance(behaviour, Reply | Raw):
            connection.sendall(behaviour.encode())
        elif behaviour == HANG:
            self._closed.wait(600)
        elif isinstance(behaviour, str) and behaviour in _BEFORE_DRIPPING:
            connection.sendall(_BEFORE_DRIPPING[behaviour])
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
