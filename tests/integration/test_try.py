"""`try` on a real Prometheus with the history of other people's series, and on an empty one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bridge.config.load import load
from tests.support.remote_write import remote_write
from tests.support.servers import prometheus

ROOT = Path(__file__).parents[2]
STEP, DAYS = 300, 3
DRIFTS = range(2 * 288, 2 * 288 + 60)  # five hours of the third day


def history(now: int) -> str:
    """Three models with a sample every five minutes, of which one drifts, and a model with a few samples."""
    begin = now // STEP * STEP - DAYS * 86_400
    lines = ["# TYPE churn_drift gauge"]
    for model in ("calm", "drifts", "steady"):
        for number in range(DAYS * 288 + 2):
            noise = (number * 7919 % 101) / 5000
            value = 0.1 + noise + (0.6 if model == "drifts" and number in DRIFTS else 0)
            labels = f'project="shop",pipeline="{model}",version="1"'
            lines.append(f"churn_drift{{{labels}}} {value:.4f} {begin + number * STEP}")
    young = 'churn_drift{project="shop",pipeline="young",version="1"}'
    lines += [f"{young} 0.1 {begin + (DAYS * 288 + number) * STEP}" for number in range(-4, 2)]
    return "\n".join([*lines, "# EOF", ""])


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit code and both outputs of `try`."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli", "try", *words],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_trial_reports_what_the_rules_would_have_done(tmp_path: Path) -> None:
    """One request for the model that drifts, in the five hours; one page, and files that the check accepts."""
    now = int(time.time())
    with prometheus(history=history(now)) as server:
        code, out, err = run(tmp_path, "--prometheus", server.url, "--last=3d", "-o", "trial")
        assert (code, err) == (0, ""), err
    said, young, step, request, written, following = out.splitlines()
    assert said == "On four models over the last 3d, these rules would have requested one retraining, for one model."
    assert young == "One model has too few values for a verdict so far."
    assert step == "For a quick answer, the trial evaluated every 2m; the bridge evaluates every 1m."
    assert "shop/drifts/1  ChurnDriftUnusual: " in request
    assert written == "written: trial/report.html, trial/bridge.yml, trial/rules/metrics.yml"
    assert following.endswith("retrain-bridge run --config.file=trial/bridge.yml")
    assert [rule.name for group in load(tmp_path / "trial" / "bridge.yml").groups for rule in group.rules] == [
        "ChurnDriftUnusual"
    ]
    page = (tmp_path / "trial" / "report.html").read_text()
    assert f"<p>{said}</p>" in page
    assert "ChurnDriftUnusual: shop/drifts/1</h3>" in page
    assert "http" not in page.partition("<style>")[0]
    code, _, err = run(tmp_path, "--prometheus", server.url, "-o", "trial")
    assert (code, "trial exists; set --output to a new folder" in " ".join(err.split())) == (2, True), err


def test_a_history_that_is_too_short_is_named_as_the_reason(tmp_path: Path) -> None:
    """The samples are younger than the last evaluated time: every 15 s, the values of 7 s before."""
    labels = {"__name__": "churn_drift", "project": "shop", "pipeline": "new", "version": "1"}
    minute = int(time.time()) // 60 * 60 - 60
    with prometheus(flags=["--web.enable-remote-write-receiver"]) as server:
        remote_write(server.url, [(labels, [((minute + 9) * 1000, 0.1), ((minute + 11) * 1000, 0.2)])])
        code, out, err = run(
            tmp_path, "--prometheus", server.url, "--last=1h", f"--until={minute + 14}", "-o", "trial"
        )  # fmt: skip
    assert code == 0, err
    assert "One model has a value now: the history is too short." in out
    assert "No model had a value at an evaluated time" in (tmp_path / "trial" / "report.html").read_text()


def test_an_empty_prometheus_is_reported(tmp_path: Path) -> None:
    """Exit code 1, what to do next, and no file."""
    with prometheus() as server:
        code, out, err = run(tmp_path, "--prometheus", server.url)
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        f"{server.url} has 0 metrics, and none of them looks like a signal of a model",
        "no rule can be tried: scrape your model servers, or write a rule on your own metrics (docs/rules.md)",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_time_limit_ends_the_trial_early(tmp_path: Path) -> None:
    """The page says until when the history was evaluated."""
    with prometheus(history=history(int(time.time()))) as server:
        code, out, err = run(tmp_path, "--prometheus", server.url, "--last=3d", "--time-limit=1ms")
    assert (code, err) == (0, ""), err
    assert "The time limit ended the trial at " in out
