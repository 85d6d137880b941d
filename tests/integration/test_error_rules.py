"""The examples of the pages on burn_rate and error_e_process, over real counters in a real Prometheus."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.pages import ROOT, blocks

PAGES = ROOT / "docs" / "strategies"
MODEL = {"project": "shop", "pipeline": "ranking", "version": "7"}
LABELS = 'project="shop",pipeline="ranking",version="7"'


def said(folder: Path, page: str, series: dict[str, str], *tests: dict[str, Any], interval: str = "15s") -> str:
    """What `test rules` prints of the page's first example over series given by name, a value each interval."""
    rules, *_ = blocks(PAGES / page, "yaml")
    (folder / "rules.yml").write_text(rules)
    given = [
        {"series": f"{name}{{{LABELS}}}" if "{" not in name else name.replace("{", f"{{{LABELS},"), "values": values}
        for name, values in series.items()
    ]
    one = {"name": "example", "interval": interval, "input_series": given, "retrain_rule_test": list(tests)}
    (folder / "test.yml").write_text(
        json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [one]})
    )
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli", "test", "rules", "test.yml"],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    return done.stdout + done.stderr


def requested(rule: str, at: str, reason: str) -> dict[str, Any]:
    """One request at this instant, and no other before."""
    return {"eval_time": at, "rule": rule, "exp_requests": [{**MODEL, "triggered_at": at, "reason": reason}]}


def nothing(rule: str, at: str) -> dict[str, Any]:
    """No request up to this instant."""
    return {"eval_time": at, "rule": rule, "exp_requests": []}


def test_more_failures_than_allowed_are_proven_by_counters(tmp_path: Path) -> None:
    """800 requests a minute, 0.5 % of them failing, then 3 %: proven ten minutes later."""
    series = {"model_inferences_total": "0+200x480", "model_errors_total": "0+1x240 246+6x239"}
    reason = "FailsTooOften: signal 'failures': more than 1 % of inferences fail; evidence "
    tests = (nothing("FailsTooOften", "69m"), requested("FailsTooOften", "70m", reason))
    assert said(tmp_path, "error_e_process.md", series, *tests) == "test.yml: example: SUCCESS\n"


def test_a_budget_that_burns_is_found_by_counters(tmp_path: Path) -> None:
    """99.9 % promised, 2 % fail from the fifth hour on: when six hours hold six times what they may."""
    series = {"model_inferences_total": "0+200x1680", "model_errors_total": "0x1200 4+4x479"}
    reason = "over 6h and 30m (limit 6): 5.0"
    tests = (nothing("BudgetBurns", "409m"), requested("BudgetBurns", "410m", reason))
    assert said(tmp_path, "burn_rate.md", series, *tests) == "test.yml: example: SUCCESS\n"


@pytest.mark.parametrize(("bound", "asked"), [("0.3", True), ("0.25", False)])
def test_an_objective_on_latency_needs_its_bucket(tmp_path: Path, bound: str, asked: bool) -> None:
    """All answers take longer than 0.3 s; where no bucket ends there, nothing is known, and nothing said to be well."""
    series = {
        "model_latency_seconds_count": "0+200x960",
        f'model_latency_seconds_bucket{{le="{bound}"}}': "0x960",
    }
    reason = "SlowerThanPromised: signal 'slow_answers': the error budget burns at least "
    first = requested("SlowerThanPromised", "176m", reason) if asked else nothing("SlowerThanPromised", "240m")
    assert said(tmp_path, "burn_rate.md", series, first) == "test.yml: example: SUCCESS\n"
