"""Open episodes, live requests and retraining activity per pipeline: an index in memory of the store."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bridge.domain.gate import PipelineLoad, budget_until
from bridge.domain.model import ModelKey, PipelineKey
from bridge.domain.request import Decision, Episode, RecoveryVerdict, RequestRecord, RequestState, RetrainRequest
from bridge.domain.rule import Gates
from bridge.domain.times import MINUTE, Duration, Timestamp
from bridge.engine.requests.rechecks import Rechecks
from bridge.engine.requests.request_column import RequestColumn
from bridge.engine.requests.sent import Sent
from bridge.ports import NewDelivery, Pause

_RETRAINED = {
    RequestState.SUCCEEDED, RequestState.FAILED, RequestState.CANCELLED, RequestState.LOST, RequestState.CLOSED,
    RequestState.RECORDED,
}  # fmt: skip
_FAILED = {RequestState.FAILED, RequestState.LOST}
_NEVER: Timestamp = 1 << 62
_FORGET_EVERY: Duration = MINUTE  # limits memory where requests are frequent


def retrained_at(record: RequestRecord) -> Timestamp:
    """Return when the request starts its pipeline's cooldown: its end, else its delivery; 0 = it does not."""
    if record.state not in _RETRAINED:
        return 0
    return (record.delivered_at or record.sent_at) if record.state is RequestState.CLOSED else record.ended_at


def _order(record: RequestRecord) -> tuple[Timestamp, Timestamp, int, str]:
    """Return the sort key by sending time; within a slot it does not depend on restarts."""
    return record.sent_at, record.request.triggered_at, record.request.attempt, record.id


def supersedes(record: RequestRecord, episode: Episode, known: RequestRecord | None) -> bool:
    """Return whether a request is the open episode's latest one; `known` is the latest so far."""
    if episode.started_at != record.request.episode_start:
        return False
    same = known is not None and known.request.episode_start == episode.started_at
    return not same or known is None or record.request.attempt >= known.request.attempt


def unhelpful_after(record: RequestRecord | None) -> int:
    """Return how many retrainings of a pipeline in a row did not help, up to its latest request `record`."""
    if record is None:
        return 0
    if record.state in _FAILED or record.verdict is RecoveryVerdict.NOT_RECOVERED:
        return record.unhelpful + 1
    if record.state is RequestState.CLOSED or record.verdict is RecoveryVerdict.RECOVERED:
        return 0
    return record.unhelpful


