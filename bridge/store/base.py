"""What the sides of the SQL store share: transactions, and upserts in both dialects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
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
    def _read(self, *, alone: bool = False) -> AbstractContextManager[Connection]:
        """A transaction that only reads; alone: while nothing is written, not even by a connection that was lost."""


def insert(dialect: str, table: Table) -> Insert:
    """An INSERT of the dialect, which can say what to do on a conflict."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


Special = Callable[[Insert], Mapping[str, ColumnElement[Any]]]


@cache
def _upsert_statement(
    dialect: str, table: Table, key: tuple[str, ...], columns: tuple[str, ...], special: Special | None
) -> Insert:
    """Building a statement costs ten times what running it does: each is built once."""
    statement = insert(dialect, table)
    changed: dict[str, ColumnElement[Any]] = {name: statement.excluded[name] for name in columns if name not in key}
    if special is not None:
        changed |= special(statement)
    return statement.on_conflict_do_update(index_elements=list(key), set_=changed)


def upsert(
    connection: Connection,
    table: Table,
    key: tuple[str, ...],
    rows: Sequence[Mapping[str, Any]],
    special: Special | None = None,
) -> None:
    """Insert rows, or overwrite those with the same key; `special` says how for single columns."""
    if rows:
        statement = _upsert_statement(connection.dialect.name, table, key, tuple(rows[0]), special)
        connection.execute(statement, list(rows))
