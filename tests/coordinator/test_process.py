"""One command: its input, its output, its end, and that no process remains."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bridge.coordinator import launcher, process
from bridge.coordinator.output import RunLog
from bridge.coordinator.process import Ended, Process
from tests.support.processes import wait_until


def run(folder: Path, script: str, *, limit: float = 20.0, grace: float = 5.0, stdin: bytes = b"") -> Ended:
    made = Process(["sh", "-c", script], {"RETRAIN_VERSION": "3; echo no"}, stdin)
    with RunLog(folder / "run.log", 10_000) as log:
        return made.run(log, limit, grace)


def gone(pid_file: Path) -> bool:
    """Return whether the process whose id is in the file has ended (a zombie has)."""
    try:
        state = Path(f"/proc/{int(pid_file.read_text())}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


def test_a_command_gets_its_input_and_environment_and_no_shell_reads_them(tmp_path: Path) -> None:
    """Text of a request is never executed: it is passed as data."""
    ended = run(tmp_path, 'cat; echo "$RETRAIN_VERSION"; echo oops >&2; exit 3', stdin=b'{"a": 1}\n')
    assert ended == Ended(3, "", b'{"a": 1}\n3; echo no\n', b"oops\n")
    assert sorted((tmp_path / "run.log").read_bytes().splitlines()) == [b"3; echo no", b"oops", b'{"a": 1}']


def test_a_command_that_reads_nothing_is_not_disturbed(tmp_path: Path) -> None:
    assert run(tmp_path, "exit 0", stdin=b"x" * 500_000).code == 0


def test_a_command_that_does_not_exist_reports_it(tmp_path: Path) -> None:
    with RunLog(tmp_path / "log", 1000) as log:
        ended = Process(["/no/such/thing"], {}, b"").run(log, 5, 1)
    assert (ended.code, ended.stderr) == (127, b"cannot start /no/such/thing: No such file or directory\n")


def test_a_signal_that_ended_the_command_is_named(tmp_path: Path) -> None:
    assert run(tmp_path, "kill -9 $$").code == -9


def test_what_a_command_leaves_behind_is_killed(tmp_path: Path) -> None:
    """Also a background process that holds the output open does not keep the run from ending."""
    started = time.monotonic()
    ended = run(tmp_path, f"sleep 600 & echo $! > {tmp_path}/pid; echo done")
    assert (ended.code, ended.stdout) == (0, b"done\n")
    assert time.monotonic() - started < 300
    wait_until(lambda: gone(tmp_path / "pid"), 5, "the background process ending")


def test_the_time_limit_ends_the_whole_group(tmp_path: Path) -> None:
    """SIGTERM first: the command may clean up."""
    script = f"trap 'echo bye; exit 7' TERM; sleep 60 & echo $! > {tmp_path}/pid; wait"
    ended = run(tmp_path, script, limit=5.0)  # a busy machine has set the trap by then
    assert ended == Ended(7, "time limit", b"bye\n", b"")
    wait_until(lambda: gone(tmp_path / "pid"), 5, "the child ending")


def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    script = f"trap '' TERM; echo $$ > {tmp_path}/pid; sleep 600; sleep 600; sleep 600"
    started = time.monotonic()
    ended = run(tmp_path, script, limit=5.0, grace=0.3)
    assert (ended.code, ended.stopped) == (None, "time limit")
    assert 5.3 <= time.monotonic() - started < 300
    wait_until(lambda: gone(tmp_path / "pid"), 5, "the command ending")


def test_a_stop_comes_through_from_another_thread(tmp_path: Path) -> None:
    made = Process(["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 60"], {}, b"")
    found: list[Ended] = []

    def follow() -> None:
        with RunLog(tmp_path / "log", 1000) as log:
            found.append(made.run(log, 60, 5))

    thread = threading.Thread(target=follow)
    thread.start()
    wait_until((tmp_path / "pid").exists, 5, "the command starting")
    made.stop("cancelled", 5)
    made.stop("shutdown", 1)
    thread.join(300)
    assert found == [Ended(-15, "cancelled", b"", b"")]
    made.stop("after the end", 1)  # is not an error


def test_a_stop_before_the_start_counts(tmp_path: Path) -> None:
    made = Process(["sh", "-c", "sleep 60"], {}, b"")
    made.stop("cancelled", 0.2)
    with RunLog(tmp_path / "log", 1000) as log:
        assert made.run(log, 60, 5).stopped == "cancelled"


def test_a_launcher_that_is_killed_takes_the_command_along(tmp_path: Path) -> None:
    """Killing only the launcher must not leave the command running."""
    ended = run(tmp_path, f"echo $$ > {tmp_path}/pid; kill -9 $PPID; sleep 60")
    assert (ended.code, ended.stopped) == (None, "")
    wait_until(lambda: gone(tmp_path / "pid"), 5, "the command ending")


def test_a_process_that_left_the_group_delays_the_end_for_a_second_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the output open; the run ends nevertheless."""
    monkeypatch.setattr(process, "_DRAIN", 0.2)
    started = time.monotonic()
    script = f"setsid sh -c 'echo $$ > {tmp_path}/pid; sleep 600' & while [ ! -s {tmp_path}/pid ]; do :; done"
    ended = run(tmp_path, script)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert ended.code == 0
    assert time.monotonic() - started < 300


def test_a_limit_of_months_is_possible(tmp_path: Path) -> None:
    """System waits are limited to 24 days."""
    assert run(tmp_path, "exit 0", limit=90 * 86_400).code == 0


def test_no_process_at_all_is_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument that is too long for the system, for example; the sockets are closed all the same."""
    made = Process(["true"], {"LARGE": "x" * 3_000_000}, b"")
    with RunLog(tmp_path / "log", 1000) as log, pytest.raises(OSError, match="Argument list too long"):
        made.run(log, 5, 1)


@pytest.mark.parametrize("trap", ["", "trap '' TERM; "])
def test_a_command_does_not_outlive_the_other_end_of_the_lifeline(tmp_path: Path, trap: str) -> None:
    """A coordinator that is killed with SIGKILL cannot clean up: the launcher does, by force after its grace."""
    ours, theirs = os.pipe()
    script = f"{trap}echo $$ > {tmp_path}/pid; sleep 60; sleep 60"
    popen = subprocess.Popen(
        [sys.executable, "-I", "-S", launcher.__file__, str(ours), "sh", "-c", script],
        pass_fds=[ours],
        start_new_session=True,
    )
    os.close(ours)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), 5, "the command starting")
    os.close(theirs)
    assert popen.wait(300) == -9
    wait_until(lambda: gone(tmp_path / "pid"), 5, "the command ending")
