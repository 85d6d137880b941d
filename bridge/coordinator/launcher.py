"""Runs one command so that nothing of it outlives the coordinator. Started as a script, with the standard library only.

    python launcher.py FD COMMAND [ARGUMENT...]

FD is one end of a socket pair: the lifeline. The launcher leads a session and process group of its own, which the
command shares. Two things can end it:
- the command ends: its exit code (negative: the signal) goes through the lifeline as text;
- the lifeline closes, because the coordinator is gone, killed or not: SIGTERM to the group, then a short grace.
Either way the launcher then kills the whole group, itself included, so that what the command left behind ends as well.
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
    """A descriptor that becomes readable at every SIGCHLD. SIGTERM is for the command: here it only wakes."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return reading


def _start(command: list[str]) -> int:
    """Fork and become the command; handlers fall back to their defaults at exec."""
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
    """The command's exit code, or None when the lifeline closed before it ended."""
    while (code := _ended(child)) is None:
        ready, _, _ = select.select([awake, lifeline], [], [])
        if lifeline in ready:
            return None
        os.read(awake, 64)
    return code


def _wait_a_while(child: int, awake: int) -> int | None:
    """The same within the grace, and without a lifeline."""
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
