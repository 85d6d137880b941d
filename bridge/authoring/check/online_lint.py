"""Warnings that need a Prometheus, such as limits far from measured values and models that no rule covers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil, floor, isclose, log10
from typing import Any

from bridge.authoring.check.lint import alpha_of_e_values, judged
from bridge.authoring.check.never_judged import never_judged
from bridge.authoring.check.prometheus_facts import LOOKED_AT, PrometheusFacts
from bridge.authoring.check.promql_errors import parsed
from bridge.authoring.check.promql_tree import metrics_with_absence
from bridge.authoring.check.sibling_labels import sibling_labels
from bridge.authoring.check.warning import LintWarning
from bridge.authoring.suggest.selectors import Selector, selectors
from bridge.config.load import BridgeConfig
from bridge.domain.batch import HISTOGRAMS, EventKind
from bridge.domain.errors import Problem
from bridge.domain.model import ModelKey
from bridge.domain.rule import Group, Rule, SignalQuery
from bridge.domain.times import MINUTE, Duration, Timestamp, format_duration
from bridge.sources.prometheus import PrometheusSource

FAR = 50.0  # ratio of a limit to measured values
SHOWN = 3
ROUNDING = 1e-9  # relative error of floats that is ignored
SCRAPES = 4  # scrapes that the window of a histogram must hold
_DAY = f"in the last {format_duration(LOOKED_AT)}"


def doubts(config: BridgeConfig, source: PrometheusSource, now: Timestamp) -> list[Problem]:
    """Return every warning, in file order; failed queries give none."""
    facts = PrometheusFacts(source, now)
    warnings = [
        Problem(rule.file, rule.line, rule.name, warning.message, warning.hint, warning.lint)
        for group in config.groups
        for rule in group.rules
        for warning in (*_of_rule(group, rule, facts), *_never_judged(group, rule, source, now))
    ]
    warnings += sibling_labels(config, source, now)
    return sorted([*warnings, *_uncovered(config, PrometheusFacts(source, now - MINUTE), _covered(config, facts))])


def _of_rule(group: Group, rule: Rule, facts: PrometheusFacts) -> Iterator[LintWarning]:
    yield from _several_together(group, rule, facts)
    for query, strategy in judged(group, rule):
        measured = facts.measured(query, group.offset)
        if measured is not None:
            yield from _unit(query, *measured)
            if strategy is not None and strategy.name == "threshold":
                yield from _against(query, strategy.params, *measured)
        for selector in dict.fromkeys(item for text in query.exprs.values() for item in _needed(text)):
            if facts.knows(selector.metric):
                yield from _samples(rule, selector, facts)
        histograms = [text for column, text in query.exprs.items() if column in HISTOGRAMS]
        for selector in dict.fromkeys(item for text in histograms for item in selectors(text)):
            yield from _few_scrapes(selector, facts)


def _several_together(group: Group, rule: Rule, facts: PrometheusFacts) -> Iterator[LintWarning]:
    """Yield a warning where e-values stop growing before `fdr` accepts that of one model alone."""
    alpha = alpha_of_e_values(rule)
    query = group.queries[rule.query]
    number = facts.number_of_models(query, group.offset) if rule.fdr and alpha else 0
    least = ceil(number * alpha / rule.fdr * (1 - ROUNDING)) if number else 0
    if least > 1:
        message = f"with alpha {alpha:g} and fdr {rule.fdr:g}, no model is breached unless {least:,} fail together"
        hint = f"for one model to be breached alone, set alpha to {_rounded_down(rule.fdr / number)} or less"
        yield LintWarning("alpha-too-large", f"{message}; {query.name} has {number:,} models", hint)


def _rounded_down(value: float) -> str:
    """Return a value below 1 with one significant digit: 0.0000167 -> "0.00001"."""
    places = -floor(log10(value * (1 + ROUNDING)))
    return f"{floor(value * 10**places * (1 + ROUNDING)) / 10**places:.{places}f}"


def _needed(text: str) -> list[Selector]:
    """Return the selectors of an expression, but for those of which it looks whether they are absent."""
    tree = parsed(text)
    sought = set() if tree is None else {name for name, absent in metrics_with_absence(tree) if absent}
    return [selector for selector in selectors(text) if selector.metric not in sought]


def _never_judged(group: Group, rule: Rule, source: PrometheusSource, now: Timestamp) -> Iterator[LintWarning]:
    """Yield a warning for models with samples that the rule would not have evaluated in recent days."""
    for query, strategy in judged(group, rule):
        models = [] if strategy is None else never_judged(group, rule, query, strategy, source, now)
        if strategy is not None and models:
            message = f"{strategy.name} would never have evaluated {_some(models)}, although {query.name} has samples"
            yield LintWarning("never-judged", message, "see docs/runbooks/RetrainBridgeNeverJudged.md")


def _some(models: list[ModelKey]) -> str:
    more = f" and {len(models) - SHOWN} more" if len(models) > SHOWN else ""
    return f"{', '.join(map(str, models[:SHOWN]))}{more}"


def _few_scrapes(selector: Selector, facts: PrometheusFacts) -> Iterator[LintWarning]:
    """Yield a warning for a histogram window of which `increase` extrapolates a large part."""
    every = facts.spacing(selector.metric) if selector.metric else 0
    if every <= selector.window < SCRAPES * every:
        window, spacing = format_duration(selector.window), _whole_seconds(every)
        message = f"the range [{window}] of {selector.metric} holds fewer than {SCRAPES} scrapes, {spacing} apart"
        hint = f"use [{_whole_seconds(SCRAPES * every)}] or longer: counts are overestimated"
        yield LintWarning("few-scrapes", message, hint)


def _against(query: SignalQuery, params: Mapping[str, Any], low: float, high: float) -> Iterator[LintWarning]:
    """Yield a warning for a limit that is always or never exceeded."""
    top, bottom = params.get("max"), params.get("min")
    never_below, never_above = f"never below {low:.4g} {_DAY}", f"never above {high:.4g} {_DAY}"
    text = ""
    if top is not None and low > top and not isclose(low, top):
        text, name = f"{never_below}, but max is {top:g}", "always-breached"
    elif bottom is not None and high < bottom and not isclose(high, bottom):
        text, name = f"{never_above}, but min is {bottom:g}", "always-breached"
    elif top is not None and 0 < high * FAR < top and query.event is not EventKind.DRIFT:
        text, name = f"{never_above}, but max is {top:g}", "far-from-measured"
    elif bottom is not None and 0 < bottom * FAR < low:
        text, name = f"{never_below}, but min is {bottom:g}", "far-from-measured"
    if text:
        yield LintWarning(name, f"{query.name} was {text}", "check the unit")


def _unit(query: SignalQuery, low: float, high: float) -> Iterator[LintWarning]:
    """Yield a warning for latencies below a millisecond, probably seconds, or of minutes, probably milliseconds."""
    if query.event is not EventKind.LATENCY:
        return
    if query.unit == "milliseconds" and 0 < high < 1:
        yield LintWarning(
            "unit-of-values", f"{query.name} was never above {high:.4g} milliseconds {_DAY}", "are they seconds?"
        )
    if query.unit == "seconds" and low > MINUTE / 1000:
        yield LintWarning(
            "unit-of-values", f"{query.name} was never below {low:.4g} seconds {_DAY}", "are they milliseconds?"
        )


def _samples(rule: Rule, selector: Selector, facts: PrometheusFacts) -> Iterator[LintWarning]:
    """Yield a warning for selectors without series, or with samples too rare for the rule."""
    if not facts.is_there(selector.text):
        yield LintWarning(
            "no-series", f"no series matches {selector.text} {_DAY}", "do its labels match those of the series?"
        )
        return
    every = facts.spacing(selector.metric) if selector.metric else 0
    between = f"the time between two samples of {selector.metric} ({_whole_seconds(every)})"
    if 0 < rule.for_ < every:
        yield LintWarning(
            "shorter-than-scrape", f"for ({format_duration(rule.for_)}) is shorter than {between}", "make it longer"
        )
    if 0 < selector.window < every:
        message = f"the range [{format_duration(selector.window)}] is shorter than {between}"
        yield LintWarning("empty-windows", message, "most windows hold no sample; rate and increase need two")


def _whole_seconds(length: Duration) -> str:
    return format_duration(max(1000, length // 1000 * 1000))


def _covered(config: BridgeConfig, facts: PrometheusFacts) -> set[ModelKey]:
    """Return models that a rule covers; for plain expressions by their selectors, as results lack healthy models."""
    plain = {
        (selector.text, query.mapping)
        for group in config.groups
        for rule in group.rules
        for query, strategy in judged(group, rule)
        if strategy is None
        for text in query.exprs.values()
        for selector in selectors(text)
    }
    return facts.seen.union(*(facts.models(text, mapping) for text, mapping in plain))


def _uncovered(config: BridgeConfig, facts: PrometheusFacts, covered: set[ModelKey]) -> Iterator[Problem]:
    """Yield a warning for models whose series carry the labels of bridge.yml and that no rule covers."""
    parts = (config.models.project, config.models.pipeline, config.models.version)
    matchers = ",".join(f'{part.label}!=""' for part in parts if part.const is None)
    missing = sorted(facts.models(f"{{{matchers}}}", config.models) - covered) if config.groups else []
    if missing:
        message = f"no rule has samples of {_some(missing)}"
        yield Problem(config.groups[0].file, 0, "", message, "their series carry model labels", "uncovered-model")
