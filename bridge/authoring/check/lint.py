"""Warnings about valid rule files; each has a name and a hint. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bridge.authoring.check.promql_lint import always_in_result, dropped_labels
from bridge.authoring.check.warning import LintWarning
from bridge.authoring.suggest.selectors import range_length
from bridge.domain.batch import REFERENCE, REFERENCE_SUM, EventKind
from bridge.domain.errors import Problem
from bridge.domain.rule import Condition, Group, ModelLabels, Rule, RuleKind, SignalQuery, StrategySpec
from bridge.domain.times import MINUTE, Duration, format_duration
from bridge.templates.constant_patterns import invalid_patterns

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
TOGETHER = 0.02  # acceptable share of models that must fail together
PAST = frozenset({REFERENCE, REFERENCE_SUM})  # columns whose windows may have any length
SLOW: Duration = MINUTE  # a higher limit is probably a number of milliseconds


def warnings(groups: Iterable[Group], *, mapped: bool) -> list[Problem]:
    """Return every warning, in file order. mapped: the labels of models are those of a bridge.yml."""
    return sorted(problem for group in groups for problem in _group_warnings(group, mapped=mapped))


def _group_warnings(group: Group, *, mapped: bool) -> Iterator[Problem]:
    for rule in group.rules:
        for warning in of_rule(group, rule, mapped=mapped):
            yield Problem(rule.file, rule.line, rule.name, warning.message, warning.hint, warning.lint)
    for name in sorted(set(group.queries).difference(*(rule.queries for rule in group.rules))):
        message = f"no rule of group {group.name!r} uses the signal {name!r}"
        yield Problem(group.file, 0, "", message, "remove it or add a rule", "unused-signal")


def of_rule(group: Group, rule: Rule, *, mapped: bool) -> Iterator[LintWarning]:
    """Yield the warnings about one rule."""
    yield from _durations(group, rule)
    yield from _windows(group, rule)
    yield from _evidence(rule)
    yield from _patterns(rule)
    for query, strategy in judged(group, rule):
        yield from _units(query)
        if mapped or query.mapping != ModelLabels():
            yield from dropped_labels(query)
        if strategy is not None:
            yield from _limits(query, strategy)
    if rule.strategy is None and not rule.conditions:
        yield from always_in_result(rule, group.queries[rule.query])
        for name, text in rule.annotations.items():
            if "$threshold" in text:
                message = f"annotation {name!r} uses $threshold, which rules with 'expr' do not have"
                yield LintWarning(
                    "threshold-without-strategy", message, "write the limit into the text or use a signal"
                )


def _patterns(rule: Rule) -> Iterator[LintWarning]:
    """Yield a warning for each invalid regular expression that is a constant in a template."""
    for key, texts in (("annotation", rule.annotations), ("label", rule.labels)):
        for name, text in texts.items():
            for item in invalid_patterns(text) if "{{" in text else ():
                message = (
                    f"{key} {name!r}, {item.line}:{item.column}: {item.function} has the invalid regular expression "
                    f"{item.pattern!r}: {item.reason}"
                )
                yield LintWarning("invalid-regex", message, "alerts would show this error instead of the text")


def _evidence(rule: Rule) -> Iterator[LintWarning]:
    """Yield a warning where evidence that ends a run of the e-process is too weak for one model among many."""
    alpha = alpha_of_e_values(rule)
    if rule.fdr and alpha > TOGETHER * rule.fdr:
        message = f"with alpha {alpha:g} and fdr {rule.fdr:g}, {min(alpha / rule.fdr, 1):.0%} of the models must fail"
        yield LintWarning(
            "evidence-ends-early", f"{message} together before retraining is requested for any",
            f"set alpha to {TOGETHER * rule.fdr:.2g} or less",
        )  # fmt: skip


def alpha_of_e_values(rule: Rule) -> float:
    """Return the alpha at which the e-values of a rule's strategy stop growing; 0.0 for strategies without e-values."""
    spec = rule.strategy
    return float(spec.params["alpha"]) if spec is not None and spec.name == "error_e_process" else 0.0


