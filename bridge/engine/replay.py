"""The live tick's code over past slots: history stands in for the present, and nothing is sent or stored."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.route import Route
from bridge.domain.rule import Gates, Group, SignalQuery
from bridge.domain.times import Duration, Timestamp
from bridge.engine import checkpoint
from bridge.engine.checkpoint import Checkpoint
from bridge.engine.gatekeeping import Way
from bridge.engine.tick import RETIRE_AFTER, Engine
from bridge.ports import MetricSource, Pause, Snapshot, TickChanges, TickReport

MOST_SLOTS = 10_000  # of one walk through history, so that a long replay holds no long list


@dataclass(slots=True)
class NoDestinations:
    """Routing without receivers: requests go to nobody, time intervals mute all the same. route None: none are set."""

    route: Route | None = None
    external_labels: Mapping[str, str] = field(default_factory=dict)

    def way(self, labels: Mapping[str, str]) -> Way:
        """The receivers by name, and no destination."""
        return Way(() if self.route is None else self.route.receivers(self.identity(labels)), ())

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
    """Batches of one query that are not taken yet; `due` is the slot of the next one."""

    batches: Iterator[EventBatch]
    due: Timestamp
    end: Timestamp


class ReplaySource:
    """A ports.MetricSource whose instants come out of walks through the history of another one.

    Slots are asked in order, each query once a slot. An error is that slot's; the next one begins a new walk.
    """

    def __init__(self, source: MetricSource) -> None:
        self._source = source
        self._walks: dict[tuple[object, ...], _Walk] = {}
        self._group: Group | None = None
        self._until: Timestamp = 0

    def turn(self, group: Group, until: Timestamp) -> None:
        """The next questions are those of `group`, whose replay ends at `until`."""
        self._group, self._until = group, until

    def close(self) -> None:
        """Give up what was fetched ahead."""
        self._walks.clear()

    def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp) -> EventBatch:
        """As `history` of the real source has it. Raises SourceError."""
        group = self._group
        if group is None:
            return self._source.instant(query, slot, at)
        key = (group.name, query.name)
        walk = self._walks.get(key)
        if walk is None or walk.due != slot or slot >= walk.end:
            walk = self._walks[key] = self._begin(query, group, slot, slot - at)
        walk.due = slot + group.interval
        try:
            return next(walk.batches)
        except SourceError:
            del self._walks[key]
            raise
        except StopIteration:
            raise RuntimeError(f"the history of {query.name!r} ended before slot {slot}") from None

    def _begin(self, query: SignalQuery, group: Group, slot: Timestamp, offset: Duration) -> _Walk:
        end = min(self._until + 1, slot + MOST_SLOTS * group.interval)
        return _Walk(self._source.history(query, range(slot, end, group.interval), offset), slot, end)

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        """The real source's."""
        return self._source.history(query, slots, offset)


class Replay:
    """Evaluates groups over past slots, by the engine that does it live.

    table: an empty one. take: told of what each slot changed. resumed: where an earlier replay of the same groups was.
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
    ) -> None:
        self.groups = {group.name: group for group in groups}
        self._feed = ReplaySource(source)
        if resumed is not None:
            checkpoint.prepare(table, resumed)
        self.engine = Engine(self._feed, ReplayStore(take, resumed.snapshot if resumed else None), table)
        self.engine.retire_after = retire_after
        self.engine.start(0)
        self.engine.configure(groups, routing or NoDestinations(), gates or Gates())
        if resumed is not None:
            checkpoint.put(self.engine, resumed)

    def walk(self, since: Timestamp, until: Timestamp, *, end: Timestamp = 0) -> Iterator[TickReport]:
        """Evaluate every slot of every group in [since, until], in time order.

        end: how far the replay will go in all, so that a walk in parts fetches as one in a whole; 0 = `until`.
        """
        for slot, _, name in heapq.merge(*self._schedules(since, until)):
            self._feed.turn(self.groups[name], max(until, end))
            report = self.engine.evaluate(name, slot, clock=_no_clock)
            if report is not None:
                yield report

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
