"""The durable store: SQLite or PostgreSQL through SQLAlchemy Core. One transaction a call; every error a StoreError."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine

from bridge.store.history import HistorySide
from bridge.store.opening import FileLock, ServerLock, open_sqlite, open_url, translated
from bridge.store.outbox import OutboxSide
from bridge.store.ticks import TickSide


class SqlStore(TickSide, OutboxSide, HistorySide):
    """All sides of the store on one database. Safe to use from several threads."""

    def __init__(self, engine: Engine, lock: FileLock | ServerLock | None = None) -> None:
        self._engine = engine
        self._lock = lock
        self._breakers = {}

    @classmethod
    def open_sqlite(cls, path: Path) -> SqlStore:
        """Open a file, made when it is missing. StoreBusy, StoreCorrupt, SchemaTooNew, StoreFull, StoreError."""
        return cls(*open_sqlite(path))

    @classmethod
    def open_url(cls, url: str) -> SqlStore:
        """Open a PostgreSQL database by URL. StoreBusy, SchemaTooNew, StoreError."""
        return cls(*open_url(url))

    @contextlib.contextmanager
    def _write(self) -> Iterator[Connection]:
        with translated(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        with translated(), self._engine.connect() as connection:
            reading = connection.execution_options(reads_only=True)
            with reading.begin():
                yield reading

    def close(self) -> None:
        """Let go of the database, and let another process in."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()
            self._lock = None
