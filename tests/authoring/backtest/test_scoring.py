"""Requests against ground truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.authoring.backtest.scoring import LabelsError, Score, baselines, read_labels, score
from bridge.domain.model import ModelKey

MODEL = ModelKey("shop", "ranking", "7")
HOUR, WEEK = 3600, 7 * 86400


def labels(folder: Path, **more: Any) -> Path:
    """Return one model with 1,000 hourly rows from 0; probation ends at row 150."""
    one = {**MODEL.labels(), "rows": [[0, HOUR, 600], [600 * HOUR, HOUR, 400]], "windows": [], "ignore": [], **more}
    path = folder / "labels.json"
    path.write_text(json.dumps({"models": [one], "part": "x"}))
    return path


def scored(path: Path, *hours: float) -> Score:
    return score(read_labels(path), {MODEL: [round(hour * HOUR * 1000) for hour in hours]})


def test_a_request_inside_a_window_detects_it(tmp_path: Path) -> None:
    """The delay is the share of the window that had passed at the first request."""
    result = scored(labels(tmp_path, windows=[[200 * HOUR, 220 * HOUR]]), 205, 215)
    assert (result.windows, result.detected, result.false_alarms, result.median_delay) == (1, 1, 0, 0.25)


def test_a_request_outside_is_a_false_alarm_once_a_row(tmp_path: Path) -> None:
    """Two requests between the same rows count once; a request after the last row belongs to it."""
    result = scored(labels(tmp_path, windows=[[200 * HOUR, 220 * HOUR]]), 300.1, 300.9, 301, 5000)
    assert (result.detected, result.false_alarms, result.median_delay) == (0, 3, None)


def test_probation_and_ignored_intervals_do_not_count(tmp_path: Path) -> None:
    """Neither right nor wrong."""
    windows = [[100 * HOUR, 110 * HOUR], [200 * HOUR, 210 * HOUR]]
    path = labels(tmp_path, windows=windows, ignore=[[211 * HOUR, 220 * HOUR]])
    result = scored(path, -5, 105, 149, 215)
    assert (result.windows, result.detected, result.false_alarms) == (1, 0, 0)


def test_false_alarms_are_reported_by_the_week_of_scored_time(tmp_path: Path) -> None:
    """From the end of probation to the last row, without windows and ignored intervals."""
    path = labels(tmp_path, windows=[[200 * HOUR, 220 * HOUR]], ignore=[[220 * HOUR, 230 * HOUR]])
    result = scored(path, 300, 400)
    assert result.weeks == pytest.approx((849 - 30) * HOUR / WEEK)
    assert result.false_alarms_per_week == pytest.approx(2 / result.weeks)
    assert result.shown() == {
        "windows": "1", "detected": "0", "false_alarms": "2", "false_alarms_per_model_week": "0.41",
        "median_delay": "-",
    }  # fmt: skip


def test_nothing_scored_has_no_rate(tmp_path: Path) -> None:
    """A model without rows."""
    result = scored(labels(tmp_path, rows=[]), 300)
    assert (result.false_alarms, result.weeks, result.false_alarms_per_week) == (0, 0.0, None)
    assert result.to_json()["false_alarms_per_model_week"] is None


def test_less_than_a_model_week_has_no_rate(tmp_path: Path) -> None:
    """A false alarm in two hours is not extrapolated to 84 per week; another model completes the week."""
    hour = [[0, 60, 120]]
    few = scored(labels(tmp_path, rows=hour), 1)
    assert few.false_alarms == 1
    assert (few.false_alarms_per_week, few.shown()["false_alarms_per_model_week"]) == (None, "-")


def test_the_ways_to_do_without_a_bridge(tmp_path: Path) -> None:
    """Never, at every row, and every 24 hours from the first row."""
    path = labels(tmp_path, windows=[[200 * HOUR, 220 * HOUR]])
    result = {name: score(read_labels(path), made) for name, made in baselines(read_labels(path)).items()}
    assert [(name, item.detected, item.false_alarms) for name, item in result.items()] == [
        ("never", 0, 0), ("always", 1, 829), ("every 24 h", 1, 34),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is not JSON: "),
        ("[" * 100_000, "it is not JSON: "),
        ("[]", "it must be a mapping, not a list"),
        ('{"models": 1}', "models must be a list, not a number"),
        ('{"models": [{"project": "a"}]}', r"models\[0\]\.pipeline is missing"),
        ('{"models": [{"rows": [[0, 1, "x"]]}]}', r"models\[0\]\.project is missing"),
    ],
)
def test_an_invalid_file_of_labels_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """The message names the file, the place and what is wrong there."""
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(LabelsError, match=rf"labels\.json is not a valid file of --labels: {problem}"):
        read_labels(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The message names the file, too."""
    with pytest.raises(LabelsError, match="nowhere"):
        read_labels(tmp_path / "nowhere")
