"""The live tick's code over past slots: history stands in for the present, and nothing is sent or stored."""

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
from bridge.domain.rule import Gates, Group, SignalQuery
from bridge.domain.times import Duration, Timestamp
from bridge.engine.engine import RETIRE_AFTER, Engine, sameness
from bridge.engine.evaluation.expansion import External
from bridge.engine.replay import checkpoint, skip
from bridge.engine.replay.checkpoint import Checkpoint
from bridge.engine.requests.gates import Recipients
from bridge.ports import MetricSource, Pause, Sample, Snapshot, TickChanges, TickReport
from bridge.ports.history import HistoryChunk, close, pieces

MOST_SLOTS = 10_000  # of one walk through history, so that a long replay holds no long list


@dataclass(slots=True)
class NoDestinations:
    """Routing without receivers: requests go to nobody, time intervals mute all the same. route None: none are set."""

    route: Route | None = None
    external_labels: Mapping[str, str] = field(default_factory=dict)

    def way(self, labels: Mapping[str, str]) -> Recipients:
        """The receivers by name, and no destination."""
        return Recipients(() if self.route is None else self.route.receivers(self.identity(labels)), ())

    def muted_until(self, labels: Mapping[str, str], at: Timestamp) -> Timestamp:
        """As the live bridge."""
        if self.route is None or not self.route.timed:
            return 0
        return self.route.muted_until(self.identity(labels), at)

    def identity(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """As the live bridge."""
        return {**self.external_labels, **labels}

    def tracked(self, destinations: Sequence[str]) -> bool:
        """Nobody says what became of a request: it is over with its episode."""
        return False

    def wants_resolved(self, destination: str) -> bool:
        """There is nobody to be told."""
        return False


class ReplayStore:
    """A ports.TickStore that hands on what a tick changed, and keeps nothing. snapshot: what to continue from."""

    def __init__(self, take: Callable[[TickChanges], None], snapshot: Snapshot | None = None) -> None:
        self._take = take
        self._snapshot = snapshot or Snapshot()
        self.doubts = 0

    def load(self, since: Timestamp, sent_since: Timestamp = 0) -> Snapshot:
        """Where an earlier replay stopped, or nothing."""
        return self._snapshot

    def commit(self, changes: TickChanges) -> None:
        """Hand them on."""
        self._take(changes)

    def save_pause(self, pause: Pause) -> None:
        """Nobody pauses the past."""


@dataclass(slots=True)
class _Walk:
    """Pieces of one query's history. begins: the slot at which the present piece begins; end: of the walk.

    still: of the present piece, where no rule would find anything else than in the slot before.
    """

    pieces: Iterator[HistoryChunk]
    begins: Timestamp
    end: Timestamp
    piece: HistoryChunk | None = None
    still: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))


class ReplaySource:
    """A ports.MetricSource whose instants come out of walks through the history of another one.

    Slots are asked in order, each query at most once a slot. An error is that slot's; the next one begins a new walk.
    still: (group, query, piece) -> (p,) where no rule would find anything else than in the slot before.
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
        """The next questions are those of `group`, whose replay ends at `until`."""
        self._group, self._until = group, until

    def close(self) -> None:
        """Give up what was fetched ahead."""
        for walks in self._walks.values():
            for walk in walks.values():
                close(walk.pieces)
        self._walks.clear()

    def still(self, group: Group, slot: Timestamp) -> bool:
        """Whether no query of the group would give any rule anything else than in the slot before."""
        walks = self._walks.get(group.name)
        if not walks:
            return False
        for walk in walks.values():
            place = (slot - walk.begins) // group.interval
            if place >= len(walk.still) or not walk.still[place]:
                return False
        return True

    def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp) -> EventBatch:
        """As `history` of the real source has it. Raises SourceError."""
        group = self._group
        if group is None:
            return self._source.instant(query, slot, at)
        walks = self._walks.setdefault(group.name, {})
        if query.name not in walks or slot >= walks[query.name].end:
            self._begin(walks, query, group, slot, slot - at)
        walk = walks[query.name]
        try:
            while walk.piece is None or slot >= walk.begins + len(walk.piece.slots) * group.interval:
                self._go_on(walk, group, query)
            return walk.piece.batch((slot - walk.begins) // group.interval)
        except SourceError:
            close(walks.pop(query.name).pieces)
            self._failed[group.name, query.name] = slot
            raise

    def _go_on(self, walk: _Walk, group: Group, query: SignalQuery) -> None:
        """The next piece."""
        if walk.piece is not None:
            walk.begins += len(walk.piece.slots) * group.interval
            walk.piece = None
        try:
            walk.piece = next(walk.pieces)
        except StopIteration:
            raise RuntimeError(f"the history of {query.name!r} ended before slot {walk.begins}") from None
        walk.still = self._still(group.name, query, walk.piece)

    def _begin(
        self, walks: dict[str, _Walk], query: SignalQuery, group: Group, slot: Timestamp, offset: Duration
    ) -> None:
        """New walks for the query, and for those that need one beside it."""
        end = min(self._until + 1, slot + MOST_SLOTS * group.interval)
        missing = [
            item
            for name, item in _asked(group, query).items()
            if (name not in walks or slot >= walks[name].end) and self._failed.get((group.name, name)) != slot
        ]
        for old in (walks.pop(item.name, None) for item in missing):
            if old is not None:
                close(old.pieces)
        found = pieces(self._source, missing, range(slot, end, group.interval), offset)
        walks |= {item.name: _Walk(walk, slot, end) for item, walk in zip(missing, found, strict=True)}

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        """The real source's."""
        return self._source.history(query, slots, offset)

    def evaluate(self, expr: str, at: Timestamp) -> Sequence[Sample]:
        """Return the result of an instant query at a past slot. Raises SourceError."""
        return self._source.evaluate(expr, at)


