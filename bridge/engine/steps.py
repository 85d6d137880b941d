"""Steps of an evaluation on one group's rules: fetch, expect, judge and advance."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError, StrategyError
from bridge.domain.request import Decision, Outcome
from bridge.domain.rule import SignalQuery
from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Cause, Int8
from bridge.engine.evaluation.answers import Answer, Answers, quality, taken, taken_all
from bridge.engine.evaluation.conditions import ConditionJudgement
from bridge.engine.evaluation.evaluation import Evaluation, GroupEvaluation
from bridge.engine.evaluation.group import GroupEvaluator
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.evaluation.slots import Plan
from bridge.engine.requests.episodes import TickTransaction
from bridge.engine.state import backfill, strategy_state
from bridge.ports import MetricSource, QueryReport, TickReport

log = logging.getLogger(__name__)

Seconds = Callable[[], float]


@dataclass(slots=True)
class Tick:
    """One evaluation of a group in progress: its input, its changes and the figures for its report.

    plan: the slots to evaluate.
    clock: seconds, for durations only.
    next_slot: when the next slot begins, by this clock.
    past: answers for the missed slots, by signal.
    answers: answers for the present slot, by signal.
    query_seconds: duration of the queries of each signal.
    evaluations: of the latest slot, by rule.
    waits: True if missed slots are left to a later evaluation, because the source does not answer.
    """

    group: GroupEvaluator
    plan: Plan
    draft: TickTransaction
    clock: Seconds
    past: dict[str, list[EventBatch] | SourceError] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    queries: list[QueryReport] = field(default_factory=list)
    query_seconds: dict[str, float] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)
    errors: dict[str, str] = field(default_factory=dict)
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    waits: bool = False
    next_slot: float = math.inf

    @property
    def retry_for(self) -> Duration | None:
        """Return the time until the next slot, in which failed queries may be repeated; None = any."""
        left = self.next_slot - self.clock()
        return None if math.isinf(left) else max(0, round(1000 * left))

    @property
    def stored_slot(self) -> Timestamp:
        """Return the slot after which the next evaluation continues once this one is stored."""
        last = self.group.caught_up
        return last if self.waits and last is not None else self.plan.slot

    def slots(self) -> Iterator[tuple[Timestamp, Answers, bool]]:
        """Yield each slot in order with its answers, and True for the present one."""
        for index, slot in enumerate(self.plan.missed):
            answers: dict[str, Answer] = {
                name: batches if isinstance(batches, SourceError) else batches[index]
                for name, batches in self.past.items()
            }
            yield slot, answers, False
        yield self.plan.slot, self.answers, True

    def add_durations(self, seconds: float) -> None:
        """Record the duration of the group's evaluation and of each rule's."""
        for rule in self.group.runs:
            rule.seconds = rule.spent + sum(self.query_seconds[name] for name in rule.queries)
        self.group.seconds = seconds

    def alert_news(self) -> bool:
        """Return whether an `alert:` rule began to fire, or resolved in the latest slot."""
        if any(decision.outcome is Outcome.NOTIFIED for decision in self.draft.decisions):
            return True
        notifying = (self.evaluations.get(rule.rule.name) for rule in self.group.runs if rule.notifies)
        return any(evaluation is not None and len(evaluation.moves.resolved) for evaluation in notifying)

    def result(self) -> GroupEvaluation:
        """Return the result of a committed evaluation."""
        return GroupEvaluation(self._report(), MappingProxyType(self.evaluations))

    def _report(self) -> TickReport:
        draft, plan, rules = self.draft, self.plan, self.group.runs
        decisions = Counter([(decision.rule, decision.outcome) for decision in draft.decisions])
        return TickReport(
            self.group.group.name,
            plan.slot,
            self.group.seconds,
            tuple(self.queries),
            dict(self.events),
            {(rule, outcome.value): count for (rule, outcome), count in decisions.items()},
            plan.missed_count,
            self.errors,
            len(draft.deliveries),
            _recovery_verdicts(draft, plan.slot),
            {rule.rule.name: quality(rule.rule, rule.queries, self.answers).value for rule in rules},
        )


def _recovery_verdicts(draft: TickTransaction, slot: Timestamp) -> dict[tuple[str, str], int]:
    """Count the recovery verdicts of this slot by rule and verdict."""
    judged = (record for record in draft.requests.values() if record.verdict is not None and record.verdict_at == slot)
    return dict(Counter((record.request.rule, str(record.verdict)) for record in judged))


# ---------------------------------------------------------------- fetch


def fetch(tick: Tick, source: MetricSource, catch_up_limit: Duration) -> None:
    """Query all signals of the group: the present slot, history for cold strategies, and the missed slots.

    If the source answers none of the queries for the present slot, the missed slots wait for a later evaluation.
    """
    _fetch_present(tick, source)
    if _must_wait(tick):
        tick.waits, tick.plan = True, Plan(tick.plan.slot, (), 0)
        return
    _backfill(tick, source, catch_up_limit)
    _fetch_past(tick, source)


def _must_wait(tick: Tick) -> bool:
    """Return whether the missed slots must wait.

    They do not where a rule's policy decides slots without an answer, nor if the server answers that it cannot execute
    the query: many-to-many matching, for example, does not end by waiting.
    """
    failed = [
        isinstance(answer, SourceError) and answer.transient and answer.reason != "execution"
        for answer in tick.answers.values()
    ]
    decided = any(rule.rule.policies.get(Cause.QUERY_ERROR) in {"ok", "fire"} for rule in tick.group.runs)
    return bool(tick.plan.missed and failed) and all(failed) and not decided


def _backfill(tick: Tick, source: MetricSource, catch_up_limit: Duration) -> None:
    """Bring stored strategy state up to the last slot; give cold strategies the history that they need."""
    group = tick.group
    enough = backfill.time_budget(group.group.interval, tick.clock)
    first = (tick.plan.missed or (tick.plan.slot,))[0]
    for rule in group.runs:
        if rule.behind:
            last = group.caught_up
            if last is None or strategy_state.COLD in rule.behind.values():
                last = first - group.group.interval
            backfill.backfill(rule, group.group, source, last, catch_up_limit, enough)


def _fetch_past(tick: Tick, source: MetricSource) -> None:
    """Query the missed slots of every signal."""
    missed = tick.plan.missed
    if not missed:
        return
    for name, query in tick.group.queries().items():
        began = tick.clock()
        try:
            tick.past[name] = list(source.history(query, missed, tick.group.group.offset))
        except SourceError as error:
            tick.queries.append(_failed(tick, query, error, began))
            tick.past[name] = error
        tick.query_seconds[name] += tick.clock() - began


def _fetch_present(tick: Tick, source: MetricSource) -> None:
    """Query the present slot of every signal; signals with the same expressions share one query."""
    shared: dict[tuple[object, ...], tuple[Answer, float]] = {}
    for name, query in tick.group.queries().items():
        key = sameness(query)
        if key not in shared:
            answer = _fetch_one(tick, source, query)
            shared[key] = answer, tick.queries[-1].seconds
        tick.answers[name] = _renamed(shared[key][0], query)
        tick.query_seconds[name] = shared[key][1]


def _fetch_one(tick: Tick, source: MetricSource, query: SignalQuery) -> Answer:
    slot, began = tick.plan.slot, tick.clock()
    try:
        batch = source.instant(query, slot, slot - tick.group.group.offset, tick.retry_for)
    except SourceError as error:
        tick.queries.append(_failed(tick, query, error, began))
        return error
    seconds = tick.clock() - began
    tick.queries.append(QueryReport(query.name, seconds, batch.elements, batch.skipped, server=query.server))
    return batch


def _failed(tick: Tick, query: SignalQuery, error: SourceError, began: float) -> QueryReport:
    return QueryReport(query.name, tick.clock() - began, 0, {}, error.reason, str(error), query.server)


def sameness(query: SignalQuery) -> tuple[object, ...]:
    """Return a key that is equal for queries with the same answer."""
    return (query.server, tuple(sorted(query.exprs.items())), query.mapping, query.limit)


def _renamed(answer: Answer, query: SignalQuery) -> Answer:
    if isinstance(answer, SourceError) or answer.name == query.name:
        return answer
    return replace(answer, name=query.name, event=query.event, unit_ms=query.unit_ms)


# ---------------------------------------------------------------- expect and judge


def expect(tick: Tick, slot: Timestamp, answers: Answers) -> Iterator[EventBatch]:
    """Update the expected models with each answer, and yield its batch without the models that report no value."""
    for answer in answers.values():
        if isinstance(answer, EventBatch):
            batch = tick.group.meet(answer, slot)
            tick.events[batch.event.value] += len(batch)
            yield batch


@dataclass(slots=True)
class Judgements:
    """Results of the rules that judged the batches of one slot, by rule.

    evaluations: of rules on one signal.
    conditions: judgements of composite rules, by index of the condition.
    failures: messages of strategies that raised.
    """

    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    conditions: dict[str, dict[int, ConditionJudgement]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def judge(tick: Tick, batches: Iterable[EventBatch]) -> Judgements:
    """Judge every batch by each rule that reads its signal. A rule that fails does not stop the others."""
    judged = Judgements()
    for batch in batches:
        for rule in tick.group.runs:
            if batch.name in rule.queries:
                began = perf_counter()
                try:
                    _judge(rule, taken(batch, rule.rule), tick.group.first_seen(batch), judged)
                except Exception as error:  # noqa: BLE001 - a rule's failure never stops the others
                    judged.failures[rule.rule.name] = str(error)
                    _log_failure(rule.rule.name, error)
                rule.spent += perf_counter() - began
    return judged


def _judge(rule: RuleEvaluator, batch: EventBatch, first_seen: NDArray[np.int64], judged: Judgements) -> None:
    name = rule.rule.name
    if rule.parts:
        judged.conditions.setdefault(name, {}).update(rule.judge_conditions(batch, first_seen))
    else:
        judged.evaluations[name] = rule.evaluate(batch, first_seen)


def _log_failure(rule: str, error: Exception) -> None:
    fields = {"rule": rule, "error": str(error), "kind": type(error).__name__}
    log.warning("rule could not be evaluated", extra=fields, exc_info=not isinstance(error, StrategyError))


# ---------------------------------------------------------------- advance


def advance(tick: Tick, slot: Timestamp, answers: Answers, judged: Judgements) -> dict[str, Evaluation]:
    """Finish the slot for every rule, composite rules last since their conditions read other rules.

    Return the evaluations by rule; record each rule's health and a decision when that changed.
    """
    evaluations: dict[str, Evaluation] = {}
    for rule in sorted(tick.group.runs, key=lambda rule: bool(rule.parts)):
        began = perf_counter()
        evaluation = _advance_rule(tick, rule, slot, answers, judged, evaluations)
        rule.spent += perf_counter() - began
        if evaluation is not None:
            evaluations[rule.rule.name] = evaluation
    return evaluations


def _advance_rule(
    tick: Tick,
    rule: RuleEvaluator,
    slot: Timestamp,
    answers: Answers,
    judged: Judgements,
    earlier: Mapping[str, Evaluation],
) -> Evaluation | None:
    """Return the rule's evaluation, None if its strategy raised. earlier: evaluations of the slot so far."""
    name, problem, answers = rule.rule.name, "", taken_all(answers, rule.rule)
    evaluation = judged.evaluations.get(name)
    failed: SourceError | None = None
    for signal in rule.queries:
        answer = answers.get(signal)
        failed = answer if isinstance(answer, SourceError) else None
        problem = _problem(answer)
        if problem:
            break
    if rule.parts and name not in judged.failures:
        conditions = judged.conditions.get(name, {})
        evaluation = rule.conclude(slot, conditions, _causes(rule, answers), lambda on: _opinions(tick, on, earlier))
    elif failed is not None:
        evaluation = rule.unanswered(slot, failed.cause)
    elif evaluation is None:
        problem = judged.failures.get(name, "nothing was evaluated")
    rule.last_evaluation = slot
    _record_health(tick, rule, problem, slot, raised=name in judged.failures)
    if problem:
        tick.errors[name] = problem
    return evaluation


