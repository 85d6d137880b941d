"""Rules on histograms over real counters in a real Prometheus: tests of rules, backtests, and a bridge that runs."""

from __future__ import annotations

from pathlib import Path

from tests.integration.test_error_rules import nothing, requested, said

WEEK = 7 * 24 * 60  # minutes
CALM = {"0.1": 40, "0.25": 80, "0.5": 90, "1": 100, "+Inf": 100}  # of 100 requests in five minutes
SLOW = {"0.1": 10, "0.25": 50, "0.5": 80, "1": 100, "+Inf": 100}


def latencies(drifts: int, ends: int) -> dict[str, str]:
    """A counter for each bucket, every five minutes, that changes its slope after so many of them; and their sum."""
    series = {}
    for le, before in CALM.items():
        series[f'model_latency_seconds_bucket{{le="{le}"}}'] = slope(before, SLOW[le], drifts, ends)
    return series | {"model_latency_seconds_sum": slope(12, 15.8, drifts, ends)}


def slope(before: float, after: float, drifts: int, ends: int) -> str:
    """In the notation of promtool."""
    return f"0+{before}x{drifts} {before * drifts + after}+{after}x{ends - drifts - 1}"


def test_a_histogram_that_changes_its_shape_is_asked_for_once_with_a_reason_in_units(tmp_path: Path) -> None:
    """Like a week ago for three hours, then slower: found when half of the window is, asked for after 30 minutes."""
    drifts = (WEEK + 180) // 5
    reason = "mean of latency +38 ms, 158 ms instead of 120 ms; chi-square "
    tests = (
        nothing("ShapeOfLatency", f"{WEEK + 225}m"),
        requested("ShapeOfLatency", f"{WEEK + 240}m", reason),
    )
    found = said(tmp_path, "histograms.md", latencies(drifts, drifts + 48), *tests, interval="5m")
    assert found == "test.yml: example: SUCCESS\n"