@dataclass(slots=True)
class EpisodeIndex:
    """Index of episodes and requests for decisions.

    episodes: open ones, by model.
    ended: recently ended ones, by (model, start).
    requests: by id; those that are open, belong to an episode above, or are the latest of a pipeline.
    current: id of the open episode's latest request, by model.
    waiting: models whose open episode has a held or terminal request.
    in_flight: ids of the requests in flight, by pipeline.
    last_end: end of the latest retraining, by pipeline.
    last_sent: id of the request sent last, by model.
    replaced: the request sent last, by model, if its retraining put another version in the model's place.
    unjudged: successful retrainings without a recovery verdict, by request id.
    latest: id of the request sent last, by pipeline.
    column: state of each request in `current`.
    undelivered: models whose request in `current` could not be delivered.
    unfinished: number of requests in each state that is not terminal.
    """

    episodes: dict[ModelKey, Episode] = field(default_factory=dict)
    ended: dict[tuple[ModelKey, Timestamp], Episode] = field(default_factory=dict)
    requests: dict[str, RequestRecord] = field(default_factory=dict)
    current: dict[ModelKey, str] = field(default_factory=dict)
    waiting: set[ModelKey] = field(default_factory=set)
    in_flight: dict[PipelineKey, tuple[str, ...]] = field(default_factory=dict)  # a set takes five times the memory
    last_end: dict[PipelineKey, Timestamp] = field(default_factory=dict)
    last_sent: dict[ModelKey, str] = field(default_factory=dict)
    replaced: dict[ModelKey, RequestRecord] = field(default_factory=dict)
    unjudged: dict[str, RequestRecord] = field(default_factory=dict)
    latest: dict[PipelineKey, str] = field(default_factory=dict)
    sent: Sent = field(default_factory=Sent)
    pauses: list[Pause] = field(default_factory=list)
    rechecks: Rechecks = field(default_factory=Rechecks)
    column: RequestColumn = field(default_factory=RequestColumn)
    undelivered: set[ModelKey] = field(default_factory=set)
    unfinished: Counter[RequestState] = field(default_factory=Counter)
    _earliest: Timestamp = _NEVER
    _forgotten: Timestamp = 0

    def load(
        self,
        episodes: Iterable[Episode],
        records: Iterable[RequestRecord],
        sent: Iterable[tuple[PipelineKey, Timestamp]] = (),
        pauses: Iterable[Pause] = (),
    ) -> None:
        """Load episodes, requests and pauses of the store."""
        self.pauses = list(pauses)
        for owner, at in sent:
            self.sent.add(owner, at)
        for episode in episodes:
            self.put_episode(episode)
        for record in sorted(records, key=lambda item: (item.request.triggered_at, item.request.attempt)):
            self.put_request(record)

    def put_episode(self, episode: Episode) -> None:
        """Add or update an episode."""
        model = episode.model
        if not episode.ended_at:
            self.episodes[model] = episode
            return
        open_one = self.episodes.get(model)
        if open_one is not None and open_one.started_at == episode.started_at:
            del self.episodes[model]
            self.current.pop(model, None)
            self.waiting.discard(model)
            self.undelivered.discard(model)
            self.column.put(model, None)
        self.ended[model, episode.started_at] = episode

    def put_request(self, record: RequestRecord) -> None:
        """Add or update a request."""
        model, id_, owner, state = record.request.model, record.request.id, record.owner, record.state
        self._count(self.requests.get(id_), record)
        self.requests[id_] = record
        self.rechecks.pipeline_changed(owner)
        if record.sent_at:
            self.last_sent[model] = id_
            self.replaced.pop(model, None)
            if record.replaces:
                self.replaced[model] = record
            last = self.latest_of(owner)
            if last is None or _order(record) >= _order(last):
                self.latest[owner] = id_
        if state is RequestState.SUCCEEDED and record.verdict is None:
            self.unjudged[id_] = record
        else:
            self.unjudged.pop(id_, None)
        in_flight = state.in_flight
        known = self.in_flight.get(owner, ())
        others = tuple([other for other in known if other != id_]) if known else known
        if in_flight:
            self.in_flight[owner] = (*others, id_)
            self._earliest = min(self._earliest, record.sent_at)
        elif others:
            self.in_flight[owner] = others
        else:
            self.in_flight.pop(owner, None)
        end = retrained_at(record)
        if end > self.last_end.get(owner, 0):
            self.last_end[owner] = end
        episode = self.episodes.get(model)
        current = self.current.get(model, "")
        if episode is not None and supersedes(record, episode, self.requests.get(current)):
            current = self.current[model] = id_
            (self.waiting.discard if in_flight else self.waiting.add)(model)
        if current == id_:
            self.column.put(model, state)
            (self.undelivered.add if state is RequestState.UNDELIVERED else self.undelivered.discard)(model)

    def _count(self, before: RequestRecord | None, after: RequestRecord) -> None:
        """Count a change of a request in `unfinished`."""
        if before is not None and not before.state.terminal:
            self.unfinished[before.state] -= 1
        if not after.state.terminal:
            self.unfinished[after.state] += 1

    def latest_of(self, owner: PipelineKey) -> RequestRecord | None:
        """Return the request of a pipeline that was sent last."""
        id_ = self.latest.get(owner)
        return None if id_ is None else self.requests.get(id_)

    def rules_of(self, record: RequestRecord) -> tuple[str, ...]:
        """Return the rules that led to a request, including those that joined its episode later."""
        key = (record.request.model, record.request.episode_start)
        episode = self.episodes.get(key[0])
        if episode is None or episode.started_at != key[1]:
            episode = self.ended.get(key)
        joined = () if episode is None else episode.rules
        return tuple(dict.fromkeys((record.request.rule, *(item.rule for item in record.request.evidence), *joined)))

    def paused_until(self, owner: PipelineKey, slot: Timestamp) -> Timestamp:
        """Return when the longest pause of the pipeline ends; 0 = not paused."""
        return max([pause.until for pause in self.pauses if pause.covers(owner, slot)], default=0)

    def next_overdue(self, in_flight_limit: Duration) -> Timestamp:
        """Return an instant before which no request in flight becomes overdue."""
        return self._earliest + in_flight_limit

    def overdue(self, slot: Timestamp, in_flight_limit: Duration) -> list[RequestRecord]:
        """Return the requests in flight for at least the limit."""
        if self._earliest + in_flight_limit > slot:
            return []
        in_flight_now = [self.requests[id_] for ids in self.in_flight.values() for id_ in ids]
        self._earliest = min((record.sent_at for record in in_flight_now), default=_NEVER)
        return [record for record in in_flight_now if record.sent_at + in_flight_limit <= slot]

    def forget(self, before: Timestamp) -> None:
        """Drop episodes that ended before `before`, their requests, and requests without any reference.

        Requests are scanned at most once per minute: there may be one for each pipeline.
        """
        for key in [key for key, episode in self.ended.items() if episode.ended_at < before]:
            del self.ended[key]
        if before < self._forgotten + _FORGET_EVERY:
            return
        self._forgotten = before
        needed = set(self.current.values()) | set(self.last_sent.values()) | self.unjudged.keys()
        needed |= set(self.latest.values())
        # New dictionaries: one that only loses its oldest entries keeps growing its table for the new ones.
        self.ended = dict(self.ended)
        self.requests = {
            id_: record for id_, record in self.requests.items() if id_ in needed or not self._is_over(record, before)
        }

    def _is_over(self, record: RequestRecord, before: Timestamp) -> bool:
        """Return whether a request ended before `before`, and its episode too."""
        # Until `before`, the alert of an earlier attempt must still be resolved.
        key = (record.request.model, record.request.episode_start)
        return record.state.terminal and record.ended_at < before and key not in self.ended


