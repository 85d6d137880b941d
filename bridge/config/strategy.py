"""`strategy: {threshold: {max: 200ms}}`: a strategy by name, its parameters checked and in the signal's unit."""

from __future__ import annotations

import re
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from bridge.config.time_intervals import SpanSection
from bridge.domain.batch import BUCKETS, ERRORS, TOTAL, VALUE, EventKind
from bridge.domain.rule import SignalQuery, StrategySpec
from bridge.domain.times import format_duration
from bridge.domain.wording import kind, near
from bridge.files.validation import checked
from bridge.files.wording import bare
from bridge.files.yaml import Document, KeyPath
from bridge.strategies.base import RetrainStrategy
from bridge.strategies.histograms import HistogramConfig
from bridge.strategies.registry import strategies
from bridge.strategies.stats.counts import CountingConfig

CHEAP = "cheap_times"  # parameter in the words of time_intervals
_EXAMPLE = "for example strategy: {threshold: {max: 0.6}}"
LENGTH = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(us|µs|ms|s|m|h)")
_LENGTH_MS = {"us": "0.001", "µs": "0.001", "ms": "1", "s": "1000", "m": "60000", "h": "3600000"}


def strategy_spec(value: object, query: SignalQuery | None, document: Document, path: KeyPath) -> StrategySpec | None:
    """Return the strategy that a rule names; None with the problem noted.

    query: of the rule's signal; None when that is wrong itself, so that nothing can be said of its unit and columns.
    """
    named = {value: {}} if isinstance(value, str) else value
    if not isinstance(named, dict) or len(named) != 1:
        document.add(path, "must name exactly one strategy", _EXAMPLE)
        return None
    ((name, params),) = named.items()
    known = strategies()
    where = (*path, name) if (*path, name) in document.lines else path
    if name not in known:
        document.add(where, f"unknown strategy {name!r}", near(name, known))
        return None
    params = {} if params is None else params
    if not isinstance(params, dict):
        document.add(where, f"must be a mapping of parameters, not {kind(params)}", _EXAMPLE)
        return None
    if query is not None:
        _check_needs(known[name], query, document, where)
        if query.window and issubclass(known[name].Config, (CountingConfig, HistogramConfig)):
            params = {"window": format_duration(query.window), **params}
    if CHEAP in known[name].Config.model_fields and isinstance(params.get(CHEAP), list):
        spans = [checked(SpanSection, item, document, (*where, CHEAP, i)) for i, item in enumerate(params[CHEAP])]
        params = params | {CHEAP: [asdict(span.span()) for span in spans if span is not None]}
    if (members := known[name].members) in params and isinstance(params[members], list):
        inner = [strategy_spec(item, query, document, (*where, members, i)) for i, item in enumerate(params[members])]
        if None in inner:
            return None
        params = params | {members: [{item.name: dict(item.params)} for item in inner if item is not None]}
    params = {key: _in_unit(known[name], key, item, query, document, (*where, key)) for key, item in params.items()}
    config = checked(known[name].Config, params, document, where)
    return None if config is None else StrategySpec(name, config.model_dump(mode="json", exclude_none=True))


def _check_needs(strategy: type[RetrainStrategy], query: SignalQuery, document: Document, path: KeyPath) -> None:
    columns = frozenset(query.exprs)
    if {ERRORS, TOTAL} <= columns or BUCKETS in columns:  # errors over total is a value too, and so is a mean
        columns |= {VALUE}
    if missing := strategy.needs - columns:
        found = f"has only {_listed(columns)}" if columns else "has none"
        message = f"strategy {strategy.name!r} needs the columns {_listed(missing)}, but signal {query.name!r} {found}"
        hint = "`expr` provides the column value; the other keys, such as buckets, provide the column of their own name"
        document.add(path, message, hint)


def _listed(columns: frozenset[str]) -> str:
    return ", ".join(sorted(columns))


def _in_unit(
    strategy: type[RetrainStrategy], key: str, value: Any, query: SignalQuery | None, document: Document, path: KeyPath
) -> Any:
    """Return a duration in the signal's unit where the parameter is a number, and every other value as it is."""
    field = strategy.Config.model_fields.get(key)
    if field is None or bare(field.annotation) is not float or not isinstance(value, str):
        return value
    length = LENGTH.fullmatch(value)
    if query is None:
        return value if length is None else 0.0
    if length is None:
        if query.event is EventKind.LATENCY:
            document.add(path, f"must be a number or a duration, not {value!r}", "for example 0.2, 200ms or 1.5s")
            return 0.0
        return value
    if query.event is not EventKind.LATENCY:
        message = f"{value!r} is a duration, but signal {query.name!r} is not a latency"
        document.add(path, message, "write a number in the signal's unit")
        return 0.0
    # Fractions, so that 70ms is 0.07 s and not the float beside it.
    return float(Fraction(length[1]) * Fraction(_LENGTH_MS[length[2]]) / Fraction(str(query.unit_ms)))
