"""Signals of rule files: columns that belong together, units, windows."""

from __future__ import annotations

import pytest

from bridge.config.signals import SignalSection, check_columns, signal_query
from bridge.domain.rule import ModelLabels, SignalQuery
from bridge.domain.times import MINUTE
from bridge.files.validation import salvaged
from bridge.files.yaml import Document, parse


def read(text: str) -> tuple[SignalQuery, list[str]]:
    document = parse(text, Document("a.yml"))
    signal = salvaged(SignalSection, document.value, document, ())
    assert signal is not None
    check_columns(signal, document, ())
    query = signal_query("s", signal, ModelLabels(), 7, "prometheus", document, ())
    return query, [problem.message for problem in document.problems]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("{event: drift, expr: d}", {"value": "d"}),
        ("{event: inference_error, errors: e, total: t, n: c}", {"errors": "e", "total": "t", "n": "c"}),
        ("{event: drift, buckets: b, reference: r}", {"buckets": "b", "reference": "r"}),
    ],
)
def test_columns_are_the_expressions(text: str, columns: dict[str, str]) -> None:
    query, problems = read(text)
    assert (dict(query.exprs), problems, query.limit) == (columns, [], 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{event: inference_error, errors: e}", "'errors' and 'total' require each other"),
        ("{event: drift, buckets: b}", "'buckets' and 'reference' require each other"),
        ("{event: drift, expr: d, sum: a, reference_sum: b}", "'sum' requires 'buckets'"),
        ("{event: drift, expr: d, updated: u}", "'updated' and 'stale_after' require each other"),
        ("{event: drift, expr: d, stale_after: 1h}", "'updated' and 'stale_after' require each other"),
        ("{event: drift, expr: d, buckets: b, reference: r}", "a signal has one of"),
        ("{event: drift}", "a signal has one of"),
        ("{event: drift, errors: e, total: t}", "'errors' with 'total' is an event 'inference_error'"),
        ("{event: latency, expr: d}", "key 'unit' is missing: a latency has one"),
        ("{event: latency, expr: d, unit: second}", "unknown unit 'second' of a latency"),
        ("{event: drift, expr: d, window: 1h}", "no expression of the signal uses $window"),
        ("{event: drift, expr: 'rate(d['}", "not closed"),
    ],
)
def test_wrong_signals_are_reported_once(text: str, message: str) -> None:
    _, problems = read(text)
    assert len(problems) == 1
    assert message in problems[0]


@pytest.mark.parametrize(("window", "text", "span"), [("", "5m", 5 * MINUTE), (", window: 90m", "1h30m", 90 * MINUTE)])
def test_the_window_is_filled_in(window: str, text: str, span: int) -> None:
    """A signal that does not use it has none."""
    query, problems = read(f"{{event: drift, expr: 'rate(d[$window])'{window}}}")
    assert (query.exprs["value"], query.window, problems) == (f"rate(d[{text}])", span, [])
    assert read("{event: drift, expr: d}")[0].window == 0


@pytest.mark.parametrize(("unit", "factor"), [("seconds", 1000.0), ("milliseconds", 1.0), ("microseconds", 0.001)])
def test_a_latency_has_a_unit(unit: str, factor: float) -> None:
    """Other signals may have any."""
    assert read(f"{{event: latency, expr: d, unit: {unit}}}")[0].unit_ms == factor
    assert read("{event: drift, expr: d, unit: bananas}")[0].unit_ms == 1.0
