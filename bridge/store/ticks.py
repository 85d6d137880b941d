"""Engine side of the SQL store: loads the state at start, commits the changes of each tick."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
    union,
)

from bridge.domain.model import PipelineKey
from bridge.domain.request import RequestRecord, RequestState
from bridge.domain.times import Timestamp
from bridge.ports import NewDelivery, Pause, Snapshot, TickChanges
from bridge.store import rows, tables
from bridge.store.base import Insert, SqlTransactions, page_cache_for, portions, upsert
from bridge.store.discarding import discard
from bridge.store.outbox import make_due
from bridge.store.runs import act_on_runs

_MODEL = ("project", "pipeline", "version")
_SEEN = ("group_name", "signal", *_MODEL)
_OPEN = [state.value for state in RequestState if not state.terminal]
_SETTLED = [state for state in RequestState if state.in_flight or state is RequestState.UNDELIVERED]

# Most ticks change nothing else: SQLAlchemy would take most of the time of such a commit.
_SLOT = "INSERT INTO slots (group_name, slot) VALUES (?, ?) ON CONFLICT (group_name) DO UPDATE SET slot = excluded.slot"


def _kept(statement: Insert) -> Mapping[str, ColumnElement[Any]]:
    """Return column expressions that keep what deliveries recorded since the request was read."""
    table, new = tables.requests, statement.excluded
    settled = or_(*(table.c.state == _written(state) for state in _SETTLED))
    overtaken = and_(new.state == _written(RequestState.REQUESTED), settled)
    dead = and_(overtaken, table.c.state == _written(RequestState.UNDELIVERED))
    none: ColumnElement[str] = literal_column("''")
    never: ColumnElement[int] = literal_column("0")
    ends = ("updated_at", "ended_at", "message")
    return {
        **{name: case((dead, table.c[name]), else_=new[name]) for name in ends},
        "state": case((overtaken, table.c.state), else_=new.state),
        "delivered_at": case((table.c.delivered_at > never, table.c.delivered_at), else_=new.delivered_at),
        **{name: case((new[name] != none, new[name]), else_=table.c[name]) for name in ("reference", "link")},
    }


def _written(state: RequestState) -> ColumnElement[str]:
    """Return the state as part of a statement, which then needs no parameter for it."""
    return literal_column(f"'{state.value}'")


def save_requests(connection: Connection, records: Sequence[RequestRecord]) -> None:
    """Insert or update requests."""
    upsert(connection, tables.requests, ("id",), map(rows.request_row, records), _kept)


class SqlTicks(SqlTransactions):
    """Implementation of ports.TickStore."""

    def load(self, since: Timestamp, sent_since: Timestamp = 0) -> Snapshot:
        """Return the state to continue from after a start.

        since: episodes that ended before are left out. sent_since: instant from which sent requests are listed.
        """
        with self._read(alone=True) as connection:
            slots = {row.group_name: row.slot for row in connection.execute(select(tables.slots))}
            alerts = [rows.alert_of(row) for row in connection.execute(select(tables.alerts)).mappings()]
            recent = or_(tables.episodes.c.ended_at == 0, tables.episodes.c.ended_at >= since)
            episode_rows = connection.execute(select(tables.episodes).where(recent)).mappings()
            episodes = [rows.episode_of(row) for row in episode_rows]
            requests = [rows.request_of(row) for row in self._load_requests(connection, recent)]
            state = [rows.chunk_of(row) for row in connection.execute(select(tables.strategy_state)).mappings()]
            seen = [rows.sighting_of(row) for row in connection.execute(select(tables.sightings)).mappings()]
            pauses = [rows.pause_of(row) for row in connection.execute(select(tables.pauses)).mappings()]
            table = tables.requests
            query = select(table.c.project, table.c.pipeline, table.c.sent_at)
            query = query.where(tables.SENT, table.c.sent_at >= sent_since).order_by(table.c.sent_at, table.c.seq)
            sent = [(PipelineKey(row.project, row.pipeline), row.sent_at) for row in connection.execute(query)]
        return Snapshot(slots, alerts, episodes, requests, state, seen, sent, pauses)

    @staticmethod
    def _load_requests(connection: Connection, recent: Any) -> list[Any]:
        """Return open requests, those of open and recent episodes, and each pipeline's latest sent and ended one."""
        table, episode = tables.requests, tables.episodes
        same = [table.c[name] == episode.c[name] for name in _MODEL]
        wanted = union(
            select(table.c.seq).where(table.c.state.in_(_OPEN)),
            select(table.c.seq).join(episode, and_(*same, table.c.episode_start == episode.c.started_at)).where(recent),
            select(table.c.seq).where(tables.UNJUDGED),
            latest_sent(),
            latest_ended(),
        )
        chosen = select(table).where(table.c.seq.in_(wanted)).order_by(table.c.seq)
        return list(connection.execute(chosen).mappings())

    def commit(self, changes: TickChanges) -> None:
        """Write the changes of one tick in one transaction: all of them, or none."""
        if changes.only_slot and self._write_plainly(_SLOT, (changes.group, changes.slot)):
            return
        with self._write() as connection, page_cache_for(connection, len(changes.requests)):
            if changes.group:
                upsert(connection, tables.slots, ("group_name",), [(changes.group, changes.slot)])
            self._commit_alerts(connection, changes)
            key = (*_MODEL, "started_at")
            upsert(connection, tables.episodes, key, map(rows.episode_row, changes.episodes))
            save_requests(connection, changes.requests)
            _queue(connection, changes.deliveries, changes.at)
            upsert(connection, tables.decisions, (), map(rows.decision_row, changes.decisions))
            gone = (rows.chunk_row(chunk) for chunk in changes.state if not chunk.data)
            _delete(connection, tables.strategy_state, ("rule", "fingerprint"), gone)
            chunks = (rows.chunk_row(chunk) for chunk in changes.state if chunk.data)
            upsert(connection, tables.strategy_state, ("rule", "fingerprint"), chunks)
            self._commit_sightings(connection, changes)
            act_on_runs(connection, changes.runs, changes.at)
            discard(connection, changes.discards, changes.at)
            for request_id in {item.request_id for item in changes.runs}:
                make_due(connection, request_id, changes.at)

    def save_pause(self, pause: Pause) -> None:
        """Store a pause, or remove it if its `until` is over."""
        table = tables.pauses
        with self._write() as connection:
            connection.execute(delete(table).where(table.c.until <= pause.at))
            if pause.until > pause.at:
                upsert(connection, table, ("project", "pipeline"), [rows.pause_row(pause)])
            else:
                same = (table.c.project == pause.project, table.c.pipeline == pause.pipeline)
                connection.execute(delete(table).where(*same))

    @staticmethod
    def _commit_sightings(connection: Connection, changes: TickChanges) -> None:
        last = {(item.group, item.signal, item.model): item for item in changes.sightings}
        gone = (rows.sighting_row(item) for item in last.values() if not item.first_seen)
        kept = (rows.sighting_row(item) for item in last.values() if item.first_seen)
        _delete(connection, tables.sightings, _SEEN, gone)
        upsert(connection, tables.sightings, _SEEN, kept)

    @staticmethod
    def _commit_alerts(connection: Connection, changes: TickChanges) -> None:
        table, key = tables.alerts, ("rule", "fingerprint", *_MODEL)
        # The last change of a key wins: a stale row may be removed and created again in one tick.
        last = {(row.rule, row.fingerprint, row.model): row for row in changes.alerts}
        gone = (rows.alert_row(row) for row in last.values() if row.blank)
        kept = (rows.alert_row(row) for row in last.values() if not row.blank)
        _delete(connection, table, key, gone)
        upsert(connection, table, key, kept)


