"""What the sides of the SQL store share: transactions, and upserts in both dialects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Insert = sqlite.Insert | postgresql.Insert


class Side(ABC):
    """A part of the store; SqlStore gives the transactions."""

    @abstractmethod
    def _write(self) -> AbstractContextManager[Connection]:
        """A transaction that may write, begun at once."""

    @abstractmethod
    def _read(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads."""


def insert(connection: Connection, table: Table) -> Insert:
    """An INSERT of the connection's dialect, which can say what to do on a conflict."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def upsert(
    connection: Connection,
    table: Table,
    key: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    special: Mapping[str, ColumnElement[Any]] | None = None,
) -> None:
    """Insert rows, or overwrite those with the same key; `special` says how for single columns."""
    if not rows:
        return
    statement = insert(connection, table)
    columns = [column.name for column in table.columns if column.name in rows[0] and column.name not in key]
    changed = {name: statement.excluded[name] for name in columns} | dict(special or {})
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=changed), list(rows))
