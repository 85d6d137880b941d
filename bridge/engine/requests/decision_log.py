"""Decision records: one rule, one model, with the numbers that explain the decision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bridge.domain.request import Decision, Evidence, HoldReason, Outcome, RequestRecord, RequestState
from bridge.domain.rule import Group, Rule, SignalQuery
from bridge.domain.times import Timestamp
from bridge.domain.verdict import Cause, Code
from bridge.engine.evaluation.evaluation import Evaluation
from bridge.engine.requests.episodes import TickTransaction

_OUTCOMES = {RequestState.REQUESTED: Outcome.REQUESTED, RequestState.RECORDED: Outcome.RECORDED}
_OVER = frozenset({Outcome.WITHDRAWN, Outcome.MISSED, Outcome.JUDGED})


def record_transition(
    tick: TickTransaction, group: Group, evaluation: Evaluation, row: int, outcome: Outcome, before: str, after: str,
    reason: str, request: str = "",
) -> None:  # fmt: skip
    """Record a change of the state or reason of a rule for one model."""
    now, slot = evaluation.columns, evaluation.slot
    tick.decisions.append(
        Decision(
            slot=slot,
            group=group.name,
            rule=evaluation.rule.name,
            model=evaluation.table[row],
            outcome=outcome,
            before=before,
            after=after,
            reason=reason,
            verdict=Code(now.code[row]).name.lower(),
            cause=Cause(now.cause[row]).word,
            value=none_if_nan(now.value[row]),
            statistic=none_if_nan(now.statistic[row]),
            threshold=none_if_nan(now.threshold[row]),
            query=query_text(evaluation.rule, evaluation.queries),
            query_time=slot - group.offset,
            request_id=request,
        )
    )


def record_request_decision(
    tick: TickTransaction, group: str, record: RequestRecord, outcome: Outcome, reason: str, slot: Timestamp
) -> None:
    """Record a decision about a request that is not a transition of its rule."""
    request = record.request
    over = outcome in _OVER or tick.episode(request.model) is None
    after = "inactive" if over else "firing"
    before = after if outcome in {Outcome.NONE, Outcome.JUDGED} else "firing"
    tick.decisions.append(
        Decision(slot, group, request.rule, request.model, outcome, before, after, reason, request_id=request.id)
    )


def outcome(settled: RequestRecord) -> Outcome:
    """Return the outcome that records how a request passed the gates."""
    if settled.hold is HoldReason.ATTEMPTS:
        return Outcome.ESCALATED
    return _OUTCOMES.get(settled.state, Outcome.HELD)


def evidence(evaluation: Evaluation, row: int) -> list[Evidence]:
    """Return what the rule saw of a model: one item for each of its signals."""
    rule, query, now, series = evaluation.rule, evaluation.query, evaluation.columns, evaluation.series(row)
    if not evaluation.conditions:
        return [
            Evidence(
                rule.name, query.name, query.event.value, query_text(rule, evaluation.queries),
                none_if_nan(now.value[row]), none_if_nan(now.statistic[row]), none_if_nan(now.threshold[row]),
                query.unit, series,
            )
        ]  # fmt: skip
    return [
        Evidence(
            rule.name, item.query.name, item.query.event.value, "\n".join(item.query.exprs.values()),
            none_if_nan(item.value[row]), none_if_nan(item.value[row]), none_if_nan(item.threshold[row]),
            item.query.unit, series,
        )
        for item in evaluation.conditions
    ]  # fmt: skip


def none_if_nan(number: np.float64) -> float | None:
    """Return the number as a float, or None for NaN."""
    return None if np.isnan(number) else float(number)


def query_text(rule: Rule, queries: Mapping[str, SignalQuery]) -> str:
    """Return the expressions of a rule's queries, one per line; several are prefixed with their name."""
    exprs = {
        (f"{query.name}.{name}" if rule.conditions else name): text
        for query in queries.values()
        for name, text in query.exprs.items()
    }
    return (
        next(iter(exprs.values())) if len(exprs) == 1 else "\n".join(f"{name}: {text}" for name, text in exprs.items())
    )
