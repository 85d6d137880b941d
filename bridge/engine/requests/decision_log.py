"""Decision records of moves: one rule, one model, with all that explains them."""

from __future__ import annotations

import numpy as np

from bridge.domain.request import Decision, Evidence, HoldReason, Outcome, RequestRecord, RequestState
from bridge.domain.rule import Group
from bridge.domain.times import Timestamp
from bridge.domain.verdict import Cause, Code
from bridge.engine.evaluation.rule import Evaluation, RuleEvaluator
from bridge.engine.requests.episodes import TickTransaction

_OUTCOMES = {RequestState.REQUESTED: Outcome.REQUESTED, RequestState.RECORDED: Outcome.RECORDED}
_OVER = frozenset({Outcome.WITHDRAWN, Outcome.MISSED, Outcome.JUDGED})


def note(
    draft: TickTransaction, group: Group, run: RuleEvaluator, model_slot: int, outcome: Outcome, slot: Timestamp,
    before: str, after: str, reason: str, request: str = "",
) -> None:  # fmt: skip
    """A change of (state, reason) of a rule for one model."""
    now = run.staged
    draft.decisions.append(
        Decision(
            slot=slot,
            group=group.name,
            rule=run.rule.name,
            model=run.table[model_slot],
            outcome=outcome,
            before=before,
            after=after,
            reason=reason,
            verdict=Code(now.code[model_slot]).name.lower(),
            cause=Cause(now.cause[model_slot]).word,
            value=known(now.value[model_slot]),
            statistic=known(now.statistic[model_slot]),
            threshold=known(now.threshold[model_slot]),
            query=query_text(run),
            query_time=slot - group.offset,
            request_id=request,
        )
    )


def decided(
    draft: TickTransaction, group: str, record: RequestRecord, outcome: Outcome, reason: str, slot: Timestamp
) -> None:
    """A decision about a request, outside a move of its rule."""
    request = record.request
    over = outcome in _OVER or draft.episode(request.model) is None
    after = "inactive" if over else "firing"
    before = after if outcome in {Outcome.NONE, Outcome.JUDGED} else "firing"
    draft.decisions.append(
        Decision(slot, group, request.rule, request.model, outcome, before, after, reason, request_id=request.id)
    )


def outcome(settled: RequestRecord) -> Outcome:
    """How it is told that a request met the gates."""
    if settled.hold is HoldReason.ATTEMPTS:
        return Outcome.ESCALATED
    return _OUTCOMES.get(settled.state, Outcome.HELD)


def evidence(evaluation: Evaluation, model_slot: int) -> list[Evidence]:
    """What the rule saw: one for each of its signals."""
    run = evaluation.run
    now, series = run.staged, evaluation.series(model_slot)
    if not run.parts:
        return [
            Evidence(
                run.rule.name, run.query.name, run.query.event.value, query_text(run), known(now.value[model_slot]),
                known(now.statistic[model_slot]), known(now.threshold[model_slot]), run.query.unit, series,
            )
        ]  # fmt: skip
    return [
        Evidence(
            run.rule.name, part.query.name, part.query.event.value, "\n".join(part.query.exprs.values()),
            known(columns.value[model_slot]), known(columns.value[model_slot]), known(columns.threshold[model_slot]),
            part.query.unit, series,
        )
        for part, columns in zip(run.parts, now.parts, strict=True)
    ]  # fmt: skip


def known(number: np.float64) -> float | None:
    return None if np.isnan(number) else float(number)


def query_text(run: RuleEvaluator) -> str:
    """All expressions of a rule; several are named."""
    exprs = {
        (f"{query.name}.{name}" if run.parts else name): text
        for query in run.queries.values()
        for name, text in query.exprs.items()
    }
    return (
        next(iter(exprs.values())) if len(exprs) == 1 else "\n".join(f"{name}: {text}" for name, text in exprs.items())
    )