def judged(group: Group, rule: Rule) -> list[tuple[SignalQuery, StrategySpec | None]]:
    """Return the signals of a rule with their strategies; None for a plain expression."""
    parts = rule.conditions or (Condition(rule.query, rule.strategy),)
    return [(group.queries[part.query], part.strategy) for part in parts]


def _durations(group: Group, rule: Rule) -> Iterator[LintWarning]:
    for key, length in (("for", rule.for_), ("keep_firing_for", rule.keep_firing_for), ("warm_up", rule.warm_up)):
        if 0 < length < group.interval:
            message = (
                f"{key} ({format_duration(length)}) is shorter than the interval ({format_duration(group.interval)})"
            )
            yield LintWarning("shorter-than-interval", message, "it acts like one interval; lengthen or remove it")
    if rule.kind is RuleKind.RETRAIN and 0 < rule.cooldown.base < rule.for_:
        message = (
            f"the cooldown ({format_duration(rule.cooldown.base)}) is shorter than for ({format_duration(rule.for_)})"
        )
        yield LintWarning("short-cooldown", message, "retraining takes time to show an effect; use hours")


def _windows(group: Group, rule: Rule) -> Iterator[LintWarning]:
    for query, _ in judged(group, rule):
        current = [expr for name, expr in query.exprs.items() if name not in PAST]
        lengths = [range_length(text) for expr in current for text in _RANGE.findall(expr)]
        known = [length for length in lengths if length]
        if known and min(known) < group.interval:
            shown = format_duration(min(known))
            message = (
                f"{query.name}: the range [{shown}] is shorter than the interval ({format_duration(group.interval)})"
            )
            yield LintWarning("gap-between-windows", message, "samples between two windows are never read")
        breaches = rule.breaches
        if breaches is not None and known and max(known) >= breaches.of * group.interval:
            window = format_duration(max(known))
            message = f"{query.name}: the range [{window}] covers all {breaches.of} slots of 'breaches'"
            hint = "their verdicts are not independent; shorten the range, or use 'for'"
            yield LintWarning("overlapping-windows", message, hint)


def _units(query: SignalQuery) -> Iterator[LintWarning]:
    """Yield a warning where the unit of a signal contradicts the name of its metric."""
    if query.event is not EventKind.LATENCY or not query.unit:
        return
    for expr in query.exprs.values():
        named = {_IN_UNIT[suffix] for suffix in _SUFFIX.findall(expr)}
        if named and query.unit not in named and not re.search(r"[*/]\s*1(?:000|e3)|0\.001|1e-3", expr):
            words = " or ".join(sorted(named))
            message = f"signal {query.name!r} is in {query.unit}, but the name of its metric says {words}"
            yield LintWarning("unit-of-name", message, "set unit to that of the series")


def _limits(query: SignalQuery, strategy: StrategySpec) -> Iterator[LintWarning]:
    """Yield a warning for limits that cannot be crossed, or that seem to be in another unit."""
    top, bottom = strategy.params.get("max"), strategy.params.get("min")
    if strategy.name != "threshold":
        return
    share = query.event in {EventKind.INFERENCE_ERROR, EventKind.DRIFT}
    what = "a share of failures" if query.event is EventKind.INFERENCE_ERROR else "a drift score"
    if share and isinstance(top, float | int) and top >= 1:
        yield LintWarning("never-fires", f"max is {top:g}, but {what} is at most 1", "write 5 % as 0.05")
    if share and isinstance(bottom, float | int) and bottom <= 0:
        yield LintWarning("never-fires", f"min is {bottom:g}, but {what} is never below 0", "")
    if query.event is EventKind.LATENCY and isinstance(top, float | int):
        if top * query.unit_ms > SLOW:
            message = f"max is {top:g} {query.unit}, which is {format_duration(round(top * query.unit_ms))}"
            yield LintWarning("unit-of-threshold", message, "write it with its unit, such as 200ms")
        elif query.unit == "milliseconds" and 0 < top < 1:
            message = f"max is {top:g} milliseconds, faster than any model responds"
            yield LintWarning("unit-of-threshold", message, "write it with its unit, such as 200ms")
