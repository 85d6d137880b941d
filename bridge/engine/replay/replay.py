"""Replay of past slots through the live engine, without storing or sending anything."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.route import Route
from bridge.domain.rule import DEFAULT_SERVER, Gates, Group, SignalQuery
from bridge.domain.times import Duration, Timestamp
from bridge.engine.access import RETIRE_AFTER, EngineSettings
from bridge.engine.engine import Engine
from bridge.engine.evaluation.evaluation import GroupEvaluation
from bridge.engine.evaluation.expansion import External
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.replay import checkpoint, skip
from bridge.engine.replay.checkpoint import Checkpoint
from bridge.engine.requests.gates import Recipients
from bridge.engine.steps import sameness
from bridge.ports import MetricSource, Pause, Sample, Snapshot, TickChanges
from bridge.ports.history import HistoryChunk, close, history_chunks

MOST_SLOTS = 10_000  # slots of one walk through history, which bounds memory


@dataclass(slots=True)
class NoDestinations:
    """Routing without destinations: requests are sent nowhere, but time intervals still mute.

    route: the configured route tree, None = no routes.
    external_labels: labels added to every alert.
    """

    route: Route | None = None
    external_labels: Mapping[str, str] = field(default_factory=dict)

    def recipients(self, labels: Mapping[str, str]) -> Recipients:
        """Return the receivers of the routes, without destinations."""
        return Recipients(() if self.route is None else self.route.receivers(self.identity(labels)), ())

    @property
    def timed(self) -> bool:
        """True if any route has time intervals."""
        return self.route is not None and self.route.timed

    def muted_until(self, labels: Mapping[str, str], at: Timestamp) -> Timestamp:
        """Return the end of the mute by time intervals, 0 = not muted."""
        if self.route is None or not self.route.timed:
            return 0
        return self.route.muted_until(self.identity(labels), at)

    def identity(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Return the labels with the external labels."""
        return {**self.external_labels, **labels}

    def tracked(self, destinations: Sequence[str]) -> bool:
        """Return False: no receiver reports a status, so a request ends with its episode."""
        return False

    def wants_resolved(self, destination: str) -> bool:
        """Return False: there is no destination."""
        return False


class ReplayStore:
    """Store of a replay: a ports.TickStore that passes changes on and keeps nothing.

    take: called with the changes of each evaluation.
    snapshot: the state to continue from, None = empty.
    """

    def __init__(self, take: Callable[[TickChanges], None], snapshot: Snapshot | None = None) -> None:
        self._take = take
        self._snapshot = snapshot or Snapshot()
        self.doubts = 0

    def load(self, since: Timestamp, sent_since: Timestamp = 0) -> Snapshot:
        """Return the snapshot to continue from."""
        return self._snapshot

    def commit(self, changes: TickChanges) -> None:
        """Pass the changes on."""
        self._take(changes)

    def save_pause(self, pause: Pause) -> None:
        """Do nothing: a replay has no pauses."""


@dataclass(slots=True)
class _Walk:
    """Walk through the history of one query, chunk by chunk.

    begins: first slot of the current chunk.
    end: end of the walk.
    still: (p,) True for each slot of the current chunk in which no verdict changes.
    """

    chunks: Iterator[HistoryChunk]
    begins: Timestamp
    end: Timestamp
    chunk: HistoryChunk | None = None
    still: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))


