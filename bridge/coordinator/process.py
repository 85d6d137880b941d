"""Process of one command, from its start to the end of its whole process group."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.coordinator.output import RunLog, Tail

_LAUNCHER = str(Path(__file__).with_name("launcher.py"))
TIME_LIMIT = "time limit"
_LONGEST_SELECT = 3600.0  # epoll refuses waits of weeks
_DRAIN = (
    1.0  # seconds to read remaining output once the group is dead; only a process outside the group holds it longer
)


@dataclass(frozen=True, slots=True)
class Ended:
    """Outcome of a command.

    code: exit code, negative = killed by that signal, None = killed by force. stopped: why the coordinator stopped it,
    "" if it ended by itself. stdout, stderr: their last 64 KiB.
    """

    code: int | None
    stopped: str
    stdout: bytes
    stderr: bytes


class Process:
    """Command that is run once, as an argument list without a shell. `run` blocks; `stop` is for another thread."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], stdin: bytes) -> None:
        self._command = list(command)
        self._environment = {**os.environ, **environment}
        self._stdin = stdin
        self._wake, self._woken = socket.socketpair()
        self._lock = threading.Lock()
        self._stop: tuple[str, float] | None = None

    def stop(self, why: str, grace: float) -> None:
        """Send SIGTERM to the group, and SIGKILL after `grace` seconds. The first reason and the last grace apply."""
        with self._lock:
            self._stop = (self._stop[0] if self._stop else why, grace)
            if self._wake.fileno() >= 0:
                self._wake.send(b"x")

    def run(self, log: RunLog, time_limit: float, grace: float) -> Ended:
        """Run the command until its whole group has ended. Times in seconds. Raises OSError if it cannot be started."""
        lifeline, theirs = socket.socketpair()
        try:
            with lifeline, self._start(theirs) as popen:
                try:
                    return self._follow(popen, lifeline, log, time_limit, grace)
                finally:
                    _signal(popen, signal.SIGKILL)
        finally:
            self.close()

    def _start(self, lifeline: socket.socket) -> subprocess.Popen[bytes]:
        """Start the launcher; close our copies of its lifeline end and input, so that only the launcher holds them."""
        with lifeline, tempfile.TemporaryFile() as stdin:
            stdin.write(self._stdin)
            stdin.seek(0)
            return subprocess.Popen(  # noqa: S603 - the configured command, never text from a request
                [sys.executable, "-I", "-S", _LAUNCHER, str(lifeline.fileno()), *self._command],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                pass_fds=[lifeline.fileno()],
                start_new_session=True,
            )

    def close(self) -> None:
        """Close the wake-up sockets; `run` does so too. `stop` has no effect afterwards."""
        with self._lock:
            self._wake.close()
            self._woken.close()

    def _follow(
        self, popen: subprocess.Popen[bytes], lifeline: socket.socket, log: RunLog, time_limit: float, grace: float
    ) -> Ended:
        """Wait for the launcher: SIGTERM at the time limit or on a stop request, SIGKILL after the grace period."""
        watch = _Watch(popen, lifeline, self._woken, log)
        stopped, deadline = "", time.monotonic() + time_limit
        while not watch.ended:
            request = self._stop_request() if watch.step(deadline) else None
            if request is None and time.monotonic() < deadline:
                continue
            if request is None and stopped:
                break
            stopped, wait = (stopped or request[0], request[1]) if request else (TIME_LIMIT, grace)
            deadline = time.monotonic() + wait
            _signal(popen, signal.SIGTERM)
        # The leader is not reaped yet, so its id cannot belong to another group.
        _signal(popen, signal.SIGKILL)
        watch.drain(time.monotonic() + _DRAIN)
        return Ended(watch.code, stopped, watch.stdout.data(), watch.stderr.data())

    def _stop_request(self) -> tuple[str, float] | None:
        with self._lock:
            return self._stop


def _signal(popen: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the whole group, unless the leader is already reaped."""
    if popen.returncode is None:
        try:
            os.killpg(popen.pid, number)
        except ProcessLookupError:
            return


class _Watch:
    """Reader of the two outputs and the lifeline, until the launcher closes its end."""

    def __init__(
        self, popen: subprocess.Popen[bytes], lifeline: socket.socket, woken: socket.socket, log: RunLog
    ) -> None:
        self.stdout, self.stderr = Tail(), Tail()
        self.code: int | None = None
        self.ended = False
        self._open = 0
        self._log = log
        self._lifeline, self._woken = lifeline, woken
        self._selector = selectors.DefaultSelector()
        for stream, tail in ((popen.stdout, self.stdout), (popen.stderr, self.stderr)):
            if stream is not None:
                self._selector.register(stream, selectors.EVENT_READ, tail)
                self._open += 1
        self._selector.register(lifeline, selectors.EVENT_READ)
        self._selector.register(woken, selectors.EVENT_READ)

    def step(self, deadline: float) -> bool:
        """Handle readable data, waiting until `deadline` at most; return whether `stop` was called."""
        woken = False
        wait = deadline - time.monotonic()
        for key, _ in self._selector.select(min(max(0.0, wait), _LONGEST_SELECT)):
            if key.fileobj is self._lifeline:
                self._read_lifeline()
            elif key.fileobj is self._woken:
                woken = bool(self._woken.recv(64))
            else:
                self._read(key)
        return woken

    def drain(self, deadline: float) -> None:
        """Read what ended processes left in the pipes."""
        while self._open and time.monotonic() < deadline:
            self.step(deadline)
        self._selector.close()

    def _read(self, key: selectors.SelectorKey) -> None:
        data = os.read(key.fd, 65536)
        if not data:
            self._selector.unregister(key.fileobj)
            self._open -= 1
            return
        key.data.add(data)
        self._log.write(data)

    def _read_lifeline(self) -> None:
        try:
            text = self._lifeline.recv(16)
        except ConnectionResetError:
            text = b""
        if text:
            self.code = int(text)
            return
        self.ended = True
        self._selector.unregister(self._lifeline)
