"""Evaluation of rule groups, live and over history: fetch, expect, judge, advance, decide, persist."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from time import perf_counter
from types import MappingProxyType

from bridge.domain.errors import StoreError, StoreUncertainError
from bridge.domain.model import ModelTable, PipelineKey
from bridge.domain.request import RequestRecord
from bridge.domain.rule import Group
from bridge.domain.times import DAY, MINUTE, Duration, Timestamp
from bridge.engine import steps
from bridge.engine.access import EngineSettings, EngineState, EngineTransaction
from bridge.engine.evaluation.evaluation import GroupEvaluation
from bridge.engine.evaluation.expansion import Expander, TemplateQueries
from bridge.engine.evaluation.group import GroupEvaluator
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.evaluation.slots import Plan, plan
from bridge.engine.evaluation.trail import Trails
from bridge.engine.requests.decider import Decider
from bridge.engine.requests.episodes import EpisodeIndex, TickTransaction
from bridge.engine.requests.lifecycle import RequestLifecycle
from bridge.engine.requests.siblings import Placement
from bridge.engine.state import alert_numbers, frozen_labels, logged, storms, strategy_state, waiting
from bridge.engine.state.restore import Restorer, StaleRows
from bridge.engine.steps import Tick
from bridge.ports import History, MetricSource, Pause, TickChanges, TickStore

log = logging.getLogger(__name__)

RESOLVED_FOR: Duration = 15 * MINUTE
SENT_KEPT: Duration = 31 * DAY  # longest period of a budget


class Engine:
    """Evaluator of rule groups and owner of their state. Thread-safe: groups fetch in parallel and commit in turn.

    Callers reach the state only by `read` and `transact`.

    source, store: ports.
    table: the models of all groups.
    trails: recent values of every rule, None to keep none.
    """

    def __init__(
        self, source: MetricSource, store: TickStore, table: ModelTable, *, trails: Trails | None = None
    ) -> None:
        self.table = table
        self.generation = 0  # increases with each change that Alertmanager should learn of at once
        self._source = source
        self._store = store
        self._trails = trails
        self._lock = threading.RLock()
        self._groups: dict[str, GroupEvaluator] = {}
        self._index = EpisodeIndex()
        self._settings: EngineSettings | None = None
        self._template_queries = TemplateQueries(lambda *query: self._source.evaluate(*query))
        self._storms: dict[str, tuple[Timestamp, Timestamp]] = {}
        self._stored_storms: dict[str, tuple[Timestamp, Timestamp]] = {}
        self._placement = Placement((), table)
        self._restorer = Restorer(table)
        self._dropped = StaleRows()
        self._reconfigured = False
        self._doubts = 0

    # ------------------------------------------------------------ access

    @contextlib.contextmanager
    def read(self) -> Iterator[EngineState]:
        """Hold the lock and yield a read-only view of the state. Keep the block short: no I/O."""
        with self._lock:
            yield self._state()

    @contextlib.contextmanager
    def transact(self, now: Callable[[], Timestamp], history: History) -> Iterator[EngineTransaction]:
        """Hold the lock, yield a transaction over the state, and commit it at the end of the block.

        Nothing is committed when the block raises. Raises StoreError when the changes are not stored, and
        StoreUncertainError when it is not known whether they are.

        now: the clock, read once the lock is held.
        history: stored requests, read to verify a commit whose outcome was uncertain.
        """
        with self._lock:
            self.recover(now())
            change = EngineTransaction(self._state(), TickTransaction(self._index), now())
            yield change
            if change.draft.requests or change.draft.decisions:
                self._commit_draft(change, history)
            if change.pause is not None:
                self._commit_pause(change.pause, change.at)

    def refresh(self, request_ids: Sequence[str], history: History) -> list[RequestRecord]:
        """Read requests from the store into memory, and return those that exist. Raises StoreError.

        The store is read without the lock. A request that changed in memory meanwhile is read again.
        """
        found: list[RequestRecord] = []
        left: Sequence[str] = request_ids
        while left:
            with self._lock:
                before = {id_: self._index.requests.get(id_) for id_ in left}
            records = history.requests_by_id(left)
            with self._lock:
                known = {record.id: self._index.requests.get(record.id) for record in records}
                fresh = [record for record in records if known[record.id] is before[record.id]]
                for record in fresh:
                    self._index.put_request(record)
            found += fresh
            left = [id_ for id_, record in known.items() if record is not before[id_]]
        return found

    def _state(self) -> EngineState:
        groups = MappingProxyType(self._groups)
        return EngineState(
            self._source, self.table, groups, self._trails, self._index, self._settings, self._storms, self._placement
        )

    def _commit_draft(self, change: EngineTransaction, history: History) -> None:
        """Commit in one transaction of the store, then in memory."""
        draft, requests = change.draft, [*change.draft.requests.values(), *change.aside]
        changes = TickChanges(
            "",
            0,
            episodes=list(draft.episodes.values()),
            requests=requests,
            deliveries=draft.deliveries,
            decisions=draft.decisions,
            runs=change.runs,
            discards=change.discards,
            at=change.at,
        )
        try:
            self._store.commit(changes)
        except StoreUncertainError as error:
            self._resolve(error, change.at)
            if not all(_is_stored(record, history) for record in requests):
                raise _not_stored(error) from error
        else:
            self.generation += draft.changes_holds()
            draft.apply()

    def _commit_pause(self, pause: Pause, at: Timestamp) -> None:
        """Store a pause, or remove those of its scope when it ends at once."""
        lasting = pause.until > at
        try:
            self._store.save_pause(pause)
        except StoreUncertainError as error:
            self._resolve(error, at)
            stored = pause in self._index.pauses if lasting else not any(map(_in_scope(pause), self._index.pauses))
            if not stored:
                raise _not_stored(error) from error
        in_scope = _in_scope(pause)
        others = [item for item in self._index.pauses if not in_scope(item)]
        self._index.pauses = [*others, pause] if lasting else others
        self._index.rechecks.everything_changed()

    def _resolve(self, error: StoreUncertainError, at: Timestamp) -> None:
        """Load what the store holds. Raises `error` when the store cannot be read either."""
        try:
            self.recover(at)
        except StoreError:
            raise error from None

    # ------------------------------------------------------------ start and reload

    def start(self, now: Timestamp) -> None:
        """Load the state from the store. Raises StoreError."""
        doubts, snapshot = self._store.doubts, self._store.load(now - RESOLVED_FOR, now - SENT_KEPT)
        self._doubts, self._index = doubts, EpisodeIndex()
        self._storms, self._stored_storms = (storms.after({}, snapshot.state) for _ in range(2))
        self._restorer.load(snapshot)
        self._index.load(snapshot.episodes, snapshot.requests, snapshot.sent, snapshot.pauses)

    def recover(self, now: Timestamp) -> None:
        """Reload the state from the store if a write with an unknown outcome was reported. Raises StoreError."""
        with self._lock:
            if self._store.doubts == self._doubts or not self._groups:
                return
            self.start(now)
            old = self._groups
            self._groups = self._restorer.groups([group.group for group in old.values()], {})
            for name, group in self._groups.items():
                group.seconds, group.missed = old[name].seconds, old[name].missed
            self._equip()
            self._dropped, self._reconfigured = self._restorer.stale_rows(self._groups, {}), True
            self.generation += 1
        log.warning("reloaded the state from the store: the outcome of a write was unknown")

    def configure(
        self, groups: Iterable[Group], settings: EngineSettings, *, source: MetricSource | None = None
    ) -> None:
        """Apply rules and settings. Rules whose meaning is unchanged keep their state.

        source: replaces the metric source, None keeps it.
        """
        with self._lock:
            self._source = source or self._source
            self._index.rechecks.everything_changed()
            old, self._groups = self._groups, self._restorer.groups(groups, self._groups)
            self._settings = settings
            weighed = settings.gates.shared_cause
            if weighed is not None and weighed.labels != self._placement.labels:
                self._placement = Placement(weighed.labels, self.table)
            self._equip()
            stale = self._restorer.stale_rows(self._groups, old)
            self._dropped = StaleRows(
                [*self._dropped.alerts, *stale.alerts],
                [*self._dropped.sightings, *stale.sightings],
                [*self._dropped.chunks, *stale.chunks],
            )
            self._reconfigured = True
            if self._trails is not None:
                self._trails.keep(set(self._rules()))

    def _equip(self) -> None:
        """Give every rule the external labels and queries of its templates."""
        if self._settings is None:
            return
        for rule in self._rules().values():
            query = partial(self._template_queries, server=rule.query.server)
            rule.texts.expander = Expander(self._settings.external, query)

    def restore_memory(
        self,
        current_storms: storms.Storms,
        last_end: Sequence[tuple[PipelineKey, Timestamp]],
    ) -> None:
        """Restore what a checkpoint of a replay holds beside its snapshot.

        current_storms: first and last instant by group.
        last_end: start of each pipeline's cooldown.
        """
        with self._lock:
            self._storms.clear()
            self._storms.update(current_storms)
            self._index.last_end.update(last_end)

    def pass_over(self, name: str, slot: Timestamp) -> None:
        """Count `slot` of group `name` as evaluated, because its evaluation would change nothing."""
        group = self._groups[name]
        group.last_slot = slot
        for rule in group.runs:
            rule.last_evaluation = slot

    def close(self) -> None:
        """Stop committing: an evaluation in progress is discarded."""
        with self._lock:
            self._groups = {}

    def _rules(self) -> dict[str, RuleEvaluator]:
        return self._state().rules

    # ------------------------------------------------------------ an evaluation

    def evaluate(
        self, name: str, now: Timestamp, *, clock: Callable[[], float] = perf_counter
    ) -> GroupEvaluation | None:
        """Evaluate group `name` up to its present slot; return None if that is stored already or the group is gone.

        Raises StoreError when the evaluation could not be stored: nothing has changed then, and the next evaluation
        catches up. When the outcome of the commit is unknown, the state is reloaded and missing slots are evaluated
        again.

        clock: seconds, for durations only.
        """
        try:
            self.recover(now)
            return self._evaluate(name, now, clock)
        except StoreUncertainError:
            self.recover(now)
            return self._evaluate(name, now, clock)

    def _evaluate(self, name: str, now: Timestamp, clock: Callable[[], float]) -> GroupEvaluation | None:
        group, doubts = self._groups.get(name), self._doubts
        if group is None:
            return None
        with group.lock:
            slots = plan(group.group, group.caught_up, now, self._state().settings.catch_up_limit)
            if slots is None or slots.slot == group.last_slot:
                return None
            return self._run(group, slots, now, doubts, clock)

    def _run(
        self, group: GroupEvaluator, slots: Plan, now: Timestamp, doubts: int, clock: Callable[[], float]
    ) -> GroupEvaluation | None:
        """Run the steps: fetch without the lock, all others with it."""
        began = clock()
        tick = Tick(group, slots, TickTransaction(self._index), clock)
        tick.next_slot = began + (slots.slot + group.group.interval - now) / 1000
        steps.fetch(tick, self._source, self._state().settings.catch_up_limit)
        with self._lock:
            if self._store.doubts != doubts:
                raise StoreUncertainError("the state must be reloaded from the store")
            name = group.group.name
            if self._groups.get(name) is not group:
                return None  # reloaded meanwhile: the new rules evaluate this slot
            tick.draft = TickTransaction(self._index)  # the index may have been reloaded meanwhile
            storms_before = dict(self._storms)
            try:
                self._begin(tick)
                for slot, answers, live in tick.slots():
                    self._placement.note(name, answers)
                    batches = steps.expect(tick, slot, answers)
                    judged = steps.judge(tick, batches)
                    tick.evaluations = steps.advance(tick, slot, answers, judged)
                    self._decide(tick, slot, live=live)
                self._persist(tick, now)
            except BaseException:
                group.rollback()
                self._storms = storms_before
                raise
            if tick.alert_news() or tick.draft.changes_holds():
                self.generation += 1
            self._apply(tick)
            tick.add_durations(clock() - began)
        return tick.result()

    def _begin(self, tick: Tick) -> None:
        """Begin changes on copies; end the episodes of rules that a reload removed."""
        tick.group.begin(tick.plan.gap)
        if self._reconfigured:
            self._decider(tick.group).end_orphans(tick.draft, tick.plan.slot)

    def _decide(self, tick: Tick, slot: Timestamp, *, live: bool) -> None:
        """Open, change and end episodes and requests. live: False for a missed slot, in which nothing is sent."""
        decider = self._decider(tick.group)
        decider.slot(tick.draft, list(tick.evaluations.values()), slot, live=live)
        for name, rule, gone, why in tick.group.departures(slot, self._state().settings.retire_after):
            decider.leave(tick.draft, rule, name, gone, slot, why)

    def _decider(self, group: GroupEvaluator) -> Decider:
        state = self._state()
        return Decider(RequestLifecycle(group.group, state.rules, state.gatekeeper, group.version_since))

    def _persist(self, tick: Tick, now: Timestamp) -> None:
        """Commit the changes of the evaluation in one transaction of the store. Raises StoreError."""
        group, draft, slot = tick.group, tick.draft, tick.stored_slot
        known, interval = group.expected_models, group.group.interval
        storm = storms.changes(self._storms, self._stored_storms, group.group.name, tick.plan.slot)
        self._store.commit(
            TickChanges(
                group=group.group.name,
                slot=slot,
                alerts=[*self._dropped.alerts, *group.rows()],
                episodes=list(draft.episodes.values()),
                requests=list(draft.requests.values()),
                deliveries=draft.deliveries,
                decisions=draft.decisions,
                state=[
                    *self._dropped.chunks,
                    *(chunk for rule in group.runs for chunk in strategy_state.chunks(rule, group.group, slot)),
                    *(chunk for rule in group.runs if (chunk := frozen_labels.chunk(rule, slot)) is not None),
                    *(chunk for rule in group.runs if (chunk := alert_numbers.chunk(rule, slot)) is not None),
                    *(chunk for rule in group.runs if (chunk := logged.chunk(rule, known, interval, slot)) is not None),
                    *(chunk for rule in group.runs if (chunk := waiting.chunk(rule, interval, slot)) is not None),
                    *storm,
                ],
                sightings=[*self._dropped.sightings, *group.sightings()],
                at=now,
            )
        )
        self._stored_storms = storms.after(self._stored_storms, storm)

    def _apply(self, tick: Tick) -> None:
        """Apply the committed changes to memory."""
        slot = tick.plan.slot
        tick.group.commit(tick.evaluations)
        tick.draft.apply()
        self._index.forget(slot - RESOLVED_FOR)
        self._index.sent.forget(slot - SENT_KEPT)
        self._dropped, self._reconfigured = StaleRows(), False
        tick.group.queried_until = tick.stored_slot if tick.waits else None
        tick.group.last_slot = slot
        if self._trails is not None:
            self._trails.note(tick.group.runs, tick.evaluations)
        tick.group.missed += tick.plan.missed_count


def _is_stored(record: RequestRecord, history: History) -> bool:
    """Return True if the store holds the request with every operator action."""
    stored = history.request(record.id)
    return stored is not None and stored.acts == record.acts


def _not_stored(error: StoreUncertainError) -> StoreError:
    """Return the error for an operator whose change was not stored: with why its commit failed."""
    return StoreError(f"nothing was stored, try again: {error.__cause__ or error}")


def _in_scope(pause: Pause) -> Callable[[Pause], bool]:
    """Return a test for pauses of the same project and pipeline."""
    return lambda item: (item.project, item.pipeline) == (pause.project, pause.pipeline)
