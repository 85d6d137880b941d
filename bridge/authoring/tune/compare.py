"""Comparison of variants: one replay evaluates them all, and their firing times give the requests of each."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.authoring.backtest.backtest import Backtest, Plan
from bridge.authoring.backtest.results import Results, cell, per_week
from bridge.authoring.tune.grid import Variant
from bridge.authoring.tune.incidents import Window
from bridge.domain.model import ModelKey, ModelTable, PipelineKey
from bridge.domain.rule import Gates, Group, Rule
from bridge.domain.times import HOUR, Timestamp
from bridge.ports import MetricSource, TickChanges

COLUMNS = {
    "settings": "settings", "per_week": "requests a week", "requests": "requests", "models": "models",
    "detected": "detected", "delay_hours": "median delay (h)", "false": "known false", "unjudged": "never evaluated",
}  # fmt: skip


@dataclass(slots=True)
class Firings:
    """Times at which each rule fired. spans: rule -> model -> [begin, end or 0 while it fires]."""

    spans: dict[str, dict[ModelKey, list[list[Timestamp]]]] = field(default_factory=dict)

    def take(self, changes: TickChanges) -> None:
        """Record the transitions of a slot."""
        for item in changes.decisions:
            if item.model is None:
                continue
            spans = self.spans.setdefault(item.rule, {}).setdefault(item.model, [])
            if (item.before, item.after) == ("pending", "firing"):
                spans.append([item.slot, 0])
            elif (item.before, item.after) == ("firing", "inactive") and spans and not spans[-1][1]:
                spans[-1][1] = item.slot


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one variant.

    requests: model and instant of each request.
    windows: number of times in which a retraining was needed; detected: of these, those with a request.
    delays: from the start of a detected window to its first request, in ms.
    false: requests in times in which people called one false.
    unjudged: models with samples that the variant never evaluated.
    silence: what to say of a variant whose queries had no sample, else "".
    """

    variant: Variant
    requests: Sequence[tuple[ModelKey, Timestamp]]
    since: Timestamp
    until: Timestamp
    windows: int
    detected: int
    delays: Sequence[int]
    false: int
    unjudged: int
    silence: str = ""

    @property
    def per_week(self) -> float | None:
        """Requests a week; None for less than a week, as in a backtest."""
        return per_week(len(self.requests), self.until - self.since)

    @property
    def delay_hours(self) -> float | None:
        """Median delay in hours, None if nothing was detected."""
        return statistics.median(self.delays) / HOUR if self.delays else None

    def row(self) -> dict[str, str]:
        """Return the row of the table."""
        delay = self.delay_hours
        return {
            "settings": self.variant.text, "per_week": cell(self.per_week), "requests": str(len(self.requests)),
            "models": str(len({model for model, _ in self.requests})),
            "detected": f"{self.detected} of {self.windows}" if self.windows else "-",
            "delay_hours": "-" if delay is None else f"{delay:.1f}", "false": str(self.false),
            "unjudged": str(self.unjudged),
        }  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        return {
            "settings": dict(self.variant.settings), "requests": len(self.requests), "per_week": self.per_week,
            "windows": self.windows, "detected": self.detected, "median_delay_hours": self.delay_hours,
            "known_false": self.false, "never_evaluated": self.unjudged,
        }  # fmt: skip


def plan_of(plan: Plan, group: Group, variants: Sequence[Variant]) -> Plan:
    """Return the plan of a replay that evaluates every variant, as shadow rules of one group."""
    rules = tuple(variant.rule for variant in variants)
    needed = {name for rule in rules for name in rule.queries}
    queries = {name: query for name, query in group.queries.items() if name in needed}
    return replace(plan, groups=(replace(group, rules=rules, queries=queries),), gates=Gates())


def compare(
    plan: Plan, source: MetricSource, table: ModelTable, variants: Sequence[Variant], windows: Sequence[Window],
    span: tuple[Timestamp, Timestamp], gates: Gates, progress: Callable[[Timestamp], None] = lambda _at: None,
) -> tuple[list[Outcome], Results]:  # fmt: skip
    """Replay the variants over `span`, and return the outcome of each, and the results. Raises BacktestError.

    plan: of `plan_of`. gates: of the configuration; the in-flight limit counts.
    """
    since, until = span
    firings = Firings()
    backtest = Backtest(plan, source, table, since, until, takes=firings.take)
    results = backtest.run(progress)
    inside = [window for window in windows if window.end >= since and window.start <= until]
    outcomes, silences = [], results.silences()
    for variant in variants:
        name = variant.rule.name
        requests = list(_requests(variant.rule, firings.spans.get(name, {}), until, gates))
        scored = _scored(variant, requests, inside, span, len(results.rules[name].unjudged))
        outcomes.append(replace(scored, silence=silences.get(name, "")))
    return outcomes, results


def _requests(
    rule: Rule, spans: dict[ModelKey, list[list[Timestamp]]], until: Timestamp, gates: Gates
) -> Iterable[tuple[ModelKey, Timestamp]]:
    """Yield model and instant of each request that the rule alone would send, by pipeline.

    As in a backtest, a request is in flight until its episode ends or `in_flight_limit`, and its cooldown counts from
    when it was sent. A request that waits is withdrawn when its episode ends.
    """
    free: dict[PipelineKey, Timestamp] = {}
    episodes = sorted((begin, end or until + 1, model) for model, item in spans.items() for begin, end in item)
    for begin, end, model in episodes:
        at = max(begin, free.get(model.owner, 0))
        if at < end and at <= until:
            yield model, at
            busy = min(end, at + gates.in_flight_limit)
            free[model.owner] = max(busy, at + rule.cooldown.base)


def _scored(
    variant: Variant, requests: list[tuple[ModelKey, Timestamp]], windows: Sequence[Window],
    span: tuple[Timestamp, Timestamp], unjudged: int,
) -> Outcome:  # fmt: skip
    needed = [window for window in windows if window.needed]
    delays = []
    for window in needed:
        times = [at for model, at in requests if window.covers(model, at)]
        if times:
            delays.append(min(times) - window.start)
    false = sum(any(not item.needed and item.covers(model, at) for item in windows) for model, at in requests)
    return Outcome(variant, requests, *span, len(needed), len(delays), delays, false, unjudged)
