"""Steps of an evaluation on one group's rules: fetch, expect, judge and advance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter

from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.request import Decision, Outcome
from bridge.domain.rule import SignalQuery
from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Cause
from bridge.engine.evaluation.answers import Answer, Answers, quality, taken_all
from bridge.engine.evaluation.evaluation import Evaluation
from bridge.engine.evaluation.group import GroupEvaluator
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.evaluation.slots import Plan
from bridge.engine.requests.episodes import TickTransaction
from bridge.engine.state import backfill, strategy_state
from bridge.ports import MetricSource, QueryReport, TickReport

Seconds = Callable[[], float]


@dataclass(slots=True)
class Tick:
    """One evaluation of a group in progress: its input, its changes and the figures for its report.

    plan: the slots to evaluate.
    clock: seconds, for durations only.
    past: answers for the missed slots, by signal.
    answers: answers for the present slot, by signal.
    query_seconds: duration of the queries of each signal.
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

    def report(self) -> TickReport:
        """Return the report of a committed evaluation."""
        draft, plan, rules = self.draft, self.plan, self.group.runs
        decisions = Counter((decision.rule, decision.outcome.value) for decision in draft.decisions)
        return TickReport(
            self.group.group.name,
            plan.slot,
            self.group.seconds,
            tuple(self.queries),
            dict(self.events),
            dict(decisions),
            plan.missed_count,
            len(plan.missed),
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
    """Query all signals of the group: history for cold strategies, the missed slots, and the present slot."""
    _backfill(tick, source, catch_up_limit)
    _fetch_past(tick, source)
    _fetch_present(tick, source)


def _backfill(tick: Tick, source: MetricSource, catch_up_limit: Duration) -> None:
    """Bring stored strategy state up to the last slot; give cold strategies the history that they need."""
    group = tick.group
    enough = backfill.portions(group.group.interval, tick.clock)
    first = (tick.plan.missed or (tick.plan.slot,))[0]
    for rule in group.runs:
        if rule.behind:
            last = group.last_slot
            if last is None or strategy_state.COLD in rule.behind.values():
                last = first - group.group.interval
            backfill.recall(rule, group.group, source, last, catch_up_limit, enough)


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
            tick.queries.append(QueryReport(name, tick.clock() - began, 0, {}, error.reason, str(error)))
            tick.past[name] = error
        tick.query_seconds[name] = tick.clock() - began


def _fetch_present(tick: Tick, source: MetricSource) -> None:
    """Query the present slot of every signal; signals with the same expressions share one query."""
    shared: dict[tuple[object, ...], tuple[Answer, float]] = {}
    for name, query in tick.group.queries().items():
        key = sameness(query)
        if key not in shared:
            answer = _fetch_one(tick, source, query)
            shared[key] = answer, tick.queries[-1].seconds
        tick.answers[name] = _renamed(shared[key][0], query)
        tick.query_seconds[name] = tick.query_seconds.get(name, 0.0) + shared[key][1]


def _fetch_one(tick: Tick, source: MetricSource, query: SignalQuery) -> Answer:
    slot, began = tick.plan.slot, tick.clock()
    try:
        batch = source.instant(query, slot, slot - tick.group.group.offset)
    except SourceError as error:
        tick.queries.append(QueryReport(query.name, tick.clock() - began, 0, {}, error.reason, str(error)))
        return error
    tick.queries.append(QueryReport(query.name, tick.clock() - began, batch.elements, batch.skipped))
    return batch


def sameness(query: SignalQuery) -> tuple[object, ...]:
    """Return a key that is equal for queries with the same answer."""
    return (tuple(sorted(query.exprs.items())), query.mapping, query.limit)


def _renamed(answer: Answer, query: SignalQuery) -> Answer:
    if isinstance(answer, SourceError) or answer.name == query.name:
        return answer
    return replace(answer, name=query.name, event=query.event, unit_ms=query.unit_ms)


# ---------------------------------------------------------------- expect and judge


def expect(tick: Tick, slot: Timestamp, answers: Answers) -> Iterator[EventBatch]:
    """Update the expected models with each answer, and yield its batch without the models that report no value."""
    for rule in tick.group.runs:
        rule.next_slot()
    for answer in answers.values():
        if isinstance(answer, EventBatch):
            batch = tick.group.meet(answer, slot)
            tick.events[batch.event.value] += len(batch)
            yield batch


def judge(tick: Tick, batches: Iterable[EventBatch]) -> None:
    """Notify the group's subject of every batch: each rule judges the batches of its signals."""
    for batch in batches:
        tick.group.subject.notify(batch)


# ---------------------------------------------------------------- advance


def advance(tick: Tick, slot: Timestamp, answers: Answers) -> list[Evaluation]:
    """Finish the slot for every rule, composite rules last since their conditions read other rules.

    Return the evaluations; record each rule's health and a decision when that changed.
    """
    evaluations = []
    for rule in sorted(tick.group.runs, key=lambda rule: bool(rule.parts)):
        began = perf_counter()
        evaluation = _advance_rule(tick, rule, slot, answers)
        rule.spent += perf_counter() - began
        if evaluation is not None:
            evaluations.append(evaluation)
    return evaluations


def _advance_rule(tick: Tick, rule: RuleEvaluator, slot: Timestamp, answers: Answers) -> Evaluation | None:
    problem, answers = "", taken_all(answers, rule.rule)
    failed: SourceError | None = None
    for name in rule.queries:
        answer = answers.get(name)
        failed = answer if isinstance(answer, SourceError) else None
        problem = _problem(answer)
        if problem:
            break
    if rule.parts and not rule.raised:
        rule.conclude(slot, _causes(rule, answers), tick.group.judges)
    elif failed is not None:
        rule.unanswered(slot, failed.cause)
    elif rule.evaluation is None:
        problem = rule.last_error or "nothing was evaluated"
    rule.last_evaluation = slot
    _record_health(tick, rule, problem, slot)
    if problem:
        tick.errors[rule.rule.name] = problem
    return rule.evaluation


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


def _record_health(tick: Tick, rule: RuleEvaluator, problem: str, slot: Timestamp) -> None:
    changed = bool(problem) != (rule.health == "err") or (problem and problem != rule.last_error and rule.failures)
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