def _opinions(tick: Tick, signal: str, evaluations: Mapping[str, Evaluation]) -> Iterator[tuple[Int8, Int8, Int8]]:
    """Yield code, cause and alert state columns of the rules that decide whether a signal is healthy."""
    for rule in tick.group.judges(signal):
        yield rule.opinion(evaluated=rule.rule.name in evaluations)


def _problem(answer: Answer | None) -> str:
    """Return the reason why an answer is missing or not whole, "" when it is whole."""
    if isinstance(answer, SourceError):
        return answer.fault
    if answer is not None and answer.cause is not Cause.NONE:
        return f"the answer is {answer.cause.word}: {'; '.join(answer.notes) or 'no reason given'}"
    return ""


def _causes(rule: RuleEvaluator, answers: Answers) -> Mapping[str, Cause]:
    """Return the cause of every missing or partial answer, by signal."""
    causes = {name: answers[name].cause for name in rule.queries if name in answers}
    return {name: cause for name, cause in causes.items() if cause is not Cause.NONE}


def _record_health(tick: Tick, rule: RuleEvaluator, problem: str, slot: Timestamp, *, raised: bool) -> None:
    """Record whether the rule was evaluated. raised: the problem is a strategy's, whose text may vary by slot."""
    other_text = problem and problem != rule.last_error and rule.failures and not raised
    changed = bool(problem) != (rule.health == "err") or other_text
    if changed and (problem or rule.failures):
        outcome = Outcome.ERROR if problem else Outcome.NONE
        text = problem or f"answered again after {rule.failures} failed evaluations; states were kept meanwhile"
        before, after = ("err" if rule.failures else "ok"), ("err" if problem else "ok")
        group, query = tick.group.group, next(iter(rule.query.exprs.values()))
        tick.draft.decisions.append(
            Decision(
                slot,
                group.name,
                rule.rule.name,
                None,
                outcome,
                before,
                after,
                text,
                query=query,
                query_time=slot - group.offset,
                repeats=rule.failures,
            )
        )
    rule.health, rule.last_error = ("err", problem) if problem else ("ok", "")
    rule.failures = rule.failures + 1 if problem else 0
