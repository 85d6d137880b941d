"""In-memory store for tests, backtests and embedding: the same contract, nothing survives the process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from msgspec.structs import replace

from bridge.domain.alert import AlertRow
from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, Episode, Feedback, RecoveryVerdict, RequestRecord, RequestState
from bridge.domain.times import Timestamp
from bridge.ports import (
    DecisionFilter,
    DeliveryRecord,
    DeliveryState,
    Pause,
    RequestFilter,
    Sighting,
    Snapshot,
    StateChunk,
    TickChanges,
)
from bridge.store.config_log import MemoryConfigLog
from bridge.store.memory_outbox import OPEN, MemoryOutbox, is_pending
from bridge.store.memory_runs import MemoryRuns

T = TypeVar("T")


class MemoryStore(MemoryOutbox, MemoryRuns, MemoryConfigLog):
    """Complete store in dictionaries, under one lock."""

    def __init__(self) -> None:
        MemoryRuns.__init__(self)
        MemoryOutbox.__init__(self)
        MemoryConfigLog.__init__(self)
        self._slots: dict[str, Timestamp] = {}
        self._alerts: dict[tuple[str, str, ModelKey], AlertRow] = {}
        self._order: dict[str, int] = {}
        self._decisions: list[Decision] = []
        self._decided = 0
        self._chunks: dict[tuple[str, str], StateChunk] = {}
        self._sightings: dict[tuple[str, str, ModelKey], Sighting] = {}
        self._pauses: dict[tuple[str, str], Pause] = {}

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def check(self) -> None:
        """Do nothing: memory is always available."""

    @property
    def doubts(self) -> int:
        """Number of uncertain commits: always 0."""
        return 0

    # ------------------------------------------------------------ ticks

    def load(self, since: Timestamp, sent_since: Timestamp = 0) -> Snapshot:
        """Return the state to continue from; see ports.TickStore."""
        with self._lock:
            episodes = [item for item in self._episodes.values() if not item.ended_at or item.ended_at >= since]
            keys = {(item.model, item.started_at) for item in episodes}
            latest = self._latest()
            wanted = [
                record for id_, record in self._requests.items()
                if not record.state.terminal or id_ in latest or _unjudged(record)
                or (record.request.model, record.request.episode_start) in keys
            ]  # fmt: skip
            sent = sorted(
                (record.sent_at, self._order[id_], record.owner) for id_, record in self._requests.items()
                if record.sent_at and record.sent_at >= sent_since
            )  # fmt: skip
            return Snapshot(
                dict(self._slots), list(self._alerts.values()), episodes, wanted, list(self._chunks.values()),
                list(self._sightings.values()), [(owner, at) for at, _, owner in sent], list(self._pauses.values()),
            )  # fmt: skip

    def _latest(self) -> set[str]:
        """Return the ids of each pipeline's last sent request, and of the sent one that ended last."""
        sent: dict[object, RequestRecord] = {}
        ended: dict[object, RequestRecord] = {}
        for record in self._requests.values() if self._requests else ():
            if record.sent_at:
                first, second = sent.setdefault(record.owner, record), ended.setdefault(record.owner, record)
                sent[record.owner] = record if record.sent_at >= first.sent_at else first
                ended[record.owner] = record if record.ended_at >= second.ended_at else second
        return {record.id for record in (*sent.values(), *ended.values())}

    def commit(self, changes: TickChanges) -> None:
        """Apply the changes of one tick."""
        with self._lock:
            self.act_on_runs(changes.runs, changes.at)
            if changes.group:
                self._slots[changes.group] = changes.slot
            for row in changes.alerts:
                key = (row.rule, row.fingerprint, row.model)
                if row.blank:
                    self._alerts.pop(key, None)
                else:
                    self._alerts[key] = row
            for episode in changes.episodes:
                self._episodes[episode.model, episode.started_at] = episode
            for record in changes.requests:
                self.save_request(record)
            for new in changes.deliveries:
                self._queue(new, changes.at)
            for decision in changes.decisions:
                self._decided += 1
                self._decisions.append(replace(decision, id=self._decided))
            self._remember(changes)
            self.discard(changes.discards, changes.at)
            for request_id in {item.request_id for item in changes.runs} & self._requests.keys():
                self._make_due(self._of(request_id, DeliveryState.RETRY), changes.at)

    def _remember(self, changes: TickChanges) -> None:
        """Store strategy state and sightings of expected models."""
        for chunk in changes.state:
            self._chunks.pop((chunk.rule, chunk.fingerprint), None)
            if chunk.data:
                self._chunks[chunk.rule, chunk.fingerprint] = chunk
        for sighting in changes.sightings:
            seen = (sighting.group, sighting.signal, sighting.model)
            self._sightings.pop(seen, None)
            if sighting.first_seen:
                self._sightings[seen] = sighting

    def save_pause(self, pause: Pause) -> None:
        """Store a pause, and drop the expired ones."""
        with self._lock:
            self._pauses[pause.project, pause.pipeline] = pause
            self._pauses = {scope: item for scope, item in self._pauses.items() if item.until > pause.at}

    # ------------------------------------------------------------ history

    def request(self, request_id: str) -> RequestRecord | None:
        """Return a request by id; None if it is unknown."""
        with self._lock:
            return self._requests.get(request_id)

    def requests_by_id(self, ids: Sequence[str]) -> list[RequestRecord]:
        """Return the requests with these ids."""
        with self._lock:
            return [self._requests[id_] for id_ in ids if id_ in self._requests]

    def requests(self, which: RequestFilter) -> list[RequestRecord]:
        """Return matching requests, newest first."""
        with self._lock:
            newest = sorted(
                self._requests.values(),
                key=lambda record: (record.request.triggered_at, self._order[record.id]),
                reverse=True,
            )
        if which.after:
            last = next((index for index, record in enumerate(newest) if record.id == which.after), len(newest))
            newest = newest[last + 1 :]
        return list(islice((record for record in newest if _matches(record, which)), which.limit))

    def episodes(self, model: ModelKey, limit: int = 20) -> list[Episode]:
        """Return the episodes of one model, newest first."""
        with self._lock:
            episodes = [episode for key, episode in self._episodes.items() if key[0] == model]
        return sorted(episodes, key=lambda episode: -episode.started_at)[:limit]

    def save_request(self, record: RequestRecord) -> None:
        """Store a request, keeping what deliveries recorded since it was read."""
        with self._lock:
            known = self._requests.get(record.id)
            self._order.setdefault(record.id, len(self._order))
            self._requests[record.id] = record if known is None else merged(known, record)

    def sent(self, since: Timestamp) -> Mapping[str, int]:
        """Return the number of requests that were triggered since an instant and sent, by rule."""
        with self._lock:
            return Counter(
                item.request.rule
                for item in self._requests.values()
                if item.sent_at and item.request.triggered_at >= since
            )

    def verdicts(self) -> Mapping[str, Mapping[RecoveryVerdict, int]]:
        """Return, by rule, how many of its retrainings have each recovery verdict."""
        with self._lock:
            return _counts((record.request.rule, record.verdict) for record in self._requests.values())

    def feedback(self) -> Mapping[str, Mapping[Feedback, int]]:
        """Return, by rule, how many of its requests have each feedback."""
        with self._lock:
            return _counts((record.request.rule, record.feedback) for record in self._requests.values())

    def deliveries(self, request_id: str) -> list[DeliveryRecord]:
        """Return the deliveries of one request, in the order in which they were queued."""
        with self._lock:
            return [row.record for row in self._rows.values() if row.record.request_id == request_id]

    def pending_deliveries(self, limit: int = 100) -> list[DeliveryRecord]:
        """Return deliveries that are pending or dead and not discarded, oldest first."""
        with self._lock:
            records = [row.record for row in self._rows.values() if is_pending(row.record)]
        return sorted(records, key=lambda record: (record.queued_at, record.id))[:limit]

    def decisions(self, which: DecisionFilter) -> list[Decision]:
        """Return matching decisions, newest first."""
        with self._lock:
            return list(islice(filter(which.fits, reversed(self._decisions)), which.limit))

    def prune(self, before: Timestamp) -> int:
        """Delete what ended before `before`, except the latest request of each pipeline; return the number of rows."""
        with self._lock:
            size = self._size()
            latest = self._latest()
            self._decisions = [item for item in self._decisions if item.slot >= before]
            open_rows = {row.record.request_id for row in self._rows.values() if row.record.state in OPEN}
            gone = {
                id_ for id_, record in self._requests.items()
                if record.state.terminal and 0 < record.ended_at < before and id_ not in latest and id_ not in open_rows
            }  # fmt: skip
            self._forget(gone)
            kept = {(item.request.model, item.request.episode_start) for item in self._requests.values()}
            self._episodes = {
                key: item for key, item in self._episodes.items()
                if not item.ended_at or item.ended_at >= before or key in kept
            }  # fmt: skip
            return size - self._size()

    def _forget(self, gone: set[str]) -> None:
        self._requests = {id_: record for id_, record in self._requests.items() if id_ not in gone}
        self._rows = {id_: row for id_, row in self._rows.items() if row.record.request_id not in gone}
        self._keys = {key: id_ for key, id_ in self._keys.items() if id_ in self._rows}
        self._runs = {key: run for key, run in self._runs.items() if key[0] not in gone}

    def _size(self) -> int:
        return len(self._decisions) + len(self._requests) + len(self._rows) + len(self._episodes)


