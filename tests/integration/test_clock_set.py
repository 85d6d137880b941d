"""The real process under a wall clock that is set (libfaketime): evaluation goes on, whatever is done to the clock.

Prometheus keeps the true time.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bridge import REMOTE_WRITE, Bridge, bridge, drift_rules, steps, whole_second, write_script
from tests.support.processes import wait_until
from tests.support.receiver import Receiver
from tests.support.servers import Prometheus, prometheus

SECOND = 1000
SOON = 60.0  # seconds that a request may take on a busy machine; far less than the clocks are set by
BACK = 600


class WallClock:
    """Of the bridge alone: the true time plus so many seconds."""

    def __init__(self, folder: Path, ahead: int = 0) -> None:
        self._file = folder / "faketime"
        self.set(ahead)
        program = shutil.which("faketime")
        assert program, "install faketime"
        (library,) = (Path(program).resolve().parents[1] / "lib").glob("*/faketime/libfaketimeMT.so.1")
        self.env = {
            "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip

    def set(self, ahead: float) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead:+g}\n")
        new.replace(self._file)


@pytest.fixture
def source() -> Iterator[Prometheus]:
    """A server for each test: the models that another one breached would be breached here, too."""
    with prometheus(flags=[REMOTE_WRITE]) as server:
        yield server


def breach(source: Prometheus, pipeline: str) -> None:
    """A model that is breached from now on."""
    begins, ends = whole_second(), whole_second(300)
    write_script(source, {("shop", pipeline, "1"): steps(begins, ends, [(begins, ends)])})


def asked(process: Bridge, pipeline: str) -> bool:
    return any(request["pipeline"] == pipeline for request in process.requests())


def evaluates(process: Bridge) -> None:
    """Some more slots are evaluated, each later than the one before."""
    seen = [process.stored_slot()]

    def grown() -> bool:
        seen.append(process.stored_slot())
        return len(set(seen)) > 3

    wait_until(grown, SOON, "more slots")
    assert seen == sorted(seen), "it never goes back"


def lead(process: Bridge) -> float:
    return process.metric("retrain_bridge_clock_lead_seconds ")


def steps_seen(process: Bridge, direction: str) -> float:
    return process.metric(f'retrain_bridge_clock_steps_total{{direction="{direction}"}}')


def test_a_clock_that_is_set_back_stops_nothing(source: Prometheus, tmp_path: Path) -> None:
    """By ten minutes: a breach is asked for within some slots and told to the receiver; setting it right is noticed.

    A restart while it is behind goes on after the last slot that is stored.
    """
    wall = WallClock(tmp_path)
    hook = Receiver()
    with hook, bridge(
        source.url, drift_rules(), {"webhook_configs": [{"url": hook.url}]}, env=wall.env
    ) as process:  # fmt: skip
        process.start()
        evaluates(process)
        wall.set(-BACK)
        breach(source, "one")
        wait_until(lambda: asked(process, "one"), SOON, "the request")
        wait_until(lambda: len(hook.requests) == 1, SOON, "its delivery")
        assert lead(process) > BACK - 2 * SOON
        assert steps_seen(process, "back") == 1
        assert "the wall clock was set back" in process.program.log
        assert process.ready()
        process.kill()
        process.start()
        breach(source, "two")
        wait_until(lambda: asked(process, "two"), SOON, "the request after a restart")
        evaluates(process)
        assert "the wall clock is behind the last stored slot" in process.program.log
        wall.set(0)
        wait_until(lambda: lead(process) == 0, SOON, "the clock that is right again")
        breach(source, "three")
        wait_until(lambda: asked(process, "three"), SOON, "the request")
        evaluates(process)
        assert steps_seen(process, "forward") == 1
        assert len(process.requests()) == 3


def test_a_clock_that_was_ahead_and_is_corrected_reads_what_is_there(source: Prometheus, tmp_path: Path) -> None:
    """By an hour, as of a machine that boots with a wrong clock: Prometheus is not asked for its future."""
    wall = WallClock(tmp_path, 3600)
    with bridge(source.url, drift_rules(), {"log_configs": [{}]}, env=wall.env) as process:
        process.start()
        evaluates(process)
        wall.set(0)
        breach(source, "four")
        wait_until(lambda: asked(process, "four"), SOON, "the request")
        evaluates(process)
        assert lead(process) > 3600 - 2 * SOON


def test_small_steps_are_of_no_interest(source: Prometheus, tmp_path: Path) -> None:
    """Six tenths of a second back and forth, again and again: a second would be a step."""
    wall = WallClock(tmp_path)
    with bridge(source.url, drift_rules(), {"log_configs": [{}]}, env=wall.env) as process:
        process.start()
        for ahead in (0.3, -0.3, 0.3, 0):
            wall.set(ahead)
            evaluates(process)
        breach(source, "five")
        wait_until(lambda: asked(process, "five"), SOON, "the request")
        assert steps_seen(process, "back") == 0
