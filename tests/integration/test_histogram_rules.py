"""Rules on histograms over real counters in a real Prometheus: tests of rules, backtests, and a bridge that runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.integration.test_error_rules import nothing, requested, said
from tests.support.pages import ROOT
from tests.support.servers import prometheus

FIRST = 1_700_000_000 // 3600 * 3600
RULES = """
groups:
- name: shape
  interval: 15m
  query_offset: 0s
  signals:
    latency:
      event: latency
      unit: seconds
      window: 1h
      buckets: 'sum by (project, pipeline, version, le) (increase(model_latency_seconds_bucket[$window]))'
      reference: 'sum by (project, pipeline, version, le) (increase(model_latency_seconds_bucket[$window] offset 1d))'
  rules:
  - {retrain: Moved, signal: latency, for: 30m}
"""

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


def test_a_histogram_that_changes_its_shape_is_requested_once_with_a_reason_in_units(tmp_path: Path) -> None:
    """Like a week ago for three hours, then slower: found when half of the window is, asked for after 30 minutes."""
    drifts = (WEEK + 180) // 5
    reason = "mean of latency +38 ms, 158 ms instead of 120 ms; chi-square "
    tests = (
        nothing("ShapeOfLatency", f"{WEEK + 225}m"),
        requested("ShapeOfLatency", f"{WEEK + 240}m", reason),
    )
    found = said(tmp_path, "histograms.md", latencies(drifts, drifts + 48), *tests, interval="5m")
    assert found == "test.yml: example: SUCCESS\n"


def buckets(pipeline: str, after: dict[str, int], drifts: int, ends: int) -> list[str]:
    """Samples of a model, every five minutes. `coarse` changes a bound after one day and a half, `torn` has no +Inf."""
    labels, lines = f'project="shop",pipeline="{pipeline}",version="1"', []
    for le, before in CALM.items():
        for step in range(ends):
            gone = ("0.1", "0.5")[step < 36 * 12] if pipeline == "coarse" else {"torn": "+Inf"}.get(pipeline)
            count = before * min(step, drifts) + after[le] * max(0, step - drifts)
            if le != gone:
                lines.append(f'model_latency_seconds_bucket{{{labels},le="{le}"}} {count} {FIRST + 300 * step}')
    return lines


def test_a_backtest_finds_what_histograms_did(tmp_path: Path) -> None:
    """As ever, then slower after two days: one request an hour later. A model that stays as it was: none.

    One has other bounds than a day ago: what both have is compared. One has no +Inf, and is never asked for.
    """
    drifts, ends = 48 * 12, 52 * 12
    models = {"plain": SLOW, "quiet": CALM, "coarse": SLOW, "torn": SLOW}
    lines = [line for pipeline, after in models.items() for line in buckets(pipeline, after, drifts, ends)]
    (tmp_path / "rules.yml").write_text(RULES)
    with prometheus(history="\n".join(["# TYPE model_latency_seconds_bucket gauge", *lines, "# EOF\n"])) as server:
        done = subprocess.run(
            [
                sys.executable, "-m", "bridge.cli", "backtest", "--rules=rules.yml", f"--prometheus.url={server.url}",
                f"--from={FIRST + 42 * 3600}", f"--to={FIRST + 300 * ends}", "--decisions=decisions.jsonl",
            ],
            cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
            env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    asked = [json.loads(line) for line in (tmp_path / "decisions.jsonl").read_text().splitlines()]
    changed = datetime.fromtimestamp(FIRST + 300 * drifts, UTC)
    found = {item["pipeline"]: datetime.fromisoformat(item["triggered_at"]) - changed for item in asked}
    assert sorted(found) == ["coarse", "plain"]
    # a third of the window, a slot, and 30 minutes
    assert all(timedelta(minutes=45) < late <= timedelta(minutes=70) for late in found.values()), found
    reasons = {item["pipeline"]: item["reason"] for item in asked}
    assert " (df 3), p " in reasons["plain"]
    assert " (df 1), p " in reasons["coarse"]  # 0.25 and 1 are what both have
    assert len(asked) == 2
