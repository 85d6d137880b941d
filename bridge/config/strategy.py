"""`strategy: {threshold: {max: 200ms}}`: a strategy by name, its parameters checked and in the signal's unit."""

from __future__ import annotations

from typing import Any

from bridge.config.shape import checked, kind, near
from bridge.config.yaml import Document, Place
from bridge.domain.batch import ERRORS, TOTAL, VALUE, EventKind
from bridge.domain.rule import SignalQuery, StrategySpec
from bridge.domain.times import parse_duration
from bridge.strategies.registry import strategies


def strategy_spec(value: object, query: SignalQuery, document: Document, place: Place) -> StrategySpec | None:
    """The strategy that a rule names; None with the problem noted."""
    if value is None:
        document.add(place[:-1], "key 'strategy' is missing", "for example strategy: {threshold: {max: 0.6}}")
        return None
    named = {value: {}} if isinstance(value, str) else value
    if not isinstance(named, dict) or len(named) != 1:
        document.add(place, "must name exactly one strategy", "for example {threshold: {max: 0.6}}")
        return None
    ((name, params),) = named.items()
    known = strategies()
    where = (*place, name) if (*place, name) in document.lines else place
    if name not in known:
        document.add(where, f"unknown strategy {name!r}", near(name, known))
        return None
    params = {} if params is None else params
    if not isinstance(params, dict):
        document.add(where, f"must be a mapping of parameters, not {kind(params)}")
        return None
    converted = {key: _in_unit(item, query, document, (*where, key)) for key, item in params.items()}
    config = checked(known[name].Config, converted, document, where)
    missing = known[name].needs - _columns(query)
    if missing:
        document.add(where, f"strategy {name!r} needs {', '.join(sorted(missing))}, signal {query.name!r} has no such")
    if config is None:
        return None
    return StrategySpec(name, config.model_dump(mode="json", exclude_none=True))


def _columns(query: SignalQuery) -> frozenset[str]:
    """What the signal carries; errors over total is a value too."""
    columns = frozenset(query.exprs)
    return columns | {VALUE} if {ERRORS, TOTAL} <= columns else columns


def _in_unit(value: Any, query: SignalQuery, document: Document, place: Place) -> Any:
    """A duration in the signal's unit; every other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        duration = parse_duration(value)
    except ValueError:
        return value
    if query.event is not EventKind.LATENCY:
        document.add(place, f"{value!r} is a duration, and signal {query.name!r} is not a latency")
        return 0.0
    return duration / query.unit_ms
