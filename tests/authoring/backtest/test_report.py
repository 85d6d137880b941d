"""The backtest report: its texts, and its charts as data for charts.js with a static picture."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.authoring.backtest import report as backtest_report
from bridge.authoring.backtest.recording import ModelSeries
from bridge.authoring.backtest.report import Chart, figure
from bridge.authoring.backtest.results import Results
from bridge.authoring.backtest.scoring import read_labels, scores
from bridge.domain.times import HOUR, MINUTE
from tests.authoring.backtest.test_backtest import FIRST, HOSTILE, PLAN, run
from tests.support.world import A, group, rule

SINCE = 1_700_000_000_000
STEPS = 12
UNTIL = SINCE + STEPS * HOUR
NAN = float("nan")


def cells(*numbers: float) -> np.ndarray:
    return np.array([*numbers, *[np.nan] * (STEPS - len(numbers))], np.float32)


def line(*numbers: float, statistic: tuple[float, ...] = (), limit: float = NAN) -> ModelSeries:
    value = cells(*numbers)
    return ModelSeries(value, value, cells(*(statistic or numbers)), cells(*[limit] * len(numbers)))


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
    numbers = trail(Chart("t", SINCE, UNTIL, ModelSeries(low, high, low, cells())))
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


# ---------------------------------------------------------------- the whole report


def test_a_span_without_a_week_has_a_dash_in_the_report() -> None:
    """It is null in the JSON."""
    results = run().run()
    assert results.to_json()["total"]["per_week"] is None
    page = backtest_report.table({"rule": "rule", "per_week": "a week"}, results.rows())
    assert '<td class="n">-</td>' in page
    assert "None" not in page


class Page(HTMLParser):
    """Elements with their attributes, and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of_class(self, name: str) -> list[str]:
        return [tag for tag, attributes in self.elements if attributes.get("class") == name]


def report(tmp_path: Path) -> tuple[str, Results]:
    test = run(charts=True)
    results = test.run()
    rows = [[FIRST // 1000, 300, 860]]
    window = [(FIRST + 27 * HOUR) // 1000, (FIRST + 29 * HOUR) // 1000]
    entry = {**A.labels(), "rows": rows, "windows": [window]}
    (tmp_path / "labels.json").write_text(json.dumps({"models": [entry]}))
    labels = read_labels(tmp_path / "labels.json")
    assert test.recorder is not None
    drawn, left_out = backtest_report.charts(results, test.recorder, test.table, labels)
    return backtest_report.page(results, scores(labels, results), drawn, left_out), results


def test_the_report_needs_nothing_else(tmp_path: Path) -> None:
    """Its styles and scripts are inside: no file, image or font from elsewhere; a dark colour scheme."""
    text, _ = report(tmp_path)
    page = Page(text)
    tags = [tag for tag, _ in page.elements]
    assert not set(tags) & {"img", "link", "iframe", "object", "image", "use"}
    assert [attributes for tag, attributes in page.elements if tag == "script"] == [{}, {}]
    assert not [
        name for _, attributes in page.elements for name in attributes if name in {"src", "href"} or name[:2] == "on"
    ]
    assert not re.search(r"https?:|url\(|@import", re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL))
    assert "prefers-color-scheme: dark" in text


def test_names_from_outside_are_texts_in_the_report(tmp_path: Path) -> None:
    """A pipeline named like an HTML element is escaped."""
    text, _ = report(tmp_path)
    page = Page(text)
    assert text.count("<script") == 2
    assert str(HOSTILE) in "".join(page.texts)
    assert f"Drifted: {HOSTILE}" in [attributes.get("data-rule") for _, attributes in page.elements]


def test_a_chart_shows_signal_threshold_requests_and_windows(tmp_path: Path) -> None:
    """For each rule and model that fired."""
    text, results = report(tmp_path)
    page = Page(text)
    charts = [
        json.loads(attributes["data-trail"] or "") for _, attributes in page.elements if "data-trail" in attributes
    ]
    assert len(charts) == len(page.of_class("chart")) == 6
    assert all(set(chart["value"]) != {None} and set(chart["threshold"]) != {None} for chart in charts)
    assert sum(len(chart["marks"]) for chart in charts) == len(results.sent()) == 12
    assert sum(len(chart["windows"]) for chart in charts) == 3
    assert "Drifted: drift 0.703 above 0.6 for 5m" in page.texts


def test_the_scores_stand_beside_those_of_doing_without(tmp_path: Path) -> None:
    """Never, always and daily."""
    text, _ = report(tmp_path)
    names = re.findall(
        r"<tr><td>([^<]*)</td>", text.partition("Scores against ground truth")[2].partition("</table>")[0]
    )
    assert names == ["Drifted", "Also", "Told", "all rules", "never", "always", "every 24 h"]


def test_tables_and_requests_of_the_report_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report counts omitted charts and requests."""
    monkeypatch.setattr(backtest_report, "MOST_CHARTS", 4)
    monkeypatch.setattr(backtest_report, "MOST_REQUESTS", 10)
    test = run(charts=True)
    results = test.run()
    assert test.recorder is not None
    drawn, left_out = backtest_report.charts(results, test.recorder, test.table, [])
    assert ([chart.title for chart in drawn], left_out) == (
        [f"Also: {HOSTILE}", f"Drifted: {HOSTILE}", f"Drifted: {A}", f"Told: {HOSTILE}"], 2,
    )  # fmt: skip
    text = backtest_report.page(results, {}, drawn, left_out)
    assert "2 more charts are omitted." in text
    assert "and 2 more" in text


def test_a_report_without_requests_reports_it() -> None:
    """Without charts there is no heading for them."""
    quiet = replace(PLAN, groups=(group(rule("Drifted", limit=5.0), interval=5 * MINUTE),))
    text = backtest_report.page(run(plan=quiet).run(), {}, [])
    assert "<p>None.</p>" in text
    assert "<h2>Models</h2>" not in text


def test_what_could_not_be_evaluated_stands_in_the_report() -> None:
    """With the server's words, as text."""
    results = run().run()
    results.errors["Drifted"] = "<b>bad</b>"
    assert "Drifted: &lt;b&gt;bad&lt;/b&gt;" in backtest_report.page(results, {}, [])
