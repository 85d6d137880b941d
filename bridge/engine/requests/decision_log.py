"""Decision records: one rule, one model, with the numbers that explain the decision."""

from __future__ import annotations

from bridge.domain.request import Decision, Evidence, HoldReason, Outcome, RequestRecord, RequestState
from bridge.domain.rule import Group
from bridge.domain.times import Timestamp, rfc3339
from bridge.domain.verdict import Cause, Code
from bridge.engine.evaluation.evaluation import Evaluation, none_if_nan
from bridge.engine.requests.episodes import TickTransaction

_OUTCOMES = {RequestState.REQUESTED: Outcome.REQUESTED, RequestState.RECORDED: Outcome.RECORDED}
_CODES = {int(code): code.name.lower() for code in Code}
_CAUSES = {int(cause): cause.word for cause in Cause}
_OVER = frozenset({Outcome.WITHDRAWN, Outcome.MISSED, Outcome.JUDGED})


def record_transition(
    tick: TickTransaction, group: Group, evaluation: Evaluation, row: int, outcome: Outcome, before: str, after: str,
    reason: str, request: str = "",
) -> None:  # fmt: skip
    """Record a change of the state or reason of a rule for one model, with its numbers in this slot."""
    now, slot = evaluation.columns, evaluation.slot
    value, statistic, threshold = evaluation.numbers(row)
    tick.decisions.append(
        Decision(  # by position: by name, it would take six times as long
            slot, group.name, evaluation.rule.name, evaluation.table[row], outcome, before, after, reason,
            _CODES[now.code.item(row)], _CAUSES[now.cause.item(row)], value, statistic, threshold,
            evaluation.query_text, slot - group.offset, request,
        )
    )  # fmt: skip


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
    passed = _OUTCOMES.get(settled.state)
    if passed is not None:
        return passed
    return Outcome.ESCALATED if settled.hold is HoldReason.ATTEMPTS else Outcome.HELD


def held(record: RequestRecord) -> str:
    """Return that a gate holds a request, with what is known only now: the evidence of a shared cause, or the wait."""
    match record.hold:
        case HoldReason.NOT_THE_MODEL:
            return f"held: {record.hold}: {record.shared_cause}"
        case HoldReason.WEIGHING:
            return f"held: {record.hold} until {rfc3339(record.hold_until)}"
    return f"held: {record.hold}"


def evidence(evaluation: Evaluation, row: int) -> list[Evidence]:
    """Return what the rule saw of a model: one item for each of its signals."""
    rule, query, series = evaluation.rule, evaluation.query, evaluation.series(row)
    if not evaluation.conditions:
        return [
            Evidence(
                rule.name, query.name, str(query.event), evaluation.query_text, *evaluation.numbers(row), query.unit,
                series,
            )
        ]  # fmt: skip
    return [
        Evidence(
            rule.name, item.query.name, item.query.event.value, "\n".join(item.query.exprs.values()),
            none_if_nan(item.value.item(row)), none_if_nan(item.value.item(row)), none_if_nan(item.threshold.item(row)),
            item.query.unit, series,
        )
        for item in evaluation.conditions
    ]  # fmt: skip
