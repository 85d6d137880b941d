"""Start order of runs, and their final states."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from bridge.coordinator import runner
from bridge.domain.errors import StoreError
from tests.coordinator.conftest import Start
from tests.support.coordinator import ID, an_id, body
from tests.support.processes import wait_until

GATE = 'echo "$RETRAIN_REQUEST_ID" >> {0}/started; while [ ! -e {0}/go ]; do sleep 0.02; done'


def started(folder: Path) -> list[str]:
    file = folder / "started"
    return [str(int(line, 16)) for line in file.read_text().split()] if file.exists() else []


def test_one_run_per_pipeline_others_in_order(start: Start, tmp_path: Path) -> None:
    """1 and 2 are of one pipeline: 2 waits, 3 does not."""
    _, client = start(command=["sh", "-c", GATE.format(tmp_path)])
    for number, pipeline in enumerate(["churn", "churn", "fraud"], start=1):
        client.submit(an_id(number), pipeline=pipeline)
    wait_until(lambda: sorted(started(tmp_path)) == ["1", "3"], 10, "1 and 3 starting")
    assert [client.get(an_id(number))["state"] for number in (1, 2, 3)] == ["running", "accepted", "running"]
    (tmp_path / "go").touch()
    client.wait_for("succeeded", an_id(2))
    first, second = client.get(an_id(1)), client.get(an_id(2))
    assert first["ended_at"] <= second["started_at"]


def test_no_more_runs_at_once_than_allowed(start: Start, tmp_path: Path) -> None:
    _, client = start(command=["sh", "-c", GATE.format(tmp_path)], max_parallel=2)
    for number in (1, 2, 3, 4):
        client.submit(an_id(number), pipeline=f"p{number}")
    wait_until(lambda: sorted(started(tmp_path)) == ["1", "2"], 10, "two runs")
    assert client.metric('retrain_bridge_coordinator_requests{state="running"}') == 2
    (tmp_path / "go").touch()
    for number in (1, 2, 3, 4):
        client.wait_for("succeeded", an_id(number))
    assert [int(number) for number in started(tmp_path)][2:] in ([3, 4], [4, 3])


def test_the_command_gets_the_request_in_both_ways(start: Start, tmp_path: Path) -> None:
    """JSON on standard input and in RETRAIN_REQUEST, the parts in separate variables; hostile text stays text."""
    script = f"cat > {tmp_path}/stdin; env -0 > {tmp_path}/env"
    _, client = start(command=["sh", "-c", script])
    hostile = f"$(touch {tmp_path}/hacked); `touch {tmp_path}/hacked` \"'\n\u2603"
    client.submit(reason=hostile)
    client.wait_for("succeeded")
    sent = {**body(reason=hostile), "generator_url": ""}
    assert json.loads((tmp_path / "stdin").read_text()) == sent
    found = dict(item.split("=", 1) for item in (tmp_path / "env").read_text().split("\0") if item)
    assert json.loads(found["RETRAIN_REQUEST"]) == sent
    assert {key: value for key, value in found.items() if key.startswith("RETRAIN_") and key != "RETRAIN_REQUEST"} == {
        "RETRAIN_REQUEST_ID": ID,
        "RETRAIN_PROJECT": "shop",
        "RETRAIN_PIPELINE": "churn",
        "RETRAIN_VERSION": "3",
        "RETRAIN_REASON": hostile,
    }
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    ("script", "state", "message"),
    [
        ("echo fine", "succeeded", "fine"),
        ("echo step; echo no gpu >&2; exit 3", "failed", "exit code 3: no gpu"),
        ("echo step; exit 3", "failed", "exit code 3: step"),
        ("exit 4", "failed", "exit code 4"),
        ("kill -9 $$", "failed", "killed by signal 9"),
        ("kill -9 $PPID; sleep 5", "failed", "killed by another process"),
    ],
)
def test_every_end_has_its_state_and_message(start: Start, script: str, state: str, message: str) -> None:
    _, client = start(command=["sh", "-c", script])
    client.submit()
    found = client.wait_for(state)
    assert (found["message"], found["new_version"]) == (message, "")
    assert client.metric(f'retrain_bridge_coordinator_runs_total{{state="{state}"}}') == 1
    assert client.metric("retrain_bridge_coordinator_run_duration_seconds_count") == 1


def test_a_run_is_killed_at_its_time_limit(start: Start) -> None:
    """The message names the limit."""
    _, client = start(command=["sleep", "60"], time_limit="500ms", kill_grace="1s")
    client.submit()
    assert client.wait_for("failed")["message"] == "killed at the time limit of 500ms"


@pytest.mark.parametrize(
    ("line", "warned"),
    [('{"new_version": 4}', True), ("new_version=4", True), ('{"new_version": "4"}', False), ("", False)],
)
def test_a_new_version_that_cannot_be_read_is_logged(
    start: Start, caplog: pytest.LogCaptureFixture, line: str, warned: bool
) -> None:
    """A number, for instance: the version is text."""
    _, client = start(command=["echo", line])
    client.submit()
    client.wait_for("succeeded")
    assert ("in no line such as" in caplog.text) is warned


def test_a_failed_run_names_no_new_version(start: Start) -> None:
    _, client = start(command=["sh", "-c", 'echo \'{"new_version": "4"}\'; exit 1'])
    client.submit()
    assert client.wait_for("failed")["new_version"] == ""


def test_a_run_that_cannot_be_started_failed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """No log file, no process: the request is not left running forever."""
    coordinator, client = start(command=["true"])
    (coordinator.config.storage / "runs").rmdir()
    client.submit()
    assert client.wait_for("failed")["message"].startswith("cannot start: [Errno 2] No such file or directory")


def test_the_output_is_kept_in_a_file_of_its_own(start: Start) -> None:
    coordinator, client = start(command=["sh", "-c", "echo out; echo err >&2"], log_limit=1024)
    client.submit()
    client.wait_for("succeeded")
    lines = (coordinator.config.storage / "runs" / f"{ID}.log").read_text().splitlines()
    assert sorted(lines) == ["err", "out"]


def test_a_ledger_that_fails_for_a_while_loses_no_run(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recording the start and the end are both retried, and the command still runs once."""
    monkeypatch.setattr(runner, "_RETRY_SECONDS", 0.02)
    coordinator, client = start(command=["sh", "-c", f"echo run >> {tmp_path}/runs"])
    failures = dict.fromkeys(["start_next", "move"], 2)
    for name in failures:
        real = getattr(coordinator._ledger, name)

        def flaky(*args: object, _name: str = name, _real: object = real, **more: object) -> object:
            if failures[_name]:
                failures[_name] -= 1
                raise StoreError("the ledger: database is locked")
            return _real(*args, **more)  # type: ignore[operator]

        monkeypatch.setattr(coordinator._ledger, name, flaky)
    client.submit()
    client.wait_for("succeeded")
    assert (tmp_path / "runs").read_text() == "run\n"
    assert failures == {"start_next": 0, "move": 0}


def test_a_stop_does_not_wait_for_a_broken_ledger(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the next start the request is still marked as running, and becomes lost."""
    coordinator, client = start(command=["true"])
    calls = []

    def broken(*args: object, **_: object) -> None:
        calls.append(args)
        raise StoreError("the ledger: disk I/O error")

    monkeypatch.setattr(coordinator._ledger, "move", broken)
    client.submit()
    wait_until(lambda: calls, 10, "the end of the run")
    started = time.monotonic()
    coordinator._runner.stop(0.1, 5)
    assert time.monotonic() - started < 60
    assert client.get()["state"] == "running"


def test_a_stop_ends_runs_and_calls_them_lost(start: Start, tmp_path: Path) -> None:
    coordinator, client = start(command=["sh", "-c", f"touch {tmp_path}/up; sleep 60"])
    client.submit()
    wait_until((tmp_path / "up").exists, 10, "the run")
    coordinator._runner.stop(1, 5)
    found = client.get()
    assert (found["state"], found["message"]) == (
        "lost",
        "stopped together with the coordinator; it is not restarted automatically",
    )
    client.submit(an_id(2))
    assert client.get(an_id(2))["state"] == "accepted"
