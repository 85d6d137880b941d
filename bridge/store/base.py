"""Base of the sides of the SQL store: transactions, and upserts in the two dialects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")
PORTION = 5_000  # rows of one statement: its parameters are kept in memory several times
Insert = sqlite.Insert | postgresql.Insert


class Side(ABC):
    """Part of the store; SqlStore provides the transactions."""

    @abstractmethod
    def _write(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that may write, immediately."""

    @abstractmethod
    def _write_plainly(self, statement: str, values: tuple[Any, ...]) -> bool:
        """Run one statement in a transaction of SQLite's driver; return False, with nothing done, for PostgreSQL."""

    @abstractmethod
    def _read(self, *, alone: bool = False) -> AbstractContextManager[Connection]:
        """Begin a read-only transaction. alone: wait for every writer first, including those of lost connections."""


def insert(dialect: str, table: Table) -> Insert:
    """Return the dialect's INSERT, which supports ON CONFLICT."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


Special = Callable[[Insert], Mapping[str, ColumnElement[Any]]]


@cache
def _upsert_statement(
    dialect: str, table: Table, key: tuple[str, ...], columns: tuple[str, ...], special: Special | None
) -> Insert:
    """Return an upsert statement; building one costs ten times as much as running it, so each is built once."""
    statement = insert(dialect, table)
    changed: dict[str, ColumnElement[Any]] = {name: statement.excluded[name] for name in columns if name not in key}
    if special is not None:
        changed |= special(statement)
    return statement.on_conflict_do_update(index_elements=list(key), set_=changed)


def upsert(
    connection: Connection,
    table: Table,
    key: tuple[str, ...],
    rows: Iterable[Mapping[str, Any]],
    special: Special | None = None,
) -> None:
    """Insert rows, or overwrite those with the same key. special: returns expressions for columns that differ."""
    for portion in portions(rows):
        statement = _upsert_statement(connection.dialect.name, table, key, tuple(portion[0]), special)
        connection.execute(statement, portion)


def portions(rows: Iterable[T]) -> Iterator[list[T]]:
    """Yield the rows as lists of at most PORTION, so that no more of them exist at a time."""
    source = iter(rows)
    while portion := list(islice(source, PORTION)):
        yield portion
