"""The launcher's wait loop, inside the test's process; test_process.py covers the launcher as a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from bridge.coordinator import launcher


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[signal.Signals]]:
    """Record signals to the process group, which is the test's own; restore the handlers afterwards."""
    sent: list[signal.Signals] = []
    monkeypatch.setattr(launcher.os, "killpg", lambda _, number: sent.append(number))  # type: ignore[attr-defined]
    numbers = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield sent
    os.close(signal.set_wakeup_fd(-1))
    for number, handler in before.items():
        signal.signal(number, handler)


def launch(monkeypatch: pytest.MonkeyPatch, lifeline: socket.socket, *command: str) -> None:
    """main() with a child that the subprocess module makes: a test's process has threads and must not fork bare."""
    children: list[subprocess.Popen[bytes]] = []

    def start(command: list[str]) -> int:
        children.append(subprocess.Popen(command))
        return children[0].pid

    monkeypatch.setattr(launcher, "_start", start)
    launcher.main([str(lifeline.fileno()), *command])
    children[0].kill()  # a child that outlived the grace period
    children[0].wait()


def test_the_exit_code_goes_through_the_lifeline(monkeypatch: pytest.MonkeyPatch, killed: list[signal.Signals]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        launch(monkeypatch, theirs, "sh", "-c", "exit 3")
        assert ours.recv(16) == b"3"
    assert killed == [signal.SIGKILL]


def test_a_signal_to_the_launcher_ends_nothing(monkeypatch: pytest.MonkeyPatch, killed: list[signal.Signals]) -> None:
    """SIGTERM is for the command, which may accept its time."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        launch(monkeypatch, theirs, "sh", "-c", f"kill -TERM {os.getpid()}; exit 4")
        assert ours.recv(16) == b"4"
    assert killed == [signal.SIGKILL]


def test_a_closed_lifeline_ends_the_group_with_a_grace(
    monkeypatch: pytest.MonkeyPatch, killed: list[signal.Signals]
) -> None:
    monkeypatch.setattr(launcher, "GRACE", 0.05)
    ours, theirs = socket.socketpair()
    with theirs:
        ours.close()
        launch(monkeypatch, theirs, "sleep", "60")
    assert killed == [signal.SIGTERM, signal.SIGKILL]


def test_a_command_that_ends_within_the_grace_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, killed: list[signal.Signals]
) -> None:
    monkeypatch.setattr(launcher, "GRACE", 60.0)
    ours, theirs = socket.socketpair()
    gone = threading.Timer(0.05, ours.close)
    gone.start()
    with theirs:
        launch(monkeypatch, theirs, "sleep", "2")
    gone.join()
    assert killed == [signal.SIGTERM, signal.SIGKILL]
