"""kill -9 of the real coordinator: what ran is lost and never run again, what waited runs once."""

from __future__ import annotations

import random
import signal
import threading
from pathlib import Path
from typing import Any

import requests

from tests.support.coordinator import ID, an_id, body, listening_bridge, process
from tests.support.processes import wait_until


def kill(coordinator: object) -> None:
    popen = coordinator.popen  # type: ignore[attr-defined]
    popen.send_signal(signal.SIGKILL)
    popen.wait(300)


def runs(folder: Path) -> list[str]:
    file = folder / "runs"
    return sorted(file.read_text().split()) if file.exists() else []


def command(folder: Path, rest: str = "") -> list[str]:
    return ["sh", "-c", f"echo $RETRAIN_REQUEST_ID >> {folder}/runs; {rest}"]


def test_a_run_that_was_going_on_is_lost_and_never_run_again(tmp_path: Path) -> None:
    """Nobody knows how far it came; the bridge is told and decides. Its processes end with the coordinator."""
    script = command(tmp_path, f"echo $$ > {tmp_path}/pid; sleep 60; sleep 60")
    with listening_bridge() as bridge:
        with process(tmp_path / "c", command=script, bridge_url=bridge.url) as coordinator:
            coordinator.client.submit()
            wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), 10, "the run")
            kill(coordinator)
        pid = int((tmp_path / "pid").read_text())
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), 10, "the run's end")
        with process(tmp_path / "c", command=script, bridge_url=bridge.url) as coordinator:
            found = coordinator.client.get()
            assert (found["state"], found["message"]) == ("lost", "the coordinator ended while it was running")
            again = coordinator.client.submit()
            assert (again.status_code, again.json()["state"]) == (200, "lost")
            wait_until(lambda: "lost" in bridge.states(), 10, "the report")
            coordinator.client.submit(an_id(2))
            wait_until(lambda: an_id(2) in runs(tmp_path), 10, "the next request's run")
    assert runs(tmp_path) == [an_id(2), ID]


def test_what_waited_runs_once_after_the_restart(tmp_path: Path) -> None:
    """Answered with 202 means: it will run, whatever is killed."""
    with process(tmp_path / "c", command=command(tmp_path, "sleep 60")) as coordinator:
        for number in (1, 2, 3):
            assert coordinator.client.submit(an_id(number)).status_code == 202
        wait_until(lambda: runs(tmp_path) == [an_id(1)], 10, "the first run")
        kill(coordinator)
    with process(tmp_path / "c", command=command(tmp_path)) as coordinator:
        for number in (2, 3):
            coordinator.client.wait_for("succeeded", an_id(number))
        assert coordinator.client.get(an_id(1))["state"] == "lost"
        assert coordinator.client.submit(an_id(2)).status_code == 200
    assert runs(tmp_path) == [an_id(1), an_id(2), an_id(3)]


def test_killed_at_random_moments_each_request_runs_at_most_once_and_none_is_forgotten(tmp_path: Path) -> None:
    """A sender that repeats until it is answered, eight kills: every id ends, none has two runs.

    Lost ones may have run or not; succeeded ones ran exactly once.
    """
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    ids = [an_id(number) for number in range(1, 25)]
    waiting, url = list(ids), [""]
    done = threading.Event()

    def send() -> None:
        while waiting and not done.is_set():
            try:
                sent = body(waiting[0], pipeline=f"p{int(waiting[0], 16) % 5}")
                key = {"Idempotency-Key": waiting[0]}
                requests.post(f"{url[0]}/api/v1/retrain-requests", json=sent, headers=key, timeout=2).raise_for_status()
                waiting.pop(0)
            except requests.RequestException:
                done.wait(0.02)

    sender = threading.Thread(target=send)
    config: dict[str, Any] = {"command": command(tmp_path, "sleep 0.05"), "max_parallel": 3}
    try:
        for round_ in range(8):
            with process(tmp_path / "c", **config) as coordinator:
                url[0] = coordinator.client.url
                if round_ == 0:
                    sender.start()
                threading.Event().wait(rng.uniform(0, 0.3))
                kill(coordinator)
        with process(tmp_path / "c", **config) as coordinator:
            url[0] = coordinator.client.url
            sender.join(300)
            ends = {"succeeded", "lost"}
            wait_until(lambda: all(coordinator.client.get(one)["state"] in ends for one in ids), 30, "every end")
            states = {one: coordinator.client.get(one)["state"] for one in ids}
    finally:
        done.set()
        sender.join(5)
    ran = runs(tmp_path)
    print({state: list(states.values()).count(state) for state in ("succeeded", "lost")}, f"{len(ran)} runs")
    assert len(ran) == len(set(ran))
    assert {one for one, state in states.items() if state == "succeeded"} <= set(ran)
    assert list(states.values()).count("lost") <= 8 * 3