def _delete(connection: Connection, table: Table, key: tuple[str, ...], gone: Iterable[rows.Row]) -> None:
    """Delete the rows with the keys of `gone`; the key's columns are the first ones."""
    names = [f"at_{name}" for name in key]
    for portion in portions(dict(zip(names, row, strict=False)) for row in gone):
        matching = [table.c[name] == bindparam(f"at_{name}") for name in key]
        connection.execute(delete(table).where(*matching), portion)


def latest_sent() -> Any:
    """Select `seq` of each pipeline's last sent request; one that was held may be older than others."""
    return _latest(tables.requests.c.sent_at)


def latest_ended() -> Any:
    """Select `seq` of each pipeline's sent request that ended last: the cooldown counts from it."""
    return _latest(tables.requests.c.ended_at)


def _latest(by: Column[Any]) -> Any:
    """Select the last `seq` with the greatest `by` of each pipeline; an index holds all that this reads."""
    table, last = tables.requests, tables.requests.alias("last")
    owner = (last.c.project, last.c.pipeline)
    sent: ColumnElement[int] = literal_column("0")
    greatest = (
        select(*owner, func.max(last.c[by.name]).label("greatest")).where(last.c.sent_at > sent).group_by(*owner)
    ).subquery()
    return (
        select(func.max(table.c.seq))
        .join(
            greatest,
            and_(
                table.c.project == greatest.c.project,
                table.c.pipeline == greatest.c.pipeline,
                by == greatest.c.greatest,
                table.c.sent_at > sent,
            ),
        )
        .group_by(table.c.project, table.c.pipeline)
    )


def _queue(connection: Connection, new: Sequence[NewDelivery], at: Timestamp) -> None:
    upsert(connection, tables.deliveries, (), (rows.new_delivery_row(item, at) for item in new))
