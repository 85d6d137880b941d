"""The conformance suite of the stubs, against real servers: tests/sinks/test_run.py and runs/test_following.py."""

from __future__ import annotations

from tests.sinks import test_run as starting
from tests.sinks import test_run_held as held
from tests.sinks.runs import test_following as following
from tests.sinks.test_run import bench

__all__ = ["bench"]

# They need a state that a real server cannot be put into; test_life and test_faults cover them with real runs.
ONLY_STUBS = {
    "test_an_unknown_state_does_not_end_a_run",
    "test_each_state_is_reported_once",
    "test_a_run_that_failed_or_was_cancelled_is_reported",
    "test_a_run_is_cancelled",
    "test_a_run_that_never_starts_is_overdue",
}
ALL = {**vars(starting), **vars(held), **vars(following)}
SUITE = {name: test for name, test in ALL.items() if name.startswith("test_")}
CASES = {name: test for name, test in SUITE.items() if name not in ONLY_STUBS}
globals().update(CASES)


def test_the_suite_is_here() -> None:
    """Or nothing above would be tested."""
    assert len(CASES) >= 20
    assert set(SUITE) > ONLY_STUBS
