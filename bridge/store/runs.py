"""Ledger side of the SQL store: runs in orchestrators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, literal_column, select, update

from bridge.domain.errors import RequestError
from bridge.domain.times import Timestamp
from bridge.ports import Run, RunAction, RunState
from bridge.store import rows, tables
from bridge.store.base import Insert, SqlTransactions, upsert

_table = tables.runs
_KEY = ("request_id", "destination")
NOT_HELD = "the run of request {} at {} is not held any more, so nothing was changed; look at it again"


def _kept(statement: Insert) -> Mapping[str, ColumnElement[Any]]:
    """Return column expressions that keep what another thread recorded since the run was read."""
    new = statement.excluded
    none: ColumnElement[str] = literal_column("''")
    never: ColumnElement[int] = literal_column("0")
    return {
        "cancel_at": case((_table.c.cancel_at > never, _table.c.cancel_at), else_=new.cancel_at),
        "again_at": case((_table.c.again_at > never, _table.c.again_at), else_=new.again_at),
        "reference": case((new.reference != none, new.reference), else_=_table.c.reference),
    }


def _at(request_id: str, destination: str) -> ColumnElement[bool]:
    return and_(_table.c.request_id == request_id, _table.c.destination == destination)


def act_on_runs(connection: Connection, actions: Sequence[RunAction], now: Timestamp) -> None:
    """Apply operators' actions on runs. Raises RequestError when a run to be started again is not held."""
    for item in actions:
        if item.cancel:
            _cancel(connection, item.request_id, item.destination, now)
        elif not _allow_start(connection, item.request_id, item.destination, now):
            raise RequestError(NOT_HELD.format(item.request_id, item.destination))


def _allow_start(connection: Connection, request_id: str, destination: str, now: Timestamp) -> bool:
    """Allow one more start call of a held run; return False if the run is not held."""
    unseen = and_(_table.c.state == RunState.UNKNOWN.value, _table.c.reference == "", _table.c.ended_at == 0)
    unasked = and_(_table.c.cancel_at == 0, _table.c.again_at == 0)
    held = and_(_at(request_id, destination), unseen, unasked)
    return connection.execute(update(_table).where(held).values(again_at=now)).rowcount == 1


def _cancel(connection: Connection, request_id: str, destination: str, now: Timestamp) -> None:
    unprepared = rows.run_row(Run(request_id, destination, "", "", now))
    upsert(connection, _table, (), [unprepared])
    asked = update(_table).where(_at(request_id, destination), _table.c.cancel_at == 0)
    connection.execute(asked.values(cancel_at=now, next_poll=0))
    never = and_(_at(request_id, destination), _table.c.sent_at == 0, _table.c.reference == "")
    connection.execute(update(_table).where(never).values(state=RunState.CANCELLED.value, ended_at=now, updated_at=now))


class SqlRuns(SqlTransactions):
    """Implementation of ports.RunLedger."""

    def run(self, request_id: str, destination: str) -> Run | None:
        """Return the run of a request at a destination, None if there is none."""
        with self._read() as connection:
            row = connection.execute(select(_table).where(_at(request_id, destination))).mappings().first()
        return None if row is None else rows.run_of(row)

    def runs(self, request_id: str) -> list[Run]:
        """Return the runs of a request."""
        query = select(_table).where(_table.c.request_id == request_id).order_by(_table.c.destination)
        with self._read() as connection:
            return [rows.run_of(row) for row in connection.execute(query).mappings()]

    def open_runs(self, destination: str) -> list[Run]:
        """Return the runs of a destination that were seen and have not ended, the least recently polled first."""
        is_open = and_(_table.c.destination == destination, _table.c.ended_at == 0, _table.c.reference != "")
        query = select(_table).where(is_open).order_by(_table.c.next_poll, _table.c.request_id)
        with self._read() as connection:
            return [rows.run_of(row) for row in connection.execute(query).mappings()]

    def save_run(self, run: Run) -> None:
        """Insert or update a run; requests to cancel it or to start it again are kept."""
        with self._write() as connection:
            upsert(connection, _table, _KEY, [rows.run_row(run)], _kept)

    def forget_run(self, request_id: str, destination: str) -> None:
        """Delete a run that was certainly not started."""
        unseen = and_(_at(request_id, destination), _table.c.reference == "", _table.c.cancel_at == 0)
        with self._write() as connection:
            connection.execute(delete(_table).where(unseen))

    def claim_start(self, run: Run, now: Timestamp) -> bool:
        """Record that the start call is made now; return False if the run was cancelled or seen meanwhile."""
        free = and_(_at(run.request_id, run.destination), _table.c.reference == "", _table.c.cancel_at == 0)
        kept = and_(_table.c.sent_at > 0, _table.c.again_at == 0)
        claimed = {"sent_at": case((kept, _table.c.sent_at), else_=now), "again_at": 0, "updated_at": now}
        with self._write() as connection:
            return connection.execute(update(_table).where(free).values(**claimed)).rowcount == 1

    def cancel_run(self, request_id: str, destination: str, now: Timestamp) -> Run:
        """Record that the run is to be cancelled, also one that is not prepared yet; return it."""
        with self._write() as connection:
            _cancel(connection, request_id, destination, now)
            row = connection.execute(select(_table).where(_at(request_id, destination))).mappings().one()
            return rows.run_of(row)

    def run_counts(self) -> Mapping[tuple[str, RunState], int]:
        """Count the runs that have not ended by destination and state."""
        columns = (_table.c.destination, _table.c.state)
        query = select(*columns, func.count().label("count")).where(_table.c.ended_at == 0).group_by(*columns)
        with self._read() as connection:
            found = connection.execute(query).mappings()
            return {
                (row["destination"], rows.member(RunState, row, "runs", "state", "destination")): int(row["count"])
                for row in found
            }

    def overdue_runs(self) -> Mapping[str, int]:
        """Count the runs by destination that have not started within start_deadline."""
        late = and_(_table.c.ended_at == 0, _table.c.overdue == 1)
        query = select(_table.c.destination, func.count()).where(late).group_by(_table.c.destination)
        with self._read() as connection:
            return {name: int(count) for name, count in connection.execute(query)}