class ReplaySource:
    """Source of a replay: a ports.MetricSource that answers instants from the history of another source.

    Slots must be queried in order, each query at most once a slot. After an error the next slot begins a new walk.

    still: maps group name, query and chunk to (p,) True for each slot in which no verdict changes.
    """

    def __init__(
        self, source: MetricSource, still: Callable[[str, SignalQuery, HistoryChunk], NDArray[np.bool_]]
    ) -> None:
        self._source = source
        self._still = still
        self._walks: dict[str, dict[str, _Walk]] = {}
        self._failed: dict[tuple[str, str], Timestamp] = {}
        self._group: Group | None = None
        self._until: Timestamp = 0

    def turn(self, group: Group, until: Timestamp) -> None:
        """Set the group of the following queries. until: end of its replay."""
        self._group, self._until = group, until

    def close(self) -> None:
        """Cancel the chunks that are being fetched."""
        for walks in self._walks.values():
            for walk in walks.values():
                close(walk.chunks)
        self._walks.clear()

    def still(self, group: Group, slot: Timestamp) -> bool:
        """Return True if no verdict of the group changes in this slot."""
        walks = self._walks.get(group.name)
        if not walks:
            return False
        for walk in walks.values():
            index = (slot - walk.begins) // group.interval
            if index >= len(walk.still) or not walk.still[index]:
                return False
        return True

    def instant(
        self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: Duration | None = None
    ) -> EventBatch:
        """Return the batch of a slot from the history. Raises SourceError."""
        group = self._group
        if group is None:
            return self._source.instant(query, slot, at, retry_for)
        walks = self._walks.setdefault(group.name, {})
        if query.name not in walks or slot >= walks[query.name].end:
            self._begin(walks, query, group, slot, slot - at)
        walk = walks[query.name]
        try:
            while walk.chunk is None or slot >= walk.begins + len(walk.chunk.slots) * group.interval:
                self._advance(walk, group, query)
            return walk.chunk.batch((slot - walk.begins) // group.interval)
        except SourceError:
            close(walks.pop(query.name).chunks)
            self._failed[group.name, query.name] = slot
            raise

    def _advance(self, walk: _Walk, group: Group, query: SignalQuery) -> None:
        """Fetch the next chunk of a query's history."""
        if walk.chunk is not None:
            walk.begins += len(walk.chunk.slots) * group.interval
            walk.chunk = None
        try:
            walk.chunk = next(walk.chunks)
        except StopIteration:
            raise RuntimeError(f"the history of {query.name!r} ended before slot {walk.begins}") from None
        walk.still = self._still(group.name, query, walk.chunk)

    def _begin(
        self, walks: dict[str, _Walk], query: SignalQuery, group: Group, slot: Timestamp, offset: Duration
    ) -> None:
        """Begin walks for the query and for the others of the group that need one, so that they share fetches."""
        end = min(self._until + 1, slot + MOST_SLOTS * group.interval)
        missing = [
            item
            for name, item in _queries(group, query).items()
            if (name not in walks or slot >= walks[name].end) and self._failed.get((group.name, name)) != slot
        ]
        for old in (walks.pop(item.name, None) for item in missing):
            if old is not None:
                close(old.chunks)
        chunks = history_chunks(self._source, missing, range(slot, end, group.interval), offset)
        walks |= {item.name: _Walk(walk, slot, end) for item, walk in zip(missing, chunks, strict=True)}

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        """Return the history of the underlying source."""
        return self._source.history(query, slots, offset)

    def evaluate(self, expr: str, at: Timestamp, server: str = DEFAULT_SERVER) -> Sequence[Sample]:
        """Return the result of an instant query at a past slot. Raises SourceError."""
        return self._source.evaluate(expr, at, server)


def _queries(group: Group, query: SignalQuery) -> dict[str, SignalQuery]:
    """Return the queries of a slot by name: the first of equal ones, and `query` itself."""
    named = {name: group.queries[name] for rule in group.rules for name in rule.queries}
    first: dict[object, SignalQuery] = {}
    for item in named.values():
        first.setdefault(sameness(item), item)
    first[sameness(query)] = query
    return {item.name: item for item in first.values()}


class Replay:
    """Replay of groups over past slots through the live engine.

    Slots in which nothing can change are skipped and counted in `passed`.

    table: must be empty.
    take: called with the changes of each evaluated slot.
    resumed: checkpoint of an earlier replay of the same groups.
    thorough: True skips no slot.
    """

    def __init__(
        self,
        source: MetricSource,
        table: ModelTable,
        groups: Sequence[Group],
        take: Callable[[TickChanges], None],
        *,
        routing: NoDestinations | None = None,
        gates: Gates | None = None,
        retire_after: Duration = RETIRE_AFTER,
        resumed: Checkpoint | None = None,
        thorough: bool = False,
        external: External | None = None,
    ) -> None:
        self.thorough = thorough
        self.groups = {group.name: group for group in groups}
        self.passed = 0
        self._feed = ReplaySource(source, self._still)
        self._wakes: dict[str, Timestamp] = {}
        if resumed is not None:
            checkpoint.prepare(table, resumed)
        self.engine = Engine(self._feed, ReplayStore(take, resumed.snapshot if resumed else None), table)
        self.engine.start(0)
        settings = EngineSettings(
            routing or NoDestinations(), gates or Gates(), retire_after=retire_after, external=external or External()
        )
        self.engine.configure(groups, settings)
        if resumed is not None:
            checkpoint.put(self.engine, resumed)
        with self.engine.read() as state:
            self._skippable = {name for name, evaluator in state.groups.items() if skip.skippable(evaluator)}

    def walk(self, since: Timestamp, until: Timestamp, *, end: Timestamp = 0) -> Iterator[GroupEvaluation]:
        """Evaluate every slot of every group in [since, until] in time order, and yield the evaluations.

        end: end of the whole replay when it runs in parts, which keeps its fetches the same; 0 = `until`.
        """
        for slot, _, name in heapq.merge(*self._schedules(since, until)):
            group = self.groups[name]
            if not self.thorough and slot < self._wakes.get(name, 0) and self._feed.still(group, slot):
                self.engine.pass_over(name, slot)
                self.passed += 1
                continue
            self._feed.turn(group, max(until, end))
            evaluation = self.engine.evaluate(name, slot, clock=_no_clock)
            if name in self._skippable:
                with self.engine.read() as state:
                    self._wakes[name] = skip.next_time_event(state, name)
            if evaluation is not None:
                yield evaluation

    def _still(self, name: str, query: SignalQuery, chunk: HistoryChunk) -> NDArray[np.bool_]:
        if self.thorough or name not in self._skippable:
            return np.zeros(0, np.bool_)
        rules = [rule for rule in self.rules(name) if sameness(rule.query) == sameness(query)]
        return skip.unchanged_slots(chunk, rules)

    def rules(self, group: str) -> list[RuleEvaluator]:
        """Return the rule evaluators of a group."""
        with self.engine.read() as state:
            return state.groups[group].runs

    def all_rules(self) -> dict[str, RuleEvaluator]:
        """Return the rule evaluators of all groups by rule name."""
        with self.engine.read() as state:
            return state.rules

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint of the state between two slots."""
        return checkpoint.take(self.engine)

    def _schedules(self, since: Timestamp, until: Timestamp) -> list[Iterator[tuple[Timestamp, int, str]]]:
        """Return for each group an iterator over slot, index of the group, and its name."""
        return [_schedule(group, index, since, until) for index, group in enumerate(self.groups.values())]

    def close(self) -> None:
        """Cancel the chunks that are being fetched."""
        self._feed.close()


def slots(group: Group, since: Timestamp, until: Timestamp) -> range:
    """Return the group's slots in [since, until]."""
    return range(group.slot_at(since + group.interval - 1), until + 1, group.interval)


def _schedule(group: Group, index: int, since: Timestamp, until: Timestamp) -> Iterator[tuple[Timestamp, int, str]]:
    return ((slot, index, group.name) for slot in slots(group, since, until))


def _no_clock() -> float:
    """Return 0: durations of a replay are not reported."""
    return 0.0