@dataclass(slots=True)
class TickTransaction:
    """Pending changes to an index: reads include them, the index itself changes only with `apply`.

    deferred: requests of episodes that began while catching up; decided at the present slot.
    sent: pipeline and instant of each request that was sent, ascending by instant.
    postponed: when held requests are rechecked, unless something changes before.
    """

    committed: EpisodeIndex
    episodes: dict[tuple[ModelKey, Timestamp], Episode] = field(default_factory=dict)
    requests: dict[str, RequestRecord] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    deliveries: list[NewDelivery] = field(default_factory=list)
    deferred: dict[ModelKey, RetrainRequest] = field(default_factory=dict)
    sent: list[tuple[PipelineKey, Timestamp]] = field(default_factory=list)
    postponed: dict[ModelKey, Timestamp] = field(default_factory=dict)
    _open: dict[ModelKey, Episode | None] = field(default_factory=dict)
    _current: dict[ModelKey, str] = field(default_factory=dict)
    _by_owner: dict[PipelineKey, dict[str, RequestRecord]] = field(default_factory=dict)  # of `requests`
    _new: Sent = field(default_factory=Sent)  # the first of `sent`, for budgets
    _counted: int = 0

    def episode(self, model: ModelKey) -> Episode | None:
        """Return the open episode of a model."""
        return self._open[model] if model in self._open else self.committed.episodes.get(model)

    def put_episode(self, episode: Episode) -> None:
        """Add or update an episode."""
        self.episodes[episode.model, episode.started_at] = episode
        self._open[episode.model] = None if episode.ended_at else episode
        if episode.ended_at:
            self._current.pop(episode.model, None)

    def request(self, model: ModelKey) -> RequestRecord | None:
        """Return the latest request of the model's open episode."""
        episode = self.episode(model)
        return None if episode is None else self._latest(episode)

    def _latest(self, episode: Episode) -> RequestRecord | None:
        """Return the latest request of an open episode."""
        id_ = self._current.get(episode.model) or self.committed.current.get(episode.model)
        if id_ is None:
            return None
        record = self.requests.get(id_) or self.committed.requests.get(id_)
        return record if record is not None and record.request.episode_start == episode.started_at else None

    def put_request(self, record: RequestRecord) -> None:
        """Add or update a request."""
        model, id_, owner = record.request.model, record.request.id, record.owner
        before = self.requests.get(id_) or self.committed.requests.get(id_)
        if record.sent_at and (before is None or not before.sent_at):
            self.sent.append((owner, record.sent_at))
        self.requests[id_] = record
        self._by_owner.setdefault(owner, {})[id_] = record
        episode = self.episode(model)
        if episode is not None and supersedes(record, episode, self._latest(episode)):
            self._current[model] = id_

    def load(self, owner: PipelineKey, in_flight_limit: Duration) -> PipelineLoad:
        """Return the retraining activity of a pipeline for the gates."""
        changed = self._by_owner.get(owner)
        if not changed and owner not in self.committed.latest and not self.committed.in_flight.get(owner):
            return PipelineLoad(last_end=self.committed.last_end.get(owner, 0))  # nothing was sent
        changed = changed or {}
        unchanged = (
            self.committed.requests[id_] for id_ in self.committed.in_flight.get(owner, ()) if id_ not in changed
        )
        in_flight_now = (*unchanged, *(record for record in changed.values() if record.state.in_flight))
        busy = max((record.sent_at + in_flight_limit for record in in_flight_now), default=0)
        ends = map(retrained_at, changed.values())
        last = self.committed.requests.get(self.committed.latest.get(owner, ""))
        for record in changed.values():
            if record.sent_at and (last is None or _order(record) >= _order(last)):
                last = record
        return PipelineLoad(busy, max(self.committed.last_end.get(owner, 0), *ends, 0), unhelpful_after(last))

    def budget_until(self, owner: PipelineKey, gates: Gates) -> Timestamp:
        """Return when every budget allows one more request of the pipeline."""
        rates = (gates.total, gates.per_project, gates.per_pipeline)
        if rates == (None, None, None):
            return 0
        scopes = ((), (owner.project,), (owner.project, owner.pipeline))
        known, new = self.committed.sent.times, self._sent_times()
        return max(
            (budget_until(known.get(scope, ()), new.get(scope, ()), rate)
             for scope, rate in zip(scopes, rates, strict=True) if rate is not None),
            default=0,
        )  # fmt: skip

    def _sent_times(self) -> Mapping[tuple[str, ...], array[int]]:
        """Return the sending times of this transaction."""
        for owner, at in self.sent[self._counted :]:
            self._new.add(owner, at)
        self._counted = len(self.sent)
        return self._new.times

    def waiting(self, slot: Timestamp) -> Iterator[ModelKey]:
        """Yield the models whose open episode waits at `slot`, the longest waiting first."""
        touched = {model for model, episode in self._open.items() if episode is not None and episode.started_at != slot}
        waiting = self.committed.waiting - self.committed.rechecks.postponed(
            self._by_owner.keys(), sent=bool(self.sent)
        )
        for model in sorted([model for model in waiting | touched if self._waits(model, slot)], key=self._age):
            if self._waits(model, slot):  # a change meanwhile may have sent its request
                yield model

    def _waits(self, model: ModelKey, slot: Timestamp) -> bool:
        """Return whether the model has an open episode of an earlier slot without a request in flight."""
        episode = self.episode(model)
        if episode is None or episode.started_at == slot:
            return False
        record = self._latest(episode)
        return record is None or not record.state.in_flight

    def _age(self, model: ModelKey) -> tuple[Timestamp, ModelKey]:
        record = self.request(model)
        return (0 if record is None else record.request.triggered_at), model

    def changes_holds(self) -> bool:
        """Return whether a request starts or stops being held, or is held by another gate."""
        before = self.committed.requests
        return any(
            record.hold is not (before[id_].hold if id_ in before else None) for id_, record in self.requests.items()
        )

    def apply(self) -> None:
        """Apply the changes to the index, once they are stored."""
        # First, so that the changes below undo what was postponed before they were made.
        for model, until in self.postponed.items():
            self.committed.rechecks.postpone(model, until)
        if self.sent:
            self.committed.rechecks.sent()
        for episode in self.episodes.values():
            if not episode.ended_at:
                self.committed.put_episode(episode)
        for record in self.requests.values():
            self.committed.put_request(record)
        for owner, at in self.sent:
            self.committed.sent.add(owner, at)
        for episode in self.episodes.values():
            if episode.ended_at:
                self.committed.put_episode(episode)