def _asked(group: Group, query: SignalQuery) -> dict[str, SignalQuery]:
    """What the group asks in a slot, by name: of several queries that are the same, the first; and `query`."""
    named = {name: group.queries[name] for rule in group.rules for name in rule.queries}
    first: dict[object, SignalQuery] = {}
    for item in named.values():
        first.setdefault(sameness(item), item)
    first[sameness(query)] = query
    return {item.name: item for item in first.values()}


class Replay:
    """Evaluates groups over past slots, by the engine that does it live.

    Slots in which nothing can change are passed over; `passed` counts them.

    table: an empty one. take: told of what each slot changed. resumed: where an earlier replay of the same groups was.
    thorough: pass over nothing.
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
        self.engine.retire_after = retire_after
        self.engine.start(0)
        self.engine.configure(groups, routing or NoDestinations(), gates or Gates(), external=external)
        if resumed is not None:
            checkpoint.put(self.engine, resumed)
        self._skippable = {name for name, run in self.engine.groups.items() if skip.skippable(run)}

    def walk(self, since: Timestamp, until: Timestamp, *, end: Timestamp = 0) -> Iterator[TickReport]:
        """Evaluate every slot of every group in [since, until], in time order; reports of those that were.

        end: how far the replay will go in all, so that a walk in parts fetches as one in a whole; 0 = `until`.
        """
        for slot, _, name in heapq.merge(*self._schedules(since, until)):
            group, run = self.groups[name], self.engine.groups[name]
            if not self.thorough and slot < self._wakes.get(name, 0) and self._feed.still(group, slot):
                run.last_slot = slot
                for rule in run.runs:
                    rule.last_evaluation = slot
                self.passed += 1
                continue
            self._feed.turn(group, max(until, end))
            report = self.engine.evaluate(name, slot, clock=_no_clock)
            self._wakes[name] = skip.wake(self.engine, run) if name in self._skippable else 0
            if report is not None:
                yield report

    def _still(self, name: str, query: SignalQuery, piece: HistoryChunk) -> NDArray[np.bool_]:
        if self.thorough or name not in self._skippable:
            return np.zeros(0, np.bool_)
        runs = [run for run in self.engine.groups[name].runs if sameness(run.query) == sameness(query)]
        return skip.still(piece, runs)

    def checkpoint(self) -> Checkpoint:
        """All that is known between two slots."""
        return checkpoint.take(self.engine)

    def _schedules(self, since: Timestamp, until: Timestamp) -> list[Iterator[tuple[Timestamp, int, str]]]:
        """By group: slot, place of the group, its name."""
        return [_schedule(group, place, since, until) for place, group in enumerate(self.groups.values())]

    def close(self) -> None:
        """Give up what was fetched ahead."""
        self._feed.close()


def slots(group: Group, since: Timestamp, until: Timestamp) -> range:
    """The group's slots in [since, until]."""
    return range(group.slot_at(since + group.interval - 1), until + 1, group.interval)


def _schedule(group: Group, place: int, since: Timestamp, until: Timestamp) -> Iterator[tuple[Timestamp, int, str]]:
    return ((slot, place, group.name) for slot in slots(group, since, until))


def _no_clock() -> float:
    """How long a past slot takes to evaluate is of no interest."""
    return 0.0
