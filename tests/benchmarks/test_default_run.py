"""Default run of the benchmarks: it ends in time, whatever a benchmark does."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from benchmarks.__main__ import RUNS, Run, figures


def test_it_ends_within_an_hour() -> None:
    """Even if each benchmark takes all of its time, at most eight minutes."""
    assert sum(run.limit for run in RUNS) <= 3600
    assert max(run.limit for run in RUNS) <= 480


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_each_command_names_a_benchmark(run: Run) -> None:
    assert find_spec(f"benchmarks.{run.command.split()[0]}") is not None


@pytest.mark.parametrize(
    ("command", "limit", "text"),
    [("outbox", 0.01, "did not end within 0 s"), ("outbox --unknown", 300.0, "failed with exit code 2")],
)
def test_a_benchmark_without_figures_has_a_reason(command: str, limit: float, text: str) -> None:
    """The others follow."""
    assert figures(command, limit) == text
