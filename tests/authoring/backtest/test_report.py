"""Charts of the backtest report: data for charts.js, and a static picture."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import numpy as np
import pytest

from bridge.authoring.backtest.recording import Line
from bridge.authoring.backtest.report import Chart, figure
from bridge.domain.times import HOUR

SINCE = 1_700_000_000_000
STEPS = 12
UNTIL = SINCE + STEPS * HOUR
NAN = float("nan")


def cells(*numbers: float) -> np.ndarray:
    return np.array([*numbers, *[np.nan] * (STEPS - len(numbers))], np.float32)


def line(*numbers: float, statistic: tuple[float, ...] = (), limit: float = NAN) -> Line:
    value = cells(*numbers)
    return Line(value, value, cells(*(statistic or numbers)), cells(*[limit] * len(numbers)))


def trail(chart: Chart) -> dict[str, Any]:
    """What charts.js reads."""
    found = re.search(r'data-trail="([^"]*)"', figure(chart, 0))
    assert found is not None
    result: dict[str, Any] = json.loads(unescape(found[1]))
    return result


def test_a_gap_in_a_signal_is_a_gap_in_its_line() -> None:
    numbers = trail(Chart("t", SINCE, UNTIL, line(1.0, NAN, 3.0)))
    assert numbers["value"][:3] == [1.0, None, 3.0]
    assert numbers["slots"][:2] == [SINCE / 1000 + 1800, SINCE / 1000 + 5400]


def test_a_step_with_several_values_has_a_band() -> None:
    """No extreme in between is lost; without several values there is no band."""
    low, high = cells(1.0, 1.0), cells(5.0, 1.0)
    numbers = trail(Chart("t", SINCE, UNTIL, Line(low, high, low, cells())))
    assert (numbers["lower"][:2], numbers["value"][:2], numbers["upper"][:2]) == ([1, 1], [3, 1], [5, 1])
    assert numbers["labels"] == {"value": "middle", "lower": "lowest", "upper": "highest"}
    plain = trail(Chart("t", SINCE, UNTIL, line(1.0, 2.0)))
    assert (set(plain["lower"]), set(plain["upper"]), plain["labels"]) == ({None}, {None}, {})


@pytest.mark.parametrize(("statistic", "own"), [((100.0, 110.0), False), ((0.5, 3.0), True)])
def test_a_statistic_that_differs_has_a_scale_of_its_own(statistic: tuple[float, ...], own: bool) -> None:
    numbers = trail(Chart("t", SINCE, UNTIL, line(100.0, 110.0, statistic=statistic, limit=2.0)))
    assert numbers["own"] is own
    assert numbers["threshold"][:2] == [2.0, 2.0]


def test_windows_outside_the_span_are_not_drawn() -> None:
    windows = [(SINCE - 5 * HOUR, SINCE - 4 * HOUR), (UNTIL - HOUR, UNTIL + 50 * HOUR)]
    numbers = trail(Chart("t", SINCE, UNTIL, line(1.0), windows=windows))
    assert numbers["windows"] == [[(UNTIL - HOUR) / 1000, (UNTIL + 50 * HOUR) / 1000]]


def test_marks_of_many_requests_have_no_text() -> None:
    """It would cover the lines; the table of requests lists them."""
    few = trail(Chart("t", SINCE, UNTIL, line(1.0), requests=[SINCE + HOUR]))
    assert few["marks"] == [[SINCE / 1000 + 3600, "request"]]
    many = trail(Chart("t", SINCE, UNTIL, line(1.0), requests=[SINCE + number for number in range(13)]))
    assert {text for _, text in many["marks"]} == {""}


@pytest.mark.parametrize("value", [0.0, 1e12, -3.0])
def test_a_figure_holds_a_picture_for_readers_without_scripts(value: float) -> None:
    text = figure(Chart("R: <b>", SINCE, UNTIL, line(value, value)), 3)
    assert 'id="chart-3"' in text
    assert "R: &lt;b&gt;" in text
    assert '<svg class="chart"' in text
    assert "nan" not in text.lower()
