"""Results of a backtest: requests, and counts per rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, Outcome, RequestRecord
from bridge.domain.rule import Group, RuleKind
from bridge.domain.times import DAY, Duration, Timestamp, rfc3339
from bridge.engine.evaluation.evaluation import GroupEvaluation
from bridge.engine.evaluation.never_judged import JUDGED
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.ports import TickChanges

WEEK = 7 * DAY
COLUMNS = {
    "rule": "rule", "kind": "kind", "fired": "fired", "requests": "requests", "per_week": "per week",
    "joined": "joined", "held": "never sent", "models": "models", "failed": "failed slots",
    "unjudged": "never evaluated",
}  # fmt: skip


def cell(value: object) -> str:
    """Return a value as tables show it."""
    return "-" if value is None else str(value)


def per_week(requests: int, span: Duration) -> float | None:
    """Return requests per week; None for less than a week, which is not extrapolated."""
    return round(requests * WEEK / span, 2) if span >= WEEK else None


@dataclass(slots=True)
class BacktestRequest:
    """Summary of a request in a backtest.

    sent_at: when it would have been sent, 0 = held by a gate until it ended.
    """

    id: str
    model: ModelKey
    rule: str
    reason: str
    triggered_at: Timestamp
    sent_at: Timestamp
    state: str
    hold: str
    attempt: int
    rules: tuple[str, ...]

    def line(self) -> dict[str, Any]:
        """Return the line of the decisions file; its triggered_at is when the request would have been sent."""
        return {
            **self.model.labels(),
            "triggered_at": rfc3339(self.sent_at),
            "rule": self.rule,
            "reason": self.reason,
            "id": self.id,
        }

    def to_json(self) -> dict[str, Any]:
        """Return all fields as JSON types."""
        sent = rfc3339(self.sent_at) if self.sent_at else None
        return {
            **self.line(), "triggered_at": rfc3339(self.triggered_at), "sent_at": sent, "state": self.state,
            "hold": self.hold, "attempt": self.attempt, "rules": list(self.rules),
        }  # fmt: skip


@dataclass(slots=True)
class RuleTally:
    """Counts of one rule.

    fired: transitions to firing.
    joined: of these, the ones that joined an open episode.
    notified: of these, notifications of alert rules.
    failed: slots in which the evaluation failed.
    models: models that the rule fired for.
    unjudged: models with enough samples that the rule never evaluated.
    early: models with values, however few, that the rule has reached no verdict for so far.
    plain: True for a plain `expr` rule, whose expression returns nothing while it is not breached.
    seen: True once a query of the rule had a sample.
    """

    fired: int = 0
    joined: int = 0
    notified: int = 0
    failed: int = 0
    models: set[ModelKey] = field(default_factory=set)
    unjudged: set[ModelKey] = field(default_factory=set)
    early: set[ModelKey] = field(default_factory=set)
    plain: bool = False
    seen: bool = False


@dataclass(slots=True)
class Results:
    """Results of a backtest, the only state that grows with its range.

    kinds: kind of every rule, in file order.
    """

    since: Timestamp
    until: Timestamp
    kinds: dict[str, str]
    rules: dict[str, RuleTally]
    requests: dict[str, BacktestRequest] = field(default_factory=dict)
    slots: int = 0
    errors: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of(groups: tuple[Group, ...], since: Timestamp, until: Timestamp) -> Results:
        """Return empty results."""
        rules = sorted((rule for group in groups for rule in group.rules), key=lambda rule: rule.order)
        kinds = {
            rule.name: "alert" if rule.kind is RuleKind.ALERT else "retrain" if rule.mode == "live" else rule.mode.value
            for rule in rules
        }
        plain = {rule.name: rule.strategy is None and not rule.conditions for rule in rules}
        return Results(since, until, kinds, {name: RuleTally(plain=plain[name]) for name in kinds})

    def take(self, changes: TickChanges) -> None:
        """Record the changes of a slot."""
        for record in changes.requests:
            self._request(record)
        for decision in changes.decisions:
            self._decision(decision)

    def count(self, evaluation: GroupEvaluation) -> None:
        """Count an evaluation and its errors, and note which rules have samples."""
        self.slots += 1
        for rule, message in evaluation.report.errors.items():
            self.rules[rule].failed += 1
            self.errors[rule] = message
        for rule, result in evaluation.evaluations.items():
            tally = self.rules[rule]
            tally.seen = tally.seen or bool(result.columns.known.any())

    def note_unjudged(self, runs: Mapping[str, RuleEvaluator]) -> None:
        """Record the models that their rules have never evaluated so far; models that are gone stay recorded."""
        for name, run in runs.items():
            unjudged = self.rules[name].unjudged
            unjudged.update(run.table[row] for row in run.never_judged().tolist())
            early = np.flatnonzero(run.live.known & (run.live.since != JUDGED)).tolist()
            self.rules[name].early = {run.table[row] for row in early}
            for model in list(unjudged):
                row = run.table.find(model)
                if row is not None and run.live.since[row] == JUDGED:
                    unjudged.discard(model)

    def _request(self, record: RequestRecord) -> None:
        request = record.request
        hold = record.hold.value if record.hold is not None else ""
        before = self.requests.get(request.id)
        rules = tuple(dict.fromkeys(item.rule for item in request.evidence)) or (request.rule,)
        self.requests[request.id] = BacktestRequest(
            request.id, request.model, request.rule, request.reason, request.triggered_at, record.sent_at,
            record.state.value, hold or (before.hold if before else ""), request.attempt, rules,
        )  # fmt: skip

    def _decision(self, decision: Decision) -> None:
        model = decision.model
        if model is None or (decision.before, decision.after) != ("pending", "firing"):
            return
        tally = self.rules[decision.rule]
        tally.fired += 1
        tally.models.add(model)
        if decision.outcome is Outcome.JOINED:
            tally.joined += 1
        if decision.outcome is Outcome.NOTIFIED:
            tally.notified += 1

    # ------------------------------------------------------------ read

    def sent(self) -> list[BacktestRequest]:
        """Return the requests that would have been sent, in order."""
        sent = [item for item in self.requests.values() if item.sent_at]
        return sorted(sent, key=lambda item: (item.sent_at, item.model, item.rule, item.attempt))

    def silences(self) -> dict[str, str]:
        """Return what to say of each rule whose queries succeeded, but had no sample in the whole range."""
        return {
            name: "its expression returned nothing in this range" if tally.plain else "no data in this range"
            for name, tally in self.rules.items()
            if not tally.seen and not tally.failed
        }

    def per_week(self, requests: int) -> float | None:
        """Return requests per week, as the function does."""
        return per_week(requests, self.until - self.since)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each rule, and the total."""
        sent = self.sent()
        for name, tally in self.rules.items():
            own = [item for item in sent if item.rule == name]
            held = [item for item in self.requests.values() if item.rule == name and not item.sent_at]
            yield {
                "rule": name, "kind": self.kinds[name], "fired": tally.fired, "requests": len(own),
                "joined": tally.joined, "held": len(held), "models": len(tally.models),
                "per_week": self.per_week(len(own)), "failed": tally.failed,
                "unjudged": len(tally.unjudged),
            }  # fmt: skip
        yield {
            "rule": "", "kind": "", "fired": sum(tally.fired for tally in self.rules.values()), "requests": len(sent),
            "joined": sum(tally.joined for tally in self.rules.values()), "held": len(self.requests) - len(sent),
            "models": len(set().union(*(tally.models for tally in self.rules.values()))),
            "per_week": self.per_week(len(sent)), "failed": sum(item.failed for item in self.rules.values()),
            "unjudged": len(set().union(*(tally.unjudged for tally in self.rules.values()))),
        }  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        *rules, total = self.rows()
        return {
            "from": rfc3339(self.since), "to": rfc3339(self.until), "slots": self.slots, "rules": rules,
            "total": total, "requests": [item.to_json() for item in self.requests.values()],
        }  # fmt: skip
