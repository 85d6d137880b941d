"""Base of the parts of the SQL store: transactions, and upserts in the two dialects."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")
PAGE_CACHE, LARGE_PAGE_CACHE = 512, 8_192  # KiB, of SQLite
MANY_ROWS = 1_000  # of a transaction that gets the large one
PORTION = 250  # rows of one statement: its parameters are kept in memory several times, and best in the caches
Insert = sqlite.Insert | postgresql.Insert


class SqlTransactions(ABC):
    """Transactions that every part of the SQL store uses; SqlStore implements them."""

    @abstractmethod
    def _write(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that may write, immediately."""

    @abstractmethod
    def _write_plainly(self, statement: str, values: tuple[Any, ...]) -> bool:
        """Run one statement in a transaction of SQLite's driver; return False, with nothing done, for PostgreSQL."""

    @abstractmethod
    def _read(self, *, alone: bool = False) -> AbstractContextManager[Connection]:
        """Begin a read-only transaction. alone: wait for every writer first, including those of lost connections."""


Special = Callable[[Insert], Mapping[str, ColumnElement[Any]]]


@lru_cache(maxsize=64)
def columns(table: Table) -> tuple[str, ...]:
    """Return the names of the columns that a row to insert consists of, in order: all but a serial number."""
    return tuple(column.name for column in table.columns if column.autoincrement is not True)


@lru_cache(maxsize=256)
def _compiled(dialect: Dialect, table: Table, key: tuple[str, ...], special: Special | None) -> str:
    """Return an upsert as text, with its parameters by position.

    key: none = insert, and skip rows that exist.
    """
    positional: Dialect = dialect
    statement: Insert = sqlite.insert(table)
    if dialect.name == "postgresql":
        positional, statement = type(dialect)(paramstyle="format"), postgresql.insert(table)  # type: ignore[call-arg]
    if key:
        changed: dict[str, ColumnElement[Any]] = {
            name: statement.excluded[name] for name in columns(table) if name not in key
        }
        if special is not None:
            changed |= special(statement)
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=changed)
    else:
        statement = statement.on_conflict_do_nothing()
    return str(statement.compile(dialect=positional, column_keys=list(columns(table)), for_executemany=True))


def upsert(
    connection: Connection,
    table: Table,
    key: tuple[str, ...],
    rows: Iterable[tuple[Any, ...]],
    special: Special | None = None,
) -> None:
    """Insert rows, or overwrite those with the same key.

    The driver gets them as they are: SQLAlchemy would take half of the time of a large commit for its parameters.

    rows: values of `columns(table)`. key: none = rows that exist are kept. special: returns
    expressions for columns that differ; without parameters.
    """
    for portion in portions(rows):
        connection.exec_driver_sql(_compiled(connection.dialect, table, key, special), portion)


@contextlib.contextmanager
def page_cache_for(connection: Connection, rows: int) -> Iterator[None]:
    """Give a transaction of SQLite that writes many rows with random ids a page cache that holds their index entries.

    Otherwise SQLite writes the same pages to the log and reads them again many times.
    """
    large = rows > MANY_ROWS and connection.dialect.name == "sqlite"
    if large:
        connection.exec_driver_sql(f"PRAGMA cache_size=-{LARGE_PAGE_CACHE}")
    try:
        yield
    finally:
        if large:
            connection.exec_driver_sql(f"PRAGMA cache_size=-{PAGE_CACHE}")


def portions(rows: Iterable[T]) -> Iterator[list[T]]:
    """Yield the rows as lists of at most PORTION, so that no more of them exist at a time."""
    source = iter(rows)
    while portion := list(islice(source, PORTION)):
        yield portion
