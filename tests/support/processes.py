"""Real server programs for tests: on a free loopback port, in a folder of their own, and gone when the test is."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_LANES = 16  # pytest's processes that run side by side take different ports
_LANE = int(os.environ.get("PYTEST_XDIST_WORKER", f"gw{os.getpid()}")[2:]) % _LANES
_given: deque[int] = deque(maxlen=200)
_CHANCE = random.SystemRandom()  # a seed would give the processes of a parallel run the same ports
PATIENCE = 90.0  # seconds that every wait has at least: a busy machine needs them, and only a failure spends them
# Environment of a program that is killed: what coverage has measured is lost then, and doubles the time of a start.
UNMEASURED = {"COVERAGE_PROCESS_CONFIG": ""}
START_PATIENCE = 240.0  # seconds that a program has at least to get ready: it imports everything first


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on, and that was not given lately: its server may not listen yet.

    Below those that Linux gives to outgoing connections: one could have the port when a killed server starts again.
    """
    local = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(local.read_text().split()[0]) if local.exists() else 0
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", _CHANCE.randrange(12_000 + _LANE, first, _LANES) if first > 14_000 else 0))
            port: int = probe.getsockname()[1]
            if port not in _given:
                _given.append(port)
                return port


def wait_until(check: Callable[[], T], timeout: float = 10.0, what: str | Callable[[], str] = "") -> T:
    """Call `check` until it returns something true, and return that; AssertionError after `timeout` seconds.

    what: what was waited for, or a function that says how things stand when the time is over.

    No test depends on the limit: one below PATIENCE is taken as PATIENCE.
    """
    timeout = max(timeout, PATIENCE)
    ends = time.monotonic() + timeout
    pause = 0.005
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > ends:
            told = what() if callable(what) else what or check
            raise AssertionError(f"not within {timeout} s: {told}; last answer: {found!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


@dataclass
class Program:
    """A started program: `pid`, its log, and the ways to stop it. Killed with the test run by the kernel.

    The kernel's signal comes when the thread that started the program ends: start programs from the main thread.
    """

    command: Sequence[str]
    folder: Path
    name: str = "program"
    env: dict[str, str] | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log_file(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} was not started"
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it (again), with the log appended."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.command],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.env if self.env is not None else dict(os.environ),
            )  # fmt: skip

    def signal(self, number: int) -> None:
        """Send a signal; SIGSTOP and SIGCONT make it hang and go on."""
        assert self.process is not None, f"{self.name} was not started"
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait for the end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)

    def terminate(self, timeout: float = 20.0) -> int:
        """Ask it to end (SIGTERM) and return its exit code."""
        assert self.process is not None, f"{self.name} was not started"
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(max(timeout, PATIENCE))

    def wait_ready(self, ready: Callable[[], bool], timeout: float = 20.0) -> None:
        """Wait for `ready`; a program that ended meanwhile is an AssertionError with its log."""

        def there() -> bool:
            assert self.running, f"{self.name} ended while starting:\n{self.log}"
            return ready()

        wait_until(there, max(timeout, START_PATIENCE), lambda: f"{self.name} ready; its log:\n{self.log[-4000:]}")


@contextlib.contextmanager
def kept_for_the_test(program: Program) -> Iterator[Program]:
    """Kill it and remove its folder at the end; on a failure its log is printed first."""
    try:
        yield program
    except BaseException:
        print(f"---- {program.name} ----\n{program.log[-8000:]}", file=sys.stderr)
        raise
    finally:
        program.kill()
        shutil.rmtree(program.folder, ignore_errors=True)
