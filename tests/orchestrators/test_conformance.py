"""The conformance suite of the stubs, against real servers: see tests/sinks/runs/test_conformance.py."""

from __future__ import annotations

from tests.sinks.runs import test_conformance as suite
from tests.sinks.runs.test_conformance import bench

__all__ = ["bench"]

# They need a state that a real server cannot be put into; test_life and test_faults cover them with real runs.
ONLY_STUBS = {
    "test_an_unknown_word_is_unknown_and_not_an_end",
    "test_the_life_of_a_run_comes_back",
    "test_an_unhappy_end",
    "test_a_run_is_cancelled",
    "test_a_run_that_never_starts_is_overdue",
}
CASES = {name: test for name, test in vars(suite).items() if name.startswith("test_") and name not in ONLY_STUBS}
globals().update(CASES)


def test_the_suite_is_here() -> None:
    """Or nothing above would be tested."""
    assert len(CASES) >= 20
    assert set(vars(suite)) > ONLY_STUBS
