"""Launcher of one command, so that nothing of it outlives the coordinator. A script that uses only the stdlib.

    python launcher.py FD COMMAND [ARGUMENT...]

FD is one end of a socket pair: the lifeline. The launcher leads its own session and process group, which the command
shares. It ends in one of two cases:
- the command exits: its exit code (negative: the signal) is sent through the lifeline as text;
- the lifeline closes, because the coordinator exited or was killed: SIGTERM to the group, then a short grace period.
In both cases the launcher then kills the whole group, itself included, and thereby any process left by the command.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys

GRACE = 2.0  # seconds between SIGTERM and SIGKILL once the coordinator is gone
CANNOT_START = 127


def main(arguments: list[str]) -> None:
    """Start the command, wait for it or for the lifeline, then end the group. Does not return."""
    lifeline, command = int(arguments[0]), arguments[1:]
    os.set_inheritable(lifeline, False)
    awake = _wake_on_child()
    child = _start(command)
    code = _wait(child, awake, lifeline)
    if code is None:
        os.killpg(0, signal.SIGTERM)
        code = _wait_a_while(child, awake)
    with contextlib.suppress(OSError):
        os.write(lifeline, str(code).encode())
    os.killpg(0, signal.SIGKILL)


def _wake_on_child() -> int:
    """Return a descriptor that becomes readable at every SIGCHLD. SIGTERM is for the command: here it only wakes."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return reading


def _start(command: list[str]) -> int:
    """Fork and exec the command, which resets signal handlers to their defaults; return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execvp(command[0], command)  # noqa: S606 - an argument list without a shell is the point
    except OSError as error:
        os.write(2, f"cannot start {command[0]}: {error.strerror}\n".encode())
    os._exit(CANNOT_START)


def _wait(child: int, awake: int, lifeline: int) -> int | None:
    """Return the command's exit code; None when the lifeline closed first."""
    while (code := _ended(child)) is None:
        ready, _, _ = select.select([awake, lifeline], [], [])
        if lifeline in ready:
            return None
        os.read(awake, 64)
    return code


def _wait_a_while(child: int, awake: int) -> int | None:
    """Return the command's exit code; None when it did not end within the grace period."""
    while (code := _ended(child)) is None:
        ready, _, _ = select.select([awake], [], [], GRACE)
        if not ready:
            return None
        os.read(awake, 64)
    return code


def _ended(child: int) -> int | None:
    ended, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


if __name__ == "__main__":
    main(sys.argv[1:])
