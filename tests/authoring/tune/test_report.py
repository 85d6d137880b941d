"""Report of a comparison."""

from __future__ import annotations

from dataclasses import replace

from bridge.authoring.tune.report import page, scatter
from bridge.domain.times import HOUR
from tests.authoring.tune.test_compare import drifted, run


def test_the_report_has_a_chart_of_each_measure() -> None:
    """With labels; without, only the table."""
    outcomes = run(drifted(limit=["0.6", "0.8"]))
    text = page("<Drifted>", outcomes)
    assert text.count("<svg") == 2
    assert "&lt;Drifted&gt;" in text
    assert "<Drifted>" not in text
    assert page("Drifted", run(drifted(limit=["0.6"]), [])).count("<svg") == 0
    short = page("Drifted", [replace(outcome, since=outcome.until - HOUR) for outcome in outcomes])
    assert 'aria-label="detected (%) against requests"' in short
    assert scatter([(1.0, None), (2.0, 50.0)], "x", "y").count("<circle") == 1
