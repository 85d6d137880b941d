"""Read side of the SQL store: requests, decisions, episodes and deliveries; and pruning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, select, tuple_

from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, Episode, RecoveryVerdict, RequestRecord
from bridge.domain.times import Timestamp
from bridge.ports import DecisionFilter, DeliveryRecord, RequestFilter
from bridge.store import rows, tables
from bridge.store.base import Side
from bridge.store.ticks import latest_ended, latest_sent, save_requests

_BY_ID = select(tables.requests).where(tables.requests.c.id.in_(bindparam("ids", expanding=True)))
_MODEL = ("project", "pipeline", "version")


class HistorySide(Side):
    """Implementation of ports.History."""

    def request(self, request_id: str) -> RequestRecord | None:
        """Return a request by id; None if it is unknown."""
        with self._read() as connection:
            query = select(tables.requests).where(tables.requests.c.id == request_id)
            row = connection.execute(query).mappings().first()
        return None if row is None else rows.request_of(row)

    def requests_by_id(self, ids: Sequence[str]) -> list[RequestRecord]:
        """Return the requests with these ids."""
        with self._read() as connection:
            found = connection.execute(_BY_ID, {"ids": list(ids)}).mappings()
            return [rows.request_of(row) for row in found]

    def requests(self, which: RequestFilter) -> list[RequestRecord]:
        """Return matching requests, newest first."""
        table = tables.requests
        query = select(table).order_by(table.c.triggered_at.desc(), table.c.seq.desc())
        for name in _MODEL:
            if wanted := getattr(which, name):
                query = query.where(table.c[name] == wanted)
        if which.states:
            query = query.where(table.c.state.in_([state.value for state in which.states]))
        if which.after:
            last = select(table.c.triggered_at, table.c.seq).where(table.c.id == which.after)
            query = query.where(tuple_(table.c.triggered_at, table.c.seq) < last.scalar_subquery())
        with self._read() as connection:
            page = connection.execute(query.limit(which.limit)).mappings()
            return [rows.request_of(row) for row in page]

    def episodes(self, model: ModelKey, limit: int = 20) -> list[Episode]:
        """Return the episodes of one model, newest first."""
        table = tables.episodes
        query = select(table).where(*(table.c[name] == value for name, value in model.labels().items()))
        with self._read() as connection:
            page = connection.execute(query.order_by(table.c.started_at.desc()).limit(limit)).mappings()
            return [rows.episode_of(row) for row in page]

    def save_request(self, record: RequestRecord) -> None:
        """Update a request outside a tick."""
        with self._write() as connection:
            save_requests(connection, [record])

    def verdicts(self) -> Mapping[str, Mapping[RecoveryVerdict, int]]:
        """Return, by rule, how many of its retrainings have each recovery verdict."""
        table, counts = tables.requests, dict[str, dict[RecoveryVerdict, int]]()
        counted = select(table.c.rule, table.c.verdict, func.count()).where(table.c.verdict != "")
        with self._read() as connection:
            for rule, verdict, count in connection.execute(counted.group_by(table.c.rule, table.c.verdict)):
                counts.setdefault(rule, {})[RecoveryVerdict(verdict)] = count
        return counts

    def deliveries(self, request_id: str) -> list[DeliveryRecord]:
        """Return the deliveries of one request, in the order in which they were queued."""
        table = tables.deliveries
        with self._read() as connection:
            query = select(table).where(table.c.request_id == request_id).order_by(table.c.id)
            return [rows.delivery_of(row) for row in connection.execute(query).mappings()]

    def pending_deliveries(self, limit: int = 100) -> list[DeliveryRecord]:
        """Return deliveries that are pending or dead, oldest first."""
        table = tables.deliveries
        query = select(table).where(tables.PENDING)
        with self._read() as connection:
            page = connection.execute(query.order_by(table.c.queued_at, table.c.id).limit(limit)).mappings()
            return [rows.delivery_of(row) for row in page]

    def decisions(self, which: DecisionFilter) -> list[Decision]:
        """Return matching decisions, newest first."""
        query = select(tables.decisions).where(*_wanted(which)).order_by(tables.decisions.c.seq.desc())
        with self._read() as connection:
            return [rows.decision_of(row) for row in connection.execute(query.limit(which.limit)).mappings()]

    def prune(self, before: Timestamp) -> int:
        """Delete what ended before `before`, except the latest request of each pipeline; return the number of rows."""
        request, delivery, decision = tables.requests, tables.deliveries, tables.decisions
        with self._write() as connection:
            count = connection.execute(delete(decision).where(decision.c.slot < before)).rowcount
            busy = select(delivery.c.request_id).where(tables.OPEN)
            old = and_(
                request.c.terminal == 1, request.c.ended_at > 0, request.c.ended_at < before,
                request.c.seq.not_in(latest_sent()), request.c.seq.not_in(latest_ended()),
                request.c.id.not_in(busy),
            )  # fmt: skip
            gone = select(request.c.id).where(old)
            count += connection.execute(delete(delivery).where(delivery.c.request_id.in_(gone))).rowcount
            connection.execute(delete(tables.runs).where(tables.runs.c.request_id.in_(gone)))
            count += connection.execute(delete(request).where(old)).rowcount
            return count + _prune_episodes(connection, before)


def _wanted(which: DecisionFilter) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of a filter."""
    column = tables.decisions.c
    yield column.slot >= which.since
    if which.until:
        yield column.slot <= which.until
    if which.before:
        yield column.seq < which.before
    if which.model is not None:
        yield from (column[name] == value for name, value in which.model.labels().items())
    if which.rule:
        yield column.rule == which.rule
    if which.outcomes:
        yield column.outcome.in_([item.value for item in which.outcomes])


def _prune_episodes(connection: Connection, before: Timestamp) -> int:
    episode, request = tables.episodes, tables.requests
    needed = (
        select(request.c.seq)
        .where(
            *(request.c[name] == episode.c[name] for name in _MODEL), request.c.episode_start == episode.c.started_at
        )
        .exists()
    )
    over = and_(episode.c.ended_at > 0, episode.c.ended_at < before, ~needed)
    return connection.execute(delete(episode).where(over)).rowcount