def _unjudged(record: RequestRecord) -> bool:
    return record.state is RequestState.SUCCEEDED and record.verdict is None


def merged(known: RequestRecord, new: RequestRecord) -> RequestRecord:
    """Return `new` merged with what deliveries recorded since it was read."""
    if new.state is RequestState.REQUESTED and known.state is RequestState.UNDELIVERED:
        return known
    overtaken = new.state is RequestState.REQUESTED and known.state.in_flight
    return replace(
        new,
        state=known.state if overtaken else new.state,
        delivered_at=known.delivered_at or new.delivered_at,
        reference=new.reference or known.reference,
        link=new.link or known.link,
    )


def _counts(found: Iterable[tuple[str, T | None]]) -> dict[str, dict[T, int]]:
    """Return how often each value is found, by rule; None does not count. found: (rule, value)."""
    counts: dict[str, dict[T, int]] = {}
    for rule, value in found:
        if value is not None:
            of_rule = counts.setdefault(rule, {})
            of_rule[value] = of_rule.get(value, 0) + 1
    return counts


def _matches(record: RequestRecord, which: RequestFilter) -> bool:
    model = record.request.model
    return (
        (not which.states or record.state in which.states)
        and which.project in {"", model.project}
        and which.pipeline in {"", model.pipeline}
        and which.version in {"", model.version}
        and which.rule in {"", record.request.rule}
        and which.since <= record.request.triggered_at
        and (not which.until or record.request.triggered_at <= which.until)
    )
