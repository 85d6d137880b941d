"""The request of the tests: what counts as no answer. Ports of servers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support import processes
from tests.support.servers import http


@pytest.mark.parametrize("head", ["HTTP/1.1 200 OK", "HTTP/1.1 503 Service Unavailable", "nonsense"])
def test_a_server_killed_within_its_answer_has_not_answered(head: str) -> None:
    """Status 0, as without a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(f"{head}\r\nContent-Length: 63\r\n\r\n".encode())

        thread = threading.Thread(target=answer)
        thread.start()
        assert http("GET", f"http://127.0.0.1:{listener.getsockname()[1]}/-/ready", timeout=60) == (0, "")
        thread.join(60)


def test_no_port_is_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is still starting does not listen on its port yet."""
    ports = [processes.free_port() for _ in range(2)]

    class Chance:
        def __init__(self) -> None:
            self.drawn: Iterator[int] = iter([ports[0], ports[1], ports[0], *range(20_000, 20_100)])

        def randrange(self, *_: int) -> int:
            return next(self.drawn)

    monkeypatch.setattr(processes, "_CHANCE", Chance())
    assert processes.free_port() not in ports
