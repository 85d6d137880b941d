"""Charts of recorded signals."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bridge.authoring.backtest.charts import Chart, svg
from bridge.authoring.backtest.recording import MOST_MODELS, STEPS, Line, Recorder, Recording
from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.times import HOUR
from bridge.engine.evaluation.evaluation import Evaluation
from bridge.engine.evaluation.rule import RuleEvaluator
from tests.support.world import group, rule

SINCE = 1_700_000_000_000
UNTIL = SINCE + STEPS * HOUR


def cells(numbers: dict[int, float]) -> np.ndarray:
    result = np.full(STEPS, np.nan, np.float32)
    for position, number in numbers.items():
        result[position] = number
    return result


def line(numbers: dict[int, float], statistic: dict[int, float] | None = None, limit: float = np.nan) -> Line:
    known = cells(numbers)
    return Line(known, known, cells(numbers if statistic is None else statistic), cells(dict.fromkeys(numbers, limit)))


def polylines(text: str, name: str) -> list[str]:
    return re.findall(rf'<polyline class="{name}" points="([^"]*)"/>', text)


def test_a_gap_in_a_signal_is_a_gap_in_its_line() -> None:
    """Two stretches; a single point is drawn as a short line."""
    text = svg(Chart("t", SINCE, UNTIL, line({0: 1.0, 1: 2.0, 10: 3.0})))
    result = polylines(text, "signal")
    assert [len(points.split()) for points in result] == [2, 2]
    (first, second) = result[1].split()
    assert first.split(",")[1] == second.split(",")[1]
    assert float(second.split(",")[0]) - float(first.split(",")[0]) == pytest.approx(1.5)


def test_each_step_goes_from_its_lowest_to_its_highest_number() -> None:
    """No extreme in between is lost."""
    low, high = cells({0: 1.0, 1: 1.0}), cells({0: 5.0, 1: 1.0})
    text = svg(Chart("t", SINCE, UNTIL, Line(low, high, low, cells({}))))
    assert len(polylines(text, "signal")[0].split()) == 3


def test_a_statistic_of_its_own_has_a_picture_of_its_own() -> None:
    """With its threshold; the picture of the signal has none."""
    text = svg(Chart("t", SINCE, UNTIL, line({0: 100.0, 1: 110.0}, {0: 0.5, 1: 3.0}, limit=2.0)))
    assert text.count("<svg") == 2
    signal, statistic = text.split("</svg>")[:2]
    assert (len(polylines(signal, "signal")), len(polylines(signal, "threshold"))) == (1, 0)
    assert (len(polylines(statistic, "statistic")), len(polylines(statistic, "threshold"))) == (1, 1)


def test_numbers_that_stand_still_are_drawn() -> None:
    """Zero, and a large one."""
    for value in (0.0, 1e12, -3.0):
        text = svg(Chart("t", SINCE, UNTIL, line({0: value, 1: value})))
        assert "nan" not in text.lower()
        assert len(polylines(text, "signal")) == 1


def test_nothing_to_draw_is_said() -> None:
    """Instead of an empty picture."""
    assert svg(Chart("t", SINCE, UNTIL, line({}))) == '<p class="soft">signal: no numbers to draw</p>'


def test_windows_outside_the_span_are_not_drawn() -> None:
    """A window that reaches beyond the edge ends there."""
    windows = [(SINCE - 5 * HOUR, SINCE - 4 * HOUR), (UNTIL - HOUR, UNTIL + 50 * HOUR)]
    text = svg(Chart("t", SINCE, UNTIL, line({0: 1.0}), windows=windows))
    ((x, width),) = re.findall(r'<rect class="window" x="([0-9.]+)" y="10" width="([0-9.]+)"', text)
    assert float(x) + float(width) == pytest.approx(874, abs=0.2)


# ---------------------------------------------------------------- recording


def judged(table: ModelTable, run: RuleEvaluator, models: int, slot: int) -> RuleEvaluator:
    """Return a rule after a slot in which so many models had a sample."""
    index = np.array([table.row(ModelKey("p", f"{number}", "1")) for number in range(models)], np.int32)
    batch = EventBatch("drift", EventKind.DRIFT, slot, table, index, {"value": np.arange(models, dtype=float)})
    run.begin()
    assert isinstance(run.evaluate(batch, np.zeros(models, np.int64)), Evaluation)
    run.commit()
    return run


def test_models_beyond_the_first_thousand_are_not_recorded() -> None:
    """The recording is bounded in models and in time."""
    table = ModelTable()
    run = RuleEvaluator.of(group(rule()), rule(), table)
    recorder = Recorder(SINCE, UNTIL, table)
    recorder.take([judged(table, run, 3, SINCE)], SINCE)
    recorder.take([judged(table, run, MOST_MODELS + 5, SINCE + HOUR)], SINCE + HOUR)
    last = recorder.line("Drifted", MOST_MODELS - 1)
    assert last is not None
    assert last.high[:3].tolist() == pytest.approx([np.nan, MOST_MODELS - 1, np.nan], nan_ok=True)
    assert recorder.line("Drifted", MOST_MODELS) is None
    assert recorder.recording().tracks["Drifted"].models == MOST_MODELS


def test_a_recording_goes_on_where_it_was() -> None:
    """After an interruption, in another process."""
    table = ModelTable()
    run = RuleEvaluator.of(group(rule()), rule(), table)
    first = Recorder(SINCE, UNTIL, table)
    first.take([judged(table, run, 2, SINCE)], SINCE)
    second = Recorder(SINCE, UNTIL, table, first.recording())
    second.take([judged(table, run, 2, UNTIL)], UNTIL)
    result = second.line("Drifted", 1)
    assert result is not None
    assert np.flatnonzero(np.isfinite(result.low)).tolist() == [0, STEPS - 1]
    assert result.threshold[0] == pytest.approx(0.6)


def test_a_slot_without_an_answer_records_nothing() -> None:
    """There is nothing to draw."""
    table = ModelTable()
    run = RuleEvaluator.of(group(rule()), rule(), table)
    recorder = Recorder(SINCE, UNTIL, table)
    recorder.take([run], SINCE)
    assert recorder.recording() == Recording(SINCE, UNTIL)
