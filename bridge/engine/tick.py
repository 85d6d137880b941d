"""One evaluation of a rule group: ask, notify, decide, commit. The same code runs live and over history."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from bridge.domain import alert
from bridge.domain.alert import AlertRow
from bridge.domain.batch import DISCOVER, EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.request import Decision, HoldReason, Outcome, RequestRecord
from bridge.domain.rule import Gates, Group, SignalQuery
from bridge.domain.times import DAY, HOUR, MINUTE, Duration, Timestamp
from bridge.domain.verdict import Cause
from bridge.engine import keeping
from bridge.engine.asking import Asker
from bridge.engine.book import Book, Draft
from bridge.engine.deciding import Decider
from bridge.engine.gatekeeping import Gatekeeper, Routing, unknown_silences
from bridge.engine.notices import tells
from bridge.engine.observer import RuleObserver
from bridge.engine.roster import RosterRun
from bridge.engine.rule_run import Evaluation, RuleRun
from bridge.engine.slots import Plan, plan
from bridge.engine.subject import ModelSubject, Observer
from bridge.ports import (
    MetricSource,
    QueryReport,
    Sighting,
    SilenceSnapshot,
    StateChunk,
    TickChanges,
    TickReport,
    TickStore,
)

log = logging.getLogger(__name__)

_NEWS = frozenset({Outcome.NOTIFIED, Outcome.HELD, Outcome.ESCALATED})
Answers = Mapping[str, EventBatch | SourceError]
RESOLVED_FOR: Duration = 15 * MINUTE
REPLACED_AFTER: Duration = 5 * MINUTE
RETIRE_AFTER: Duration = 7 * DAY
SENT_KEPT: Duration = 31 * DAY  # no budget looks back further


@dataclass(slots=True)
class GroupRun:
    """A group at work. last_slot None: never evaluated. missed: slots that were not evaluated on time, ever.

    rosters: the expected models of every signal that a strategy judges.
    """

    group: Group
    runs: list[RuleRun]
    subject: ModelSubject
    rosters: dict[str, RosterRun]
    last_slot: Timestamp | None = None
    seconds: float = 0.0
    missed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True)
class _Tally:
    """What a tick counts for its report."""

    queries: list[QueryReport] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    errors: dict[str, str] = field(default_factory=dict)
    caught_up: int = 0


class Engine:
    """Evaluates groups and keeps their state. Thread-safe: groups fetch side by side, and decide one after the other.

    source, store: ports. table: the models of all groups. book: episodes and requests (guarded by `lock`).
    """

    def __init__(self, source: MetricSource, store: TickStore, table: ModelTable) -> None:
        self.source = source
        self.store = store
        self.table = table
        self.book = Book()
        self.groups: dict[str, GroupRun] = {}
        self.lock = threading.RLock()
        self.catch_up_limit: Duration = HOUR
        self.retire_after: Duration = RETIRE_AFTER
        self._routing: Routing | None = None
        self._gates = Gates()
        self._storms: dict[str, tuple[Timestamp, Timestamp]] = {}
        self._stormy: list[RequestRecord] = []
        self.dry_run = False
        self.generation = 0
        self.silences: Callable[[], SilenceSnapshot | None] = unknown_silences
        self._stored: dict[tuple[str, str], list[AlertRow]] = {}
        self._slots: dict[str, Timestamp] = {}
        self._seen: dict[tuple[str, str], list[Sighting]] = {}
        self._unseen: list[Sighting] = []
        self._chunks: dict[tuple[str, str], StateChunk] = {}
        self._old_chunks: list[StateChunk] = []
        self._stale: list[AlertRow] = []
        self._reconfigured = False

    # ------------------------------------------------------------ start and reload

    def start(self, now: Timestamp) -> None:
        """Continue from the store. Raises StoreError."""
        snapshot = self.store.load(now - RESOLVED_FOR, now - SENT_KEPT)
        self._slots = dict(snapshot.slots)
        for row in snapshot.alerts:
            self._stored.setdefault((row.rule, row.fingerprint), []).append(row)
        self._chunks = {(chunk.rule, chunk.fingerprint): chunk for chunk in snapshot.state}
        for sighting in snapshot.sightings:
            self._seen.setdefault((sighting.group, sighting.signal), []).append(sighting)
        self.book.load(snapshot.episodes, snapshot.requests, snapshot.sent, snapshot.pauses)
        self._stormy = [record for record in snapshot.requests if record.hold is HoldReason.STORM]

    def configure(
        self, groups: Iterable[Group], routing: Routing, gates: Gates, *, catch_up_limit: Duration = HOUR
    ) -> None:
        """Put rules, routes and gates in force. State goes on where a rule's meaning is the same."""
        with self.lock:
            old_runs = {(run.rule.name, run.fingerprint): run for run in self.runs().values()}
            old_groups = self.groups
            self.groups = {group.name: self._group_run(group, old_groups.get(group.name), old_runs) for group in groups}
            self._routing, self._gates, self.catch_up_limit = routing, gates, catch_up_limit
            self._stale = [*self._stale, *self._left_over(old_runs)]
            self._unseen = [*self._unseen, *self._left_rosters(old_groups)]
            self._old_chunks += [replace(chunk, models=(), data=b"") for chunk in self._left_chunks(old_runs)]
            self._reconfigured = True
            self._remember_storms()

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

    def _left_over(self, old_runs: Mapping[tuple[str, str], RuleRun]) -> list[AlertRow]:
        """Rows of rules that are gone or mean something else now, as inactive ones: the next commit drops them."""
        kept = {(run.rule.name, run.fingerprint) for run in self.runs().values()}
        rows = [row for stored in self._stored.values() for row in stored]
        self._stored = {}
        for key, run in old_runs.items():
            if key not in kept:
                active = np.flatnonzero((run.live.alerts.state != 0) | (run.live.alerts.recent != 0))
                rows += alert.rows(run.live.alerts, active, *key, self.table.models)
        return [replace(row, state=alert.State.INACTIVE, recent=0) for row in rows]

    def _left_chunks(self, old_runs: Mapping[tuple[str, str], RuleRun]) -> list[StateChunk]:
        """Strategy state of rules that are gone or mean something else now."""
        kept = {(run.rule.name, run.fingerprint) for run in self.runs().values()}
        gone = list(self._chunks.values())
        self._chunks = {}
        for key, run in old_runs.items():
            if key not in kept:
                gone += [StateChunk(name, run.fingerprint, 0, (), b"") for name in run.state_slots]
        return gone

    def _left_rosters(self, old_groups: Mapping[str, GroupRun]) -> list[Sighting]:
        """What signals that are gone were expected to report, to be forgotten."""
        kept = {(group.group.name, roster.name) for group in self.groups.values() for roster in group.rosters.values()}
        gone = [sighting for stored in self._seen.values() for sighting in stored]
        self._seen = {}
        for name, group in old_groups.items():
            for roster in group.rosters.values():
                if (name, roster.name) not in kept:
                    slots = np.flatnonzero(roster.live.first_seen).tolist()
                    gone += [Sighting(name, roster.name, self.table[slot], 0) for slot in slots]
        return [replace(sighting, first_seen=0) for sighting in gone]

    def _group_run(self, group: Group, old: GroupRun | None, old_runs: Mapping[tuple[str, str], RuleRun]) -> GroupRun:
        runs = [self._rule_run(group, place, old_runs) for place in range(len(group.rules))]
        rosters = self._rosters(group, runs, old)
        subject = ModelSubject(self._observer_failed)
        for run in runs:
            subject.attach(RuleObserver(run, rosters))
        if old is not None:
            return GroupRun(group, runs, subject, rosters, old.last_slot, old.seconds, old.missed, old.lock)
        return GroupRun(group, runs, subject, rosters, self._slots.get(group.name))

    def _rosters(self, group: Group, runs: Iterable[RuleRun], old: GroupRun | None) -> dict[str, RosterRun]:
        """The rosters of the signals that strategies judge: as they were, or as they are stored."""
        judged = {name for run in runs if run.strategy is not None or run.parts for name in run.queries}
        before = {} if old is None else {roster.name: roster for roster in old.rosters.values()}
        rosters: dict[str, RosterRun] = {}
        for name in sorted(judged):
            stored = f"{name}#{group.signal_meaning(name)}"
            rosters[name] = before.get(stored) or self._restored(group.name, stored)
        for run in runs:
            for name in run.queries:
                if name in rosters:
                    roster = rosters[name].live
                    run.expect(np.flatnonzero(roster.first_seen), told=np.flatnonzero(roster.missing_since))
        return rosters

    def _restored(self, group: str, signal: str) -> RosterRun:
        found = RosterRun.fresh(signal)
        stored = self._seen.pop((group, signal), [])
        found.live.restore((self.table.slot(item.model), item) for item in stored)
        return found

    def _rule_run(self, group: Group, place: int, old_runs: Mapping[tuple[str, str], RuleRun]) -> RuleRun:
        rule = group.rules[place]
        key = (rule.name, group.fingerprint(rule))
        if key in old_runs:
            return old_runs[key].continued(group, rule)
        run = RuleRun.of(group, rule, self.table)
        run.restore(self._stored.pop(key, []))
        keeping.restore(run, self._chunks)
        return run

    def runs(self) -> dict[str, RuleRun]:
        """Every rule by name."""
        return {run.rule.name: run for group in self.groups.values() for run in group.runs}

    def _observer_failed(self, observer: Observer, error: Exception) -> None:
        if isinstance(observer, RuleObserver):
            observer.run.last_error, observer.run.raised = str(error), True

    # ------------------------------------------------------------ a tick

    def evaluate(self, name: str, now: Timestamp, *, clock: Callable[[], float] = perf_counter) -> TickReport | None:
        """Evaluate group `name` up to its present slot; None when that is stored already, or the group is gone.

        Raises StoreError when the tick could not be stored: then nothing has changed, and the next one catches up.
        clock: seconds, for durations only.
        """
        run = self.groups.get(name)
        if run is None:
            return None
        with run.lock:
            todo = plan(run.group, run.last_slot, now, self.catch_up_limit)
            return None if todo is None else self._tick(run, todo, now, clock)

    def _tick(self, run: GroupRun, todo: Plan, now: Timestamp, clock: Callable[[], float]) -> TickReport | None:
        began, tally = clock(), _Tally()
        self._rebuild(run)
        past = self._past(run, todo, tally, clock)
        answers = self._ask(run, todo.slot, tally, clock)
        with self.lock:
            if self.groups.get(run.group.name) is not run:
                return None  # reloaded meanwhile: the new rules evaluate this slot
            draft = Draft(self.book)
            try:
                self._judge(run, todo, past, answers, draft, tally)
                changes = self._changes(run, todo, draft, now)
                self.store.commit(changes)
            except BaseException:
                for rule in run.runs:
                    rule.rollback()
                for roster in run.rosters.values():
                    roster.rollback()
                raise
            told = _told(run, draft)
            self.generation += told
            self._committed(run, todo, draft)
            run.seconds = clock() - began
        decisions = Counter((decision.rule, decision.outcome.value) for decision in draft.decisions)
        return TickReport(
            run.group.name, todo.slot, run.seconds, tuple(tally.queries), dict(tally.events), dict(decisions),
            todo.missed_count, tally.caught_up, tally.errors, len(draft.deliveries), _judged(draft, todo.slot), told,
        )  # fmt: skip

    def _rebuild(self, run: GroupRun) -> None:
        """After a start: what strategies remember may be some slots old."""
        for rule in run.runs:
            if rule.behind and run.last_slot is not None:
                keeping.rebuild(rule, run.group, self.source, run.last_slot, self.catch_up_limit)

    def _judge(
        self, run: GroupRun, todo: Plan, past: Mapping[str, Sequence[EventBatch] | SourceError],
        answers: Answers, draft: Draft, tally: _Tally,
    ) -> None:  # fmt: skip
        for roster in run.rosters.values():
            roster.begin()
        for rule in run.runs:
            rule.begin()
            rule.skip(todo.gap)
        if self._reconfigured:
            self._decider(run).end_orphans(draft, todo.slot)
        for place, slot in enumerate(todo.missed):
            then = {key: found if isinstance(found, SourceError) else found[place] for key, found in past.items()}
            self._slot(run, slot, then, draft, tally, live=False)
        tally.caught_up = len(todo.missed)
        self._slot(run, todo.slot, answers, draft, tally, live=True)

    def _slot(
        self, run: GroupRun, slot: Timestamp, answers: Answers, draft: Draft, tally: _Tally, *, live: bool
    ) -> None:
        """Notify the subject of every batch, and decide what the observers found."""
        for rule in run.runs:
            rule.next_slot()
        for answer in answers.values():
            if isinstance(answer, EventBatch):
                batch = self._meet(run, answer, slot)
                tally.events[batch.event.value] += len(batch)
                run.subject.notify(batch)
        ordered = sorted(run.runs, key=lambda rule: bool(rule.parts))  # conditions may ask what other rules found
        evaluations = [found for rule in ordered if (found := self._outcome(run, rule, answers, slot, draft, tally))]
        decider = self._decider(run)
        decider.slot(draft, evaluations, slot, live=live)
        self._part(run, decider, draft, slot)

    def _meet(self, run: GroupRun, batch: EventBatch, slot: Timestamp) -> EventBatch:
        """Remember which models the signal reports; an answer that may not be whole says nothing of the absent."""
        roster = run.rosters.get(batch.name)
        silent = batch.index[:0]
        if DISCOVER in batch.columns:
            batch, silent = batch.reporting()
        if roster is not None:
            roster.staged.grow(len(self.table))
            if batch.cause is Cause.NONE:
                roster.staged.see(batch.index, slot)
                roster.staged.discover(silent, slot)
            silent = silent[roster.staged.first_seen[silent] > 0]  # one that is gone for good is not expected anew
        for rule in run.runs if len(silent) else ():
            if batch.name in rule.queries:
                rule.expect(silent.astype(np.int64))
        return batch

    def _part(self, run: GroupRun, decider: Decider, draft: Draft, slot: Timestamp) -> None:
        """Models that are gone: replaced by a newer version of their pipeline, or silent for too long."""
        for name, roster in run.rosters.items():
            overdue = roster.staged.overdue(slot, REPLACED_AFTER)
            if not len(overdue):
                continue
            replaced = [place for place in overdue.tolist() if self._successor(roster, place) is not None]
            silent = set(roster.staged.overdue(slot, self.retire_after).tolist()) - set(replaced)
            for places, why in ((replaced, "replaced"), (sorted(silent), "retired")):
                gone = np.array(places, np.int64)
                roster.staged.drop(gone)
                for rule in run.runs if len(gone) else ():
                    if name in rule.queries:
                        decider.leave(draft, rule, name, _unexpected(run, rule, gone), slot, why)

    def _successor(self, roster: RosterRun, place: int) -> ModelKey | None:
        """A version of the same pipeline that came later and reports."""
        seen = roster.staged
        for other in self.table.versions(place):
            later = other < len(seen.first_seen) and seen.first_seen[other] > seen.first_seen[place]
            if later and not seen.missing_since[other]:
                return self.table[other]
        return None

    def _decider(self, run: GroupRun) -> Decider:
        return Decider(Asker(run.group, self.runs(), self.keeper()))

    def keeper(self) -> Gatekeeper:
        """The gates in force."""
        if self._routing is None:
            raise RuntimeError("configure() comes first")
        return Gatekeeper(self._routing, self._gates, self.silences, self._storms)

    def _outcome(
        self, run: GroupRun, rule: RuleRun, answers: Answers, slot: Timestamp, draft: Draft, tally: _Tally
    ) -> Evaluation | None:
        """How a rule's evaluation went; its health, and a decision record when that changed."""
        problem = ""
        for name in rule.queries:
            answer = answers.get(name)
            if isinstance(answer, SourceError):
                problem = str(answer)
            elif isinstance(answer, EventBatch) and answer.cause is not Cause.NONE:
                problem = f"the answer is {answer.cause.word}: {'; '.join(answer.notes) or 'no reason given'}"
            if problem:
                break
        if rule.parts and not rule.raised:
            rule.conclude(slot, _causes(rule, answers), lambda name: _judges(run, name))
        elif isinstance(answer, SourceError):
            rule.unanswered(slot, answer.cause)
        elif rule.evaluation is None:
            problem = rule.last_error or "nothing was evaluated"
        rule.last_evaluation = slot
        self._health(run, rule, problem, slot, draft)
        if problem:
            tally.errors[rule.rule.name] = problem
        return rule.evaluation

    def _health(self, run: GroupRun, rule: RuleRun, problem: str, slot: Timestamp, draft: Draft) -> None:
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

    def _ask(self, run: GroupRun, slot: Timestamp, tally: _Tally, clock: Callable[[], float]) -> Answers:
        """One batch, or the reason why there is none, for every signal that a rule uses."""
        asked: dict[tuple[object, ...], EventBatch | SourceError] = {}
        answers: dict[str, EventBatch | SourceError] = {}
        for name, query in _used(run).items():
            key = sameness(query)
            if key not in asked:
                asked[key] = self._ask_one(query, slot, slot - run.group.offset, tally, clock)
            answers[name] = _renamed(asked[key], query)
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
        self, run: GroupRun, todo: Plan, tally: _Tally, clock: Callable[[], float]
    ) -> dict[str, list[EventBatch] | SourceError]:
        """The batches of the missed slots, by signal."""
        past: dict[str, list[EventBatch] | SourceError] = {}
        for name, query in _used(run).items() if todo.missed else ():
            began = clock()
            try:
                past[name] = list(self.source.history(query, todo.missed, run.group.offset))
            except SourceError as error:
                tally.queries.append(QueryReport(name, clock() - began, 0, {}, error.reason, str(error)))
                past[name] = error
        return past

    # ------------------------------------------------------------ storing

    def _changes(self, run: GroupRun, todo: Plan, draft: Draft, now: Timestamp) -> TickChanges:
        rows = [*self._stale, *(row for rule in run.runs for row in _changed_rows(rule))]
        sightings = [*self._unseen]
        for roster in run.rosters.values():
            sightings += roster.staged.changes(roster.live, run.group.name, roster.name, self.table.models)
        return TickChanges(
            group=run.group.name,
            slot=todo.slot,
            alerts=rows,
            episodes=list(draft.episodes.values()),
            requests=list(draft.requests.values()),
            deliveries=draft.deliveries,
            decisions=draft.decisions,
            state=[
                *self._old_chunks,
                *(chunk for rule in run.runs for chunk in keeping.chunks(rule, run.group, todo.slot)),
            ],
            sightings=sightings,
            at=now,
        )

    def _committed(self, run: GroupRun, todo: Plan, draft: Draft) -> None:
        for rule in run.runs:
            rule.commit()
            rule.forget_series()
        for roster in run.rosters.values():
            roster.commit()
        draft.apply()
        self.book.forget(todo.slot - RESOLVED_FOR)
        self.book.sent.forget(todo.slot - SENT_KEPT)
        self._stale, self._unseen, self._old_chunks, self._reconfigured = [], [], [], False
        run.last_slot = todo.slot
        run.missed += todo.missed_count


