"""Signals in rule files: what is asked, in which unit, as which event."""

from __future__ import annotations

from bridge.config.shape import PositiveSpan, Section, near
from bridge.config.yaml import Document, Place
from bridge.domain.batch import COUNT, ERRORS, TOTAL, VALUE, EventKind
from bridge.domain.rule import ModelLabels, SignalQuery
from bridge.domain.times import MINUTE, format_duration

UNIT_MS = {"microseconds": 0.001, "milliseconds": 1.0, "seconds": 1000.0, "minutes": 60_000.0}
_CLOSING = {")": "(", "]": "[", "}": "{"}
_QUOTES = "\"'`"

Expr = str


class SignalSection(Section):
    """One signal: `expr`, or `errors` and `total`; `n` beside either."""

    not_built = frozenset({"buckets", "discover", "kind", "standardise"})
    event: EventKind
    unit: str = ""
    expr: Expr | None = None
    errors: Expr | None = None
    total: Expr | None = None
    n: Expr | None = None
    window: PositiveSpan = 5 * MINUTE


def signal_query(
    name: str, signal: SignalSection, mapping: ModelLabels, limit: int, document: Document, place: Place
) -> SignalQuery:
    """The query of a signal; problems are noted."""
    given = {VALUE: signal.expr, ERRORS: signal.errors, TOTAL: signal.total, COUNT: signal.n}
    keys = {VALUE: "expr", ERRORS: "errors", TOTAL: "total", COUNT: "n"}
    window = format_duration(signal.window)
    exprs = {column: text.replace("$window", window) for column, text in given.items() if text is not None}
    for column, text in exprs.items():
        if problem := promql_problem(text):
            document.add((*place, keys[column]), problem)
    _check_columns(signal, document, place)
    return SignalQuery(name, signal.event, exprs, mapping, signal.unit, _unit_ms(signal, document, place), limit)


def _check_columns(signal: SignalSection, document: Document, place: Place) -> None:
    if (signal.errors is None) != (signal.total is None):
        document.add(place, "'errors' and 'total' go together")
    elif (signal.expr is None) == (signal.errors is None):
        document.add(place, "a signal has either 'expr' or 'errors' with 'total'")
    if signal.errors is not None and signal.event is not EventKind.INFERENCE_ERROR:
        document.add((*place, "event"), "'errors' with 'total' is an event 'inference_error'")


def _unit_ms(signal: SignalSection, document: Document, place: Place) -> float:
    if signal.event is not EventKind.LATENCY:
        return 1.0
    if signal.unit in UNIT_MS:
        return UNIT_MS[signal.unit]
    if not signal.unit:
        document.add(place, "key 'unit' is missing: a latency needs one", f"one of {', '.join(UNIT_MS)}")
    else:
        document.add((*place, "unit"), f"unknown unit {signal.unit!r} of a latency", near(signal.unit, UNIT_MS))
    return 1.0


def promql_problem(text: str) -> str:
    """What is plainly wrong with an expression before Prometheus sees it; "" when nothing is."""
    if not text.strip():
        return "the expression is empty"
    opened: list[str] = []
    quote = ""
    escaped = False
    for character in text:
        if quote:
            if escaped or (character == "\\" and quote != "`"):
                escaped = not escaped
            elif character == quote:
                quote = ""
        elif character in _QUOTES:
            quote = character
        elif character in "([{":
            opened.append(character)
        elif character in _CLOSING and (not opened or opened.pop() != _CLOSING[character]):
            return f"unexpected {character!r} in the expression"
    if quote:
        return f"a text that begins with {quote} does not end in the expression"
    return f"{opened[-1]!r} is not closed in the expression" if opened else ""
