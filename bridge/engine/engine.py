"""One evaluation of a rule group: ask, notify, decide, commit. The same code runs live and over history."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError, StoreUncertainError
from bridge.domain.model import ModelTable
from bridge.domain.request import Decision, HoldReason, Outcome, RequestRecord
from bridge.domain.rule import Gates, Group, SignalQuery
from bridge.domain.times import DAY, HOUR, MINUTE, Duration, Timestamp
from bridge.domain.verdict import Cause
from bridge.engine.evaluation.answers import Answers, quality, taken_all
from bridge.engine.evaluation.expansion import Expander, External, TemplateQueries
from bridge.engine.evaluation.group import GroupEvaluator
from bridge.engine.evaluation.observer import RuleObserver
from bridge.engine.evaluation.rule import Evaluation, RuleEvaluator
from bridge.engine.evaluation.slots import Plan, plan
from bridge.engine.evaluation.subject import Observer
from bridge.engine.evaluation.trail import Trails
from bridge.engine.requests.decider import Decider
from bridge.engine.requests.episodes import EpisodeIndex, TickTransaction
from bridge.engine.requests.gates import Gatekeeper, Routing, unknown_silences
from bridge.engine.requests.lifecycle import RequestLifecycle
from bridge.engine.state import backfill, frozen_labels, strategy_state
from bridge.engine.state.restore import Restorer, StaleRows
from bridge.ports import (
    MetricSource,
    QueryReport,
    SilenceSnapshot,
    TickChanges,
    TickReport,
    TickStore,
)

log = logging.getLogger(__name__)

_NEWS = frozenset({Outcome.NOTIFIED, Outcome.HELD, Outcome.ESCALATED})
RESOLVED_FOR: Duration = 15 * MINUTE
RETIRE_AFTER: Duration = 7 * DAY
SENT_KEPT: Duration = 31 * DAY  # no budget looks back further


@dataclass(slots=True)
class _Tally:
    """What a tick counts for its report. asking: seconds that the answers of each signal took, by its name."""

    queries: list[QueryReport] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    errors: dict[str, str] = field(default_factory=dict)
    caught_up: int = 0
    asking: dict[str, float] = field(default_factory=dict)


class Engine:
    """Evaluates groups and keeps their state. Thread-safe: groups fetch side by side, and decide one after the other.

    source, store: ports. table: the models of all groups. book: episodes and requests (guarded by `lock`).
    """

    def __init__(self, source: MetricSource, store: TickStore, table: ModelTable) -> None:
        self.source = source
        self.store = store
        self.table = table
        self.book = EpisodeIndex()
        self.groups: dict[str, GroupEvaluator] = {}
        self.lock = threading.RLock()
        self.catch_up_limit: Duration = HOUR
        self.retire_after: Duration = RETIRE_AFTER
        self._external = External()
        self._template_queries = TemplateQueries(lambda expr, at: self.source.evaluate(expr, at))
        self._routing: Routing | None = None
        self._gates = Gates()
        self._storms: dict[str, tuple[Timestamp, Timestamp]] = {}
        self._stormy: list[RequestRecord] = []
        self.dry_run = False
        self.generation = 0
        self.silences: Callable[[], SilenceSnapshot | None] = unknown_silences
        self.trails: Trails | None = None  # what was seen, for pictures; a replay keeps none
        self._restorer = Restorer(table, self._observer_failed)
        self._dropped = StaleRows()
        self._reconfigured = False
        self._doubts = 0

    # ------------------------------------------------------------ start and reload

    def start(self, now: Timestamp) -> None:
        """Continue from the store. Raises StoreError."""
        doubts, snapshot = self.store.doubts, self.store.load(now - RESOLVED_FOR, now - SENT_KEPT)
        self._doubts, self.book, self._storms = doubts, EpisodeIndex(), {}
        self._restorer.load(snapshot)
        self.book.load(snapshot.episodes, snapshot.requests, snapshot.sent, snapshot.pauses)
        self._stormy = [record for record in snapshot.requests if record.hold is HoldReason.STORM]

    def recover(self, now: Timestamp) -> None:
        """Drop what is known and load it again, if the store may hold something else. Raises StoreError."""
        with self.lock:
            if self.store.doubts == self._doubts or not self.groups:
                return
            self.start(now)
            old, self.groups = self.groups, self._restorer.groups([run.group for run in self.groups.values()], {})
            for name, run in self.groups.items():
                run.seconds, run.missed = old[name].seconds, old[name].missed
            self._equip()
            self._dropped, self._reconfigured = self._restorer.left(self.groups, {}), True
            self._remember_storms()
            self.generation += 1
        log.warning("what the store holds was not known for sure, and is loaded anew")

    @contextlib.contextmanager
    def certain(self, now: Timestamp) -> Iterator[None]:
        """The lock, with what the store holds known. Raises StoreError."""
        with self.lock:
            self.recover(now)
            yield

    def configure(
        self,
        groups: Iterable[Group],
        routing: Routing,
        gates: Gates,
        *,
        catch_up_limit: Duration = HOUR,
        external: External | None = None,
    ) -> None:
        """Put rules, routes and gates in force. State goes on where a rule's meaning is the same."""
        with self.lock:
            old, self.groups = self.groups, self._restorer.groups(groups, self.groups)
            self._external = external or External()
            self._equip()
            self._routing, self._gates, self.catch_up_limit = routing, gates, catch_up_limit
            left = self._restorer.left(self.groups, old)
            self._dropped = StaleRows(
                [*self._dropped.alerts, *left.alerts],
                [*self._dropped.sightings, *left.sightings],
                [*self._dropped.chunks, *left.chunks],
            )
            self._reconfigured = True
            self._remember_storms()
            if self.trails is not None:
                self.trails.keep(set(self.runs()))

    def _equip(self) -> None:
        """Give every rule what its templates need."""
        expander = Expander(self._external, self._template_queries)
        for run in self.runs().values():
            run.expander = expander

    def _remember_storms(self) -> None:
        """After a start: a storm that holds requests goes on for those that follow."""
        runs = self.runs()
        for record in self._stormy:
            run = runs.get(record.request.rule)
            if run is not None:
                since, until = self._storms.get(run.rule.group, (record.request.triggered_at, 0))
                began = min(since, record.request.triggered_at)
                self._storms[run.rule.group] = (began, max(until, record.hold_until))
        self._stormy = []

    def close(self) -> None:
        """Commit nothing more: a tick that is under way is as if it had not been."""
        with self.lock:
            self.groups = {}

    def runs(self) -> dict[str, RuleEvaluator]:
        """Every rule by name."""
        return {run.rule.name: run for group in self.groups.values() for run in group.runs}

    def _observer_failed(self, observer: Observer, error: Exception) -> None:
        if isinstance(observer, RuleObserver):
            observer.run.last_error, observer.run.raised = str(error), True

    # ------------------------------------------------------------ a tick

    def evaluate(self, name: str, now: Timestamp, *, clock: Callable[[], float] = perf_counter) -> TickReport | None:
        """Evaluate group `name` up to its present slot; None when that is stored already, or the group is gone.

        Raises StoreError when the tick could not be stored: then nothing has changed, and the next one catches up.
        When it is not known whether it was stored, everything is loaded again, and what is missing is evaluated anew.
        clock: seconds, for durations only.
        """
        try:
            self.recover(now)
            return self._evaluate(name, now, clock)
        except StoreUncertainError:
            self.recover(now)
            return self._evaluate(name, now, clock)

    def _evaluate(self, name: str, now: Timestamp, clock: Callable[[], float]) -> TickReport | None:
        run, doubts = self.groups.get(name), self._doubts
        if run is None:
            return None
        with run.lock:
            todo = plan(run.group, run.last_slot, now, self.catch_up_limit)
            return None if todo is None else self._tick(run, todo, now, doubts, clock)

    def _tick(
        self, run: GroupEvaluator, todo: Plan, now: Timestamp, doubts: int, clock: Callable[[], float]
    ) -> TickReport | None:
        began, tally = clock(), _Tally()
        self._recall(run, todo, clock)
        past = self._past(run, todo, tally, clock)
        answers = self._ask(run, todo.slot, tally, clock)
        with self.lock:
            if self.store.doubts != doubts:
                raise StoreUncertainError("the store has to be loaded anew")
            if self.groups.get(run.group.name) is not run:
                return None  # reloaded meanwhile: the new rules evaluate this slot
            draft = TickTransaction(self.book)
            try:
                self._judge(run, todo, past, answers, draft, tally)
                changes = self._changes(run, todo, draft, now)
                self.store.commit(changes)
            except BaseException:
                run.rollback()
                raise
            told = run.alert_news() or any(decision.outcome in _NEWS for decision in draft.decisions)
            self.generation += told
            self._committed(run, todo, draft)
            for rule in run.runs:
                rule.seconds = rule.spent + sum(tally.asking[name] for name in rule.queries)
            run.seconds = clock() - began
        decisions = Counter((decision.rule, decision.outcome.value) for decision in draft.decisions)
        return TickReport(
            run.group.name, todo.slot, run.seconds, tuple(tally.queries), dict(tally.events), dict(decisions),
            todo.missed_count, tally.caught_up, tally.errors, len(draft.deliveries), _judged(draft, todo.slot), told,
            {rule.rule.name: quality(rule.rule, rule.queries, answers).value for rule in run.runs},
        )  # fmt: skip

    def _recall(self, run: GroupEvaluator, todo: Plan, clock: Callable[[], float]) -> None:
        """What strategies remember may be some slots old after a start; at a cold start they want to see history."""
        enough = backfill.portions(run.group.interval, clock)
        first = (todo.missed or (todo.slot,))[0]
        for rule in run.runs:
            if rule.behind:
                last = run.last_slot
                if last is None or strategy_state.COLD in rule.behind.values():
                    last = first - run.group.interval
                backfill.recall(rule, run.group, self.source, last, self.catch_up_limit, enough)

    def _judge(
        self, run: GroupEvaluator, todo: Plan, past: Mapping[str, Sequence[EventBatch] | SourceError],
        answers: Answers, draft: TickTransaction, tally: _Tally,
    ) -> None:  # fmt: skip
        run.begin(todo.gap)
        if self._reconfigured:
            self._decider(run).end_orphans(draft, todo.slot)
        for place, slot in enumerate(todo.missed):
            then = {key: found if isinstance(found, SourceError) else found[place] for key, found in past.items()}
            self._slot(run, slot, then, draft, tally, live=False)
        tally.caught_up = len(todo.missed)
        self._slot(run, todo.slot, answers, draft, tally, live=True)

    def _slot(
        self,
        run: GroupEvaluator,
        slot: Timestamp,
        answers: Answers,
        draft: TickTransaction,
        tally: _Tally,
        *,
        live: bool,
    ) -> None:
        """Notify the subject of every batch, and decide what the observers found."""
        for rule in run.runs:
            rule.next_slot()
        for answer in answers.values():
            if isinstance(answer, EventBatch):
                batch = run.meet(answer, slot)
                tally.events[batch.event.value] += len(batch)
                run.subject.notify(batch)
        ordered = sorted(run.runs, key=lambda rule: bool(rule.parts))  # conditions may ask what other rules found
        evaluations = [found for rule in ordered if (found := self._timed(run, rule, answers, slot, draft, tally))]
        decider = self._decider(run)
        decider.slot(draft, evaluations, slot, live=live)
        for name, rule, gone, why in run.departures(slot, self.retire_after):
            decider.leave(draft, rule, name, gone, slot, why)

    def _decider(self, run: GroupEvaluator) -> Decider:
        return Decider(RequestLifecycle(run.group, self.runs(), self.keeper()))

    def keeper(self) -> Gatekeeper:
        """The gates in force."""
        if self._routing is None:
            raise RuntimeError("configure() comes first")
        return Gatekeeper(self._routing, self._gates, self.silences, self._storms)

    def _timed(
        self,
        run: GroupEvaluator,
        rule: RuleEvaluator,
        answers: Answers,
        slot: Timestamp,
        draft: TickTransaction,
        tally: _Tally,
    ) -> Evaluation | None:
        began = perf_counter()
        found = self._outcome(run, rule, answers, slot, draft, tally)
        rule.spent += perf_counter() - began
        return found

    def _outcome(
        self,
        run: GroupEvaluator,
        rule: RuleEvaluator,
        answers: Answers,
        slot: Timestamp,
        draft: TickTransaction,
        tally: _Tally,
    ) -> Evaluation | None:
        """How a rule's evaluation went; its health, and a decision record when that changed."""
        problem, answers = "", taken_all(answers, rule.rule)
        for name in rule.queries:
            answer = answers.get(name)
            if isinstance(answer, SourceError):
                problem = answer.fault
            elif isinstance(answer, EventBatch) and answer.cause is not Cause.NONE:
                problem = f"the answer is {answer.cause.word}: {'; '.join(answer.notes) or 'no reason given'}"
            if problem:
                break
        if rule.parts and not rule.raised:
            rule.conclude(slot, _causes(rule, answers), run.judges)
        elif isinstance(answer, SourceError):
            rule.unanswered(slot, answer.cause)
        elif rule.evaluation is None:
            problem = rule.last_error or "nothing was evaluated"
        rule.last_evaluation = slot
        self._health(run, rule, problem, slot, draft)
        if problem:
            tally.errors[rule.rule.name] = problem
        return rule.evaluation

    def _health(
        self, run: GroupEvaluator, rule: RuleEvaluator, problem: str, slot: Timestamp, draft: TickTransaction
    ) -> None:
        changed = bool(problem) != (rule.health == "err") or (problem and problem != rule.last_error and rule.failures)
        if changed and (problem or rule.failures):
            outcome = Outcome.ERROR if problem else Outcome.NONE
            text = problem or f"answered again after {rule.failures} failed evaluations; states were kept meanwhile"
            before, after = ("err" if rule.failures else "ok"), ("err" if problem else "ok")
            query = next(iter(rule.query.exprs.values()))
            draft.decisions.append(
                Decision(
                    slot, run.group.name, rule.rule.name, None, outcome, before, after, text,
                    query=query, query_time=slot - run.group.offset, repeats=rule.failures,
                )
            )  # fmt: skip
        rule.health, rule.last_error = ("err", problem) if problem else ("ok", "")
        rule.failures = rule.failures + 1 if problem else 0

    # ------------------------------------------------------------ asking

    def _ask(self, run: GroupEvaluator, slot: Timestamp, tally: _Tally, clock: Callable[[], float]) -> Answers:
        """One batch, or the reason why there is none, for every signal that a rule uses."""
        asked: dict[tuple[object, ...], tuple[EventBatch | SourceError, float]] = {}
        answers: dict[str, EventBatch | SourceError] = {}
        for name, query in run.queries().items():
            key = sameness(query)
            if key not in asked:
                answer = self._ask_one(query, slot, slot - run.group.offset, tally, clock)
                asked[key] = answer, tally.queries[-1].seconds
            answers[name] = _renamed(asked[key][0], query)
            tally.asking[name] = tally.asking.get(name, 0.0) + asked[key][1]
        return answers

    def _ask_one(
        self, query: SignalQuery, slot: Timestamp, at: Timestamp, tally: _Tally, clock: Callable[[], float]
    ) -> EventBatch | SourceError:
        began = clock()
        try:
            batch = self.source.instant(query, slot, at)
        except SourceError as error:
            tally.queries.append(QueryReport(query.name, clock() - began, 0, {}, error.reason, str(error)))
            return error
        tally.queries.append(QueryReport(query.name, clock() - began, batch.elements, batch.skipped))
        return batch

    def _past(
        self, run: GroupEvaluator, todo: Plan, tally: _Tally, clock: Callable[[], float]
    ) -> dict[str, list[EventBatch] | SourceError]:
        """The batches of the missed slots, by signal."""
        past: dict[str, list[EventBatch] | SourceError] = {}
        for name, query in run.queries().items() if todo.missed else ():
            began = clock()
            try:
                past[name] = list(self.source.history(query, todo.missed, run.group.offset))
            except SourceError as error:
                tally.queries.append(QueryReport(name, clock() - began, 0, {}, error.reason, str(error)))
                past[name] = error
            tally.asking[name] = clock() - began
        return past

    # ------------------------------------------------------------ storing

    def _changes(self, run: GroupEvaluator, todo: Plan, draft: TickTransaction, now: Timestamp) -> TickChanges:
        return TickChanges(
            group=run.group.name,
            slot=todo.slot,
            alerts=[*self._dropped.alerts, *run.rows()],
            episodes=list(draft.episodes.values()),
            requests=list(draft.requests.values()),
            deliveries=draft.deliveries,
            decisions=draft.decisions,
            state=[
                *self._dropped.chunks,
                *(chunk for rule in run.runs for chunk in strategy_state.chunks(rule, run.group, todo.slot)),
                *(chunk for rule in run.runs if (chunk := frozen_labels.chunk(rule, todo.slot)) is not None),
            ],
            sightings=[*self._dropped.sightings, *run.sightings()],
            at=now,
        )

    def _committed(self, run: GroupEvaluator, todo: Plan, draft: TickTransaction) -> None:
        run.commit()
        draft.apply()
        self.book.forget(todo.slot - RESOLVED_FOR)
        self.book.sent.forget(todo.slot - SENT_KEPT)
        self._dropped, self._reconfigured = StaleRows(), False
        run.last_slot = todo.slot
        if self.trails is not None:
            self.trails.note(run.runs)
        run.missed += todo.missed_count


def _judged(draft: TickTransaction, slot: Timestamp) -> dict[tuple[str, str], int]:
    """How many retrainings were judged how in this slot."""
    judged = (record for record in draft.requests.values() if record.verdict is not None and record.verdict_at == slot)
    return dict(Counter((record.request.rule, str(record.verdict)) for record in judged))


def _causes(rule: RuleEvaluator, answers: Answers) -> dict[str, Cause]:
    """By signal, why it was not answered in full."""
    found = {name: answers[name].cause for name in rule.queries if name in answers}
    return {name: cause for name, cause in found.items() if cause is not Cause.NONE}


def sameness(query: SignalQuery) -> tuple[object, ...]:
    """What queries have in common of which one answer serves all."""
    return (tuple(sorted(query.exprs.items())), query.mapping, query.limit)


def _renamed(answer: EventBatch | SourceError, query: SignalQuery) -> EventBatch | SourceError:
    if isinstance(answer, SourceError) or answer.name == query.name:
        return answer
    return replace(answer, name=query.name, event=query.event, unit_ms=query.unit_ms)