def _judged(draft: Draft, slot: Timestamp) -> dict[tuple[str, str], int]:
    """How many retrainings were judged how in this slot."""
    judged = (record for record in draft.requests.values() if record.verdict is not None and record.verdict_at == slot)
    return dict(Counter((record.request.rule, str(record.verdict)) for record in judged))


def _told(run: GroupRun, draft: Draft) -> bool:
    """Whether people should hear of this slot before the next reminder."""
    telling = [rule.evaluation for rule in run.runs if tells(rule) and rule.evaluation is not None]
    ended = any(len(found.moves.resolved) for found in telling)
    return ended or any(decision.outcome in _NEWS for decision in draft.decisions)


def _unexpected(run: GroupRun, rule: RuleRun, gone: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the models that none of the rule's signals is expected to report any more."""
    rosters = [run.rosters[name].staged for name in rule.queries if name in run.rosters]
    return np.array(
        [slot for slot in gone.tolist()
         if not any(slot < len(roster.first_seen) and roster.first_seen[slot] for roster in rosters)],
        np.int64,
    )  # fmt: skip


def _used(run: GroupRun) -> dict[str, SignalQuery]:
    return {name: query for rule in run.runs for name, query in rule.queries.items()}


def _causes(rule: RuleRun, answers: Answers) -> dict[str, Cause]:
    """By signal, why it was not answered in full."""
    found = {name: answers[name].cause for name in rule.queries if name in answers}
    return {name: cause for name, cause in found.items() if cause is not Cause.NONE}


def _judges(run: GroupRun, signal: str) -> list[RuleRun]:
    """The rules that say whether a signal is healthy."""
    return [rule for rule in run.runs if not rule.parts and rule.rule.query == signal]


def sameness(query: SignalQuery) -> tuple[object, ...]:
    """What queries have in common of which one answer serves all."""
    return (tuple(sorted(query.exprs.items())), query.mapping, query.limit)


def _renamed(answer: EventBatch | SourceError, query: SignalQuery) -> EventBatch | SourceError:
    if isinstance(answer, SourceError) or answer.name == query.name:
        return answer
    return replace(answer, name=query.name, event=query.event, unit_ms=query.unit_ms)


def _changed_rows(rule: RuleRun) -> list[AlertRow]:
    """Rows that differ from what is stored; a model that is new and inactive has none."""
    if rule.touched is not None:
        if not rule.touched:
            return []
        which = np.unique(np.concatenate(rule.touched))
        return alert.rows(rule.staged.alerts, which, rule.rule.name, rule.fingerprint, rule.table.models)
    before, after = rule.live.alerts, rule.staged.alerts
    size, grown = len(before.state), len(after.state)
    changed = after.state != np.concatenate([before.state, np.zeros(grown - size, np.int8)])
    for old, new in (
        (before.active_at, after.active_at),
        (before.fired_at, after.fired_at),
        (before.keep_since, after.keep_since),
        (before.recent, after.recent),
    ):
        changed |= new != np.concatenate([old, np.zeros(grown - size, np.int64)])
    which = np.flatnonzero(changed)
    return alert.rows(after, which, rule.rule.name, rule.fingerprint, rule.table.models) if len(which) else []
