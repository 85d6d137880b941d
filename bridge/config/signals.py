"""Signals in rule files: queries, units and events."""

from __future__ import annotations

from bridge.config.promql import WINDOW, check_expression
from bridge.domain.batch import (
    BUCKETS,
    COUNT,
    DISCOVER,
    ERRORS,
    REFERENCE,
    REFERENCE_SUM,
    SUM,
    TOTAL,
    UPDATED,
    VALUE,
    EventKind,
)
from bridge.domain.rule import ModelLabels, SignalQuery
from bridge.domain.times import MINUTE, format_duration
from bridge.domain.wording import near
from bridge.files.validation import PositiveDurationField, Section, fixed
from bridge.files.yaml import Document, KeyPath

UNIT_MS = {"microseconds": 0.001, "milliseconds": 1.0, "seconds": 1000.0, "minutes": 60_000.0}


_COLUMNS = {
    "expr": VALUE, "errors": ERRORS, "total": TOTAL, "buckets": BUCKETS, "reference": REFERENCE, "sum": SUM,
    "reference_sum": REFERENCE_SUM, "n": COUNT, "updated": UPDATED, "discover": DISCOVER,
}  # fmt: skip
_PAIRS = (("errors", "total"), ("buckets", "reference"), ("sum", "reference_sum"))
_WAYS = "a signal has one of: 'expr', 'errors' with 'total', 'buckets' with 'reference'"


class SignalSection(Section):
    """One signal: `expr`, or `errors` and `total`, or `buckets` and `reference`; the other queries are optional."""

    not_built = frozenset({"kind", "standardise", "models"})
    stand_ins = fixed(event=EventKind.CUSTOM.value)
    event: EventKind
    unit: str = ""
    expr: str | None = None
    errors: str | None = None
    total: str | None = None
    buckets: str | None = None
    reference: str | None = None
    sum: str | None = None
    reference_sum: str | None = None
    n: str | None = None
    updated: str | None = None
    stale_after: PositiveDurationField | None = None
    discover: str | None = None
    window: PositiveDurationField | None = None
    prometheus_server: str | None = None

    @property
    def texts(self) -> dict[str, str]:
        """Key -> expression, as written."""
        given = {key: getattr(self, key) for key in _COLUMNS}
        return {key: text for key, text in given.items() if text is not None}


def signal_query(
    name: str, signal: SignalSection, mapping: ModelLabels, limit: int, server: str, document: Document, path: KeyPath
) -> SignalQuery:
    """Return the query of a signal; problems are noted. server: of the group."""
    span = signal.window or 5 * MINUTE
    window = format_duration(span)
    exprs = {_COLUMNS[key]: text.replace(WINDOW, window) for key, text in signal.texts.items()}
    for key, text in signal.texts.items():
        check_expression(text, document, (*path, key))
    if signal.window is not None and not any(WINDOW in text for text in signal.texts.values()):
        document.add((*path, "window"), f"no expression of the signal uses {WINDOW}", f"write [{WINDOW}], or remove it")
    unit_ms, stale_after = _unit_ms(signal, document, path), signal.stale_after or 0
    used = span if any(WINDOW in text for text in signal.texts.values()) else 0
    return SignalQuery(name, signal.event, exprs, mapping, signal.unit, unit_ms, limit, stale_after, used, server)


def check_columns(signal: SignalSection, document: Document, path: KeyPath) -> None:
    """Note expressions that cannot be combined, or lack another; one with a wrong value counts as given."""
    given = {key for key in _COLUMNS if (*path, key) in document.lines}
    if ("updated" in given) != ((*path, "stale_after") in document.lines):
        hint = (
            "updated: time at which the value was computed, in seconds since the epoch; "
            "stale_after: age from which it counts as stale"
        )
        document.add(path, "'updated' and 'stale_after' require each other", hint)
    halves = [pair for pair in _PAIRS if len(given & set(pair)) == 1]
    for one, other in halves:
        document.add(path, f"{one!r} and {other!r} require each other")
    if "sum" in given and "buckets" not in given:
        document.add((*path, "sum"), "'sum' requires 'buckets'")
    ways = len(given & {"expr", "errors", "buckets"})
    if not halves and ways != 1 and (given or not document.reported(path)):
        document.add(path, _WAYS)
    if "errors" in given and signal.event is not EventKind.INFERENCE_ERROR:
        document.add((*path, "event"), "'errors' with 'total' is an event 'inference_error'")


def _unit_ms(signal: SignalSection, document: Document, path: KeyPath) -> float:
    if signal.event is not EventKind.LATENCY:
        return 1.0
    if not signal.unit and (*path, "unit") not in document.lines:
        document.add(path, "key 'unit' is missing: a latency has one", f"one of {', '.join(UNIT_MS)}")
    elif signal.unit not in UNIT_MS:
        document.add((*path, "unit"), f"unknown unit {signal.unit!r} of a latency", near(signal.unit, UNIT_MS))
    return UNIT_MS.get(signal.unit, 1.0)
