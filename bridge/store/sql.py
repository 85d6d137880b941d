"""Durable store: SQLite or PostgreSQL through SQLAlchemy Core. One transaction per call; errors are StoreErrors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from bridge.domain.errors import StoreError, StoreUncertainError
from bridge.domain.times import Duration
from bridge.store.config_log import SqlConfigLog
from bridge.store.history import SqlHistory
from bridge.store.leases import Fence
from bridge.store.opening import limits, open_sqlite, open_url, parse_url, server_engine, translated
from bridge.store.outbox import SqlOutbox
from bridge.store.owning import FileLock, Owner
from bridge.store.runs import SqlRuns
from bridge.store.ticks import SqlTicks

T = TypeVar("T")


class SqlStore(SqlTicks, SqlOutbox, SqlHistory, SqlRuns, SqlConfigLog):
    """Complete store on one database. Safe to use from several threads."""

    def __init__(self, engine: Engine, owner: Owner) -> None:
        self._engine = engine
        self._owner: Owner | None = owner
        self._breakers = {}
        self._doubts = 0

    @classmethod
    def open_sqlite(cls, path: Path) -> SqlStore:
        """Open a SQLite file, creating it if missing. Raises StoreError and its subclasses."""
        return cls(*open_sqlite(path))

    @classmethod
    def open_url(cls, url: str) -> SqlStore:
        """Open a PostgreSQL database by URL. Raises StoreError and its subclasses."""
        return cls(*open_url(url))

    @classmethod
    def open_fleet(cls, url: str, fence: Fence, idle_limit: Duration) -> SqlStore:
        """Open the PostgreSQL database of a fleet as its owner. idle_limit: see opening.limits."""
        fence.limits = limits(idle_limit)  # with the renewal, so that a tick has one round trip less
        return cls(server_engine(parse_url(url), None), fence)

    @contextlib.contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._settled(self._engine.begin) as connection:
            number = self._verify(connection)
            yield connection
        if self._owner is not None:
            self._owner.committed(number)

    def _write_plainly(self, statement: str, values: tuple[Any, ...]) -> bool:
        """Run one statement in a transaction of SQLite's driver, several times faster; return False for PostgreSQL."""
        if not isinstance(self._owner, FileLock):
            return False
        with self._settled(self._plain) as connection:
            self._owner.verify()
            connection.execute(statement, values)
        return True

    @contextlib.contextmanager
    def _plain(self) -> Iterator[Any]:
        """Begin a transaction of SQLite's driver that writes."""
        pooled = self._engine.raw_connection()
        try:
            connection: Any = pooled.driver_connection
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            pooled.close()  # rolls back what was not committed

    @contextlib.contextmanager
    def _settled(self, begin: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
        """Run a transaction. Raises StoreUncertainError when its commit failed: it may have succeeded."""
        committing = False
        try:
            with translated(), begin() as connection:
                yield connection
                committing = True
        except StoreUncertainError:
            self._doubt()
            raise
        except StoreError as error:
            if not committing:
                raise
            self._doubt()
            raise StoreUncertainError(f"{error}; the commit may or may not have succeeded: loading again") from error

    def _verify(self, connection: Connection) -> int:
        return 0 if self._owner is None else self._owner.verify(connection)

    def _doubt(self) -> None:
        self._doubts += 1
        self._breakers.clear()

    @property
    def doubts(self) -> int:
        """Number of commits so far whose outcome is unknown; see ports.TickStore."""
        return self._doubts

    def check(self) -> None:
        """Raise StoreError unless the database can be written to."""
        with self._write():
            pass

    @contextlib.contextmanager
    def _read(self, *, alone: bool = False) -> Iterator[Connection]:
        with translated(), self._engine.connect() as connection:
            reading = connection.execution_options(reads_only=True)
            with reading.begin():
                if alone and self._owner is not None:
                    self._owner.alone(reading)
                yield reading

    @property
    def closed(self) -> bool:
        """Return whether the store was closed."""
        return self._owner is None

    def close(self) -> None:
        """Close the database, and allow another process to use it."""
        self._engine.dispose()
        if self._owner is not None:
            self._owner.release()
            self._owner = None
