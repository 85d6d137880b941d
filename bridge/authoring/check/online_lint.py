"""Doubts that only a Prometheus can raise: limits far from what is measured, models that no rule looks at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.authoring.check.lint import Doubt, judged
from bridge.authoring.check.never_judged import never_judged
from bridge.authoring.check.prometheus_facts import LOOKED_AT, Questions
from bridge.authoring.suggest.selectors import Selector, selectors
from bridge.config.load import BridgeConfig
from bridge.domain.batch import HISTOGRAMS, EventKind
from bridge.domain.errors import Problem
from bridge.domain.model import ModelKey
from bridge.domain.rule import Group, Rule, SignalQuery
from bridge.domain.times import MINUTE, Duration, Timestamp, format_duration
from bridge.sources.prometheus import PrometheusSource

FAR = 50.0  # times what was measured
SHOWN = 3
SCRAPES = 4  # that a window of a histogram has to hold
_DAY = f"in the last {format_duration(LOOKED_AT)}"


def doubts(config: BridgeConfig, source: PrometheusSource, now: Timestamp) -> list[Problem]:
    """Every doubt, in file order; what cannot be asked raises none."""
    ask = Questions(source, now)
    found = [
        Problem(rule.file, rule.line, rule.name, doubt.message, doubt.hint, doubt.lint)
        for group in config.groups
        for rule in group.rules
        for doubt in (*_of_rule(group, rule, ask), *_blind(group, rule, source, now))
    ]
    return sorted([*found, *_uncovered(config, Questions(source, now - MINUTE), _covered(config, ask))])


def _of_rule(group: Group, rule: Rule, ask: Questions) -> Iterator[Doubt]:
    for query, strategy in judged(group, rule):
        measured = ask.measured(query, group.offset)
        if measured is not None:
            yield from _unit(query, *measured)
            if strategy is not None and strategy.name == "threshold":
                yield from _against(query, strategy.params, *measured)
        for selector in dict.fromkeys(found for text in query.exprs.values() for found in selectors(text)):
            yield from _looked_at(rule, selector, ask)
        histograms = [text for column, text in query.exprs.items() if column in HISTOGRAMS]
        for selector in dict.fromkeys(found for text in histograms for found in selectors(text)):
            yield from _few_scrapes(selector, ask)


def _blind(group: Group, rule: Rule, source: PrometheusSource, now: Timestamp) -> Iterator[Doubt]:
    """Models that have numbers, and that the rule would not have judged in the last days."""
    for query, strategy in judged(group, rule):
        models = [] if strategy is None else never_judged(group, rule, query, strategy, source, now)
        if strategy is not None and models:
            message = f"{strategy.name} has numbers of {_some(models)} in {query.name} and would never have judged them"
            yield Doubt("never-judged", message, "see docs/runbooks/RetrainBridgeNeverJudged.md")


def _some(models: list[ModelKey]) -> str:
    more = f" and {len(models) - SHOWN} more" if len(models) > SHOWN else ""
    return f"{', '.join(map(str, models[:SHOWN]))}{more}"


def _few_scrapes(selector: Selector, ask: Questions) -> Iterator[Doubt]:
    """A window of a histogram of which `increase` has to make up a good part."""
    every = ask.spacing(selector.metric) if selector.metric else 0
    if every <= selector.window < SCRAPES * every:
        window, spacing = format_duration(selector.window), _whole_seconds(every)
        message = f"the range [{window}] of {selector.metric} holds less than {SCRAPES} scrapes, {spacing} apart"
        yield Doubt("few-scrapes", message, f"[{_whole_seconds(SCRAPES * every)}] or longer: sizes are too high in it")


def _against(query: SignalQuery, params: Mapping[str, Any], low: float, high: float) -> Iterator[Doubt]:
    """A limit that everything is past, or that nothing comes near."""
    top, bottom = params.get("max"), params.get("min")
    never_below, never_above = f"never below {low:.4g} {_DAY}", f"never above {high:.4g} {_DAY}"
    said = ""
    if top is not None and low > top:
        said, name = f"{never_below}, and max is {top:g}", "always-breached"
    elif bottom is not None and high < bottom:
        said, name = f"{never_above}, and min is {bottom:g}", "always-breached"
    elif top is not None and 0 < high * FAR < top and query.event is not EventKind.DRIFT:
        said, name = f"{never_above}, and max is {top:g}", "far-from-measured"
    elif bottom is not None and 0 < bottom * FAR < low:
        said, name = f"{never_below}, and min is {bottom:g}", "far-from-measured"
    if said:
        yield Doubt(name, f"{query.name} was {said}", "check the unit")


def _unit(query: SignalQuery, low: float, high: float) -> Iterator[Doubt]:
    """Answers within a millisecond are most likely counted in seconds, and those of minutes in milliseconds."""
    if query.event is not EventKind.LATENCY:
        return
    if query.unit == "milliseconds" and 0 < high < 1:
        yield Doubt(
            "unit-of-values", f"{query.name} was never above {high:.4g} milliseconds {_DAY}", "are they seconds?"
        )
    if query.unit == "seconds" and low > MINUTE / 1000:
        yield Doubt(
            "unit-of-values", f"{query.name} was never below {low:.4g} seconds {_DAY}", "are they milliseconds?"
        )


def _looked_at(rule: Rule, selector: Selector, ask: Questions) -> Iterator[Doubt]:
    """Nothing is there; or samples come too rarely for what the rule wants of them."""
    if not ask.is_there(selector.text):
        yield Doubt(
            "no-series", f"no series fits {selector.text} {_DAY}", "are its labels written as the series have them?"
        )
        return
    every = ask.spacing(selector.metric) if selector.metric else 0
    between = f"the time between two samples of {selector.metric} ({_whole_seconds(every)})"
    if 0 < rule.for_ < every:
        yield Doubt(
            "shorter-than-scrape", f"for ({format_duration(rule.for_)}) is shorter than {between}", "make it longer"
        )
    if 0 < selector.window < every:
        message = f"the range [{format_duration(selector.window)}] is shorter than {between}"
        yield Doubt("empty-windows", message, "most windows hold no sample; rate and increase need two")


def _whole_seconds(length: Duration) -> str:
    return format_duration(max(1000, length // 1000 * 1000))


def _covered(config: BridgeConfig, ask: Questions) -> set[ModelKey]:
    """Models that a rule looks at: a plain expression's answer lacks those that are well, its selectors have them."""
    plain = {
        (selector.text, query.mapping)
        for group in config.groups
        for rule in group.rules
        for query, strategy in judged(group, rule)
        if strategy is None
        for text in query.exprs.values()
        for selector in selectors(text)
    }
    return ask.seen.union(*(ask.models(text, mapping) for text, mapping in plain))


def _uncovered(config: BridgeConfig, ask: Questions, covered: set[ModelKey]) -> Iterator[Problem]:
    """Models whose series carry the labels of bridge.yml, and of which no rule has a number."""
    parts = (config.models.project, config.models.pipeline, config.models.version)
    there = ",".join(f'{part.label}!=""' for part in parts if part.const is None)
    missing = sorted(ask.models(f"{{{there}}}", config.models) - covered) if config.groups else []
    if missing:
        message = f"no rule has a number of {_some(missing)}"
        yield Problem(config.groups[0].file, 0, "", message, "their series carry a model's labels", "uncovered-model")
