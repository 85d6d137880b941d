"""Doubts about rule files that are not wrong: each has a name, and says how to mend it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bridge.authoring.suggest.selectors import range_length
from bridge.domain.batch import REFERENCE, REFERENCE_SUM, EventKind
from bridge.domain.errors import Problem
from bridge.domain.rule import Condition, Group, Rule, RuleKind, SignalQuery, StrategySpec
from bridge.domain.times import MINUTE, Duration, format_duration

_RANGE = re.compile(r"\[([0-9][0-9a-z]*)(?::[0-9a-z]*)?\]")
_IN_UNIT = {
    "_seconds": "seconds",
    "_milliseconds": "milliseconds",
    "_ms": "milliseconds",
    "_microseconds": "microseconds",
}
_SUFFIX = re.compile(
    r"(?<![a-zA-Z0-9_:])[a-zA-Z_:][a-zA-Z0-9_:]*?(_seconds|_milliseconds|_ms|_microseconds)(?:_bucket|_sum|_count|_total)?\b"
)
TOGETHER = 0.02  # share of models that may have to fail together
PAST = frozenset({REFERENCE, REFERENCE_SUM})  # its windows may be of any length
SLOW: Duration = MINUTE  # a limit beyond it is most likely a number of milliseconds


@dataclass(frozen=True, slots=True)
class Doubt:
    """A lint's finding, without its place."""

    lint: str
    message: str
    hint: str = ""


def lint(groups: Iterable[Group]) -> list[Problem]:
    """Every doubt, in file order."""
    return sorted(problem for group in groups for problem in _of_group(group))


def _of_group(group: Group) -> Iterator[Problem]:
    for rule in group.rules:
        for doubt in of_rule(group, rule):
            yield Problem(rule.file, rule.line, rule.name, doubt.message, doubt.hint, doubt.lint)
    for name in sorted(set(group.queries).difference(*(rule.queries for rule in group.rules))):
        message = f"no rule of group {group.name!r} uses the signal {name!r}"
        yield Problem(group.file, 0, "", message, "remove it, or write a rule", "unused-signal")


def of_rule(group: Group, rule: Rule) -> Iterator[Doubt]:
    """The doubts about one rule."""
    yield from _durations(group, rule)
    yield from _windows(group, rule)
    yield from _evidence(rule)
    for query, strategy in judged(group, rule):
        yield from _units(query)
        if strategy is not None:
            yield from _limits(query, strategy)
    if rule.strategy is None and not rule.conditions:
        for name, text in rule.annotations.items():
            if "$threshold" in text:
                message = f"annotation {name!r} uses $threshold, which a rule with 'expr' does not have"
                yield Doubt("threshold-without-strategy", message, "write the limit into the text, or use a signal")


def _evidence(rule: Rule) -> Iterator[Doubt]:
    """A run of the e-process ends at its proof: what was proven is not strong enough for one among many."""
    alpha = rule.strategy.params.get("alpha", 0.0) if rule.strategy and rule.strategy.name == "error_e_process" else 0.0
    if rule.fdr and alpha > TOGETHER * rule.fdr:
        message = (
            f"with alpha {alpha:g} and fdr {rule.fdr:g}, {min(alpha / rule.fdr, 1):.0%} of the models have to fail"
        )
        yield Doubt(
            "evidence-ends-early", f"{message} together before any of them is asked for",
            f"write alpha: {TOGETHER * rule.fdr:.2g}, or less",
        )  # fmt: skip


def judged(group: Group, rule: Rule) -> list[tuple[SignalQuery, StrategySpec | None]]:
    """What a rule looks at, and what judges it; a plain expression judges itself."""
    parts = rule.conditions or (Condition(rule.query, rule.strategy),)
    return [(group.queries[part.query], part.strategy) for part in parts]


def _durations(group: Group, rule: Rule) -> Iterator[Doubt]:
    for key, length in (("for", rule.for_), ("keep_firing_for", rule.keep_firing_for), ("warm_up", rule.warm_up)):
        if 0 < length < group.interval:
            message = (
                f"{key} ({format_duration(length)}) is shorter than the interval ({format_duration(group.interval)})"
            )
            yield Doubt(
                "shorter-than-interval", message, "one slot decides as it would without; make it longer, or remove it"
            )
    if rule.kind is RuleKind.RETRAIN and 0 < rule.cooldown.base < rule.for_:
        message = (
            f"the cooldown ({format_duration(rule.cooldown.base)}) is shorter than for ({format_duration(rule.for_)})"
        )
        yield Doubt("short-cooldown", message, "a retraining takes time to show; hours are usual")


def _windows(group: Group, rule: Rule) -> Iterator[Doubt]:
    for query, _ in judged(group, rule):
        looked_at = [expr for name, expr in query.exprs.items() if name not in PAST]
        lengths = [range_length(text) for expr in looked_at for text in _RANGE.findall(expr)]
        known = [length for length in lengths if length]
        if known and min(known) < group.interval:
            shown = format_duration(min(known))
            message = (
                f"{query.name}: the range [{shown}] is shorter than the interval ({format_duration(group.interval)})"
            )
            yield Doubt("gap-between-windows", message, "samples between two windows are never looked at")
        breaches = rule.breaches
        if breaches is not None and known and max(known) >= breaches.of * group.interval:
            window = format_duration(max(known))
            message = f"{query.name}: all {breaches.of} slots of 'breaches' look at one window of {window}"
            yield Doubt("overlapping-windows", message, "they say the same thing; shorten the window, or use 'for'")


def _units(query: SignalQuery) -> Iterator[Doubt]:
    """A metric's name says its unit."""
    if query.event is not EventKind.LATENCY or not query.unit:
        return
    for expr in query.exprs.values():
        said = {_IN_UNIT[suffix] for suffix in _SUFFIX.findall(expr)}
        if said and query.unit not in said and not re.search(r"[*/]\s*1(?:000|e3)|0\.001|1e-3", expr):
            message = (
                f"signal {query.name!r} is in {query.unit}, and its metric's name says {' or '.join(sorted(said))}"
            )
            yield Doubt("unit-of-name", message, "set unit to that of the series")


def _limits(query: SignalQuery, strategy: StrategySpec) -> Iterator[Doubt]:
    """A threshold that no number of its kind can pass, or that looks like another unit's."""
    top, bottom = strategy.params.get("max"), strategy.params.get("min")
    if strategy.name != "threshold":
        return
    share = query.event in {EventKind.INFERENCE_ERROR, EventKind.DRIFT}
    what = "a share of failures" if query.event is EventKind.INFERENCE_ERROR else "a drift score"
    if share and isinstance(top, float | int) and top >= 1:
        yield Doubt("never-fires", f"max is {top:g}, and {what} is at most 1", "write 5 % as 0.05")
    if share and isinstance(bottom, float | int) and bottom <= 0:
        yield Doubt("never-fires", f"min is {bottom:g}, and {what} is never below 0", "")
    if query.event is EventKind.LATENCY and isinstance(top, float | int):
        if top * query.unit_ms > SLOW:
            message = f"max is {top:g} {query.unit}, which is {format_duration(round(top * query.unit_ms))}"
            yield Doubt("unit-of-threshold", message, "write it with its unit, such as 200ms")
        elif query.unit == "milliseconds" and 0 < top < 1:
            message = f"max is {top:g} milliseconds: no model answers so fast"
            yield Doubt("unit-of-threshold", message, "write it with its unit, such as 200ms")
