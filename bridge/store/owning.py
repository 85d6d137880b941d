"""Ownership of a database: one process uses it, and its files stay the ones that were opened."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
import threading
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bridge.domain.errors import StoreBusyError, StoreLostError, StoreUncertainError
from bridge.net.private import private_file

PROCESS_LOCK = 7_259_216
# Shared by every transaction that writes, exclusive for one that loads: it waits for a COMMIT in progress.
WRITERS_LOCK = 7_259_218
_HEADER, _TOKEN = 100, slice(60, 64)  # of a SQLite file: length of the header, and the bytes of user_version
_AGAIN = "stop the bridge, restore the database, and start the bridge again"


class Owner(Protocol):
    """Exclusive ownership of a database."""

    def verify(self, connection: Connection) -> int:
        """Return a number for `committed`; raise StoreError unless this process still owns the database.

        connection: in a transaction that writes.
        """
        ...

    def committed(self, number: int) -> None:
        """Record that the transaction with this number was committed."""
        ...

    def alone(self, connection: Connection) -> None:
        """Block writers until `connection` ends its transaction; first wait for theirs, lost connections included."""
        ...

    def release(self) -> None:
        """Allow another process to use the database."""
        ...


class FileLock:
    """Lock file of a SQLite database, held while the store is open: two processes would settle the same deliveries."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(database.name + ".lock")
        private_file(self._path)
        self._file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        self._watched: _Watched | None = None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._file, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise StoreBusyError(
                f"{database} is in use by process {holder}; stop it, or use another --storage.path"
            ) from None
        os.truncate(self._file, 0)
        os.write(self._file, str(os.getpid()).encode())

    def watch(self) -> None:
        """Record the identity of the database's files, to be verified from now on."""
        self._watched = _Watched(self._database)

    def verify(self, connection: Connection | None = None) -> int:
        """Raise StoreLostError when a file of the database, or the lock, was removed, replaced or emptied."""
        if self._watched is not None:
            self._watched.verify()
        if _identity(self._path) != _identity(self._file):
            raise StoreLostError(
                f"{self._path} was removed or replaced while the bridge was running, and another bridge may be using "
                "the database; make sure that none is, and start this one again"
            )
        return 0

    def committed(self, number: int) -> None:
        """Do nothing: a file loses no commits."""

    def alone(self, connection: Connection) -> None:
        """Do nothing: a transaction of SQLite ends with its connection."""

    def release(self) -> None:
        """Allow another process to use the database. The lock file stays: removing it would allow two."""
        if self._watched is not None:
            self._watched.close()
        os.close(self._file)


class _Watched:
    """Files of an open SQLite database.

    A connection stays open, so that SQLite keeps the WAL, and so does a descriptor: closing one would release the locks
    that SQLite holds on the file.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._file = os.open(database, os.O_RDONLY | os.O_CLOEXEC)
        self._keeper = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        token = secrets.randbits(31)
        before = self._header()[_TOKEN]
        self._keeper.execute(f"PRAGMA user_version = {token}")
        self._keeper.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        # A concurrent reader may delay the checkpoint.
        self._tokens = {before, token.to_bytes(4, "big")}
        self._beside = {path: _identity(path) for path in map(self._named, ("-wal", "-shm"))}

    def _named(self, suffix: str) -> Path:
        return self._database.with_name(self._database.name + suffix)

    def _header(self) -> bytes:
        return os.pread(self._file, _HEADER, 0)

    def verify(self) -> None:
        """Raise StoreLostError unless every file is the one that was opened."""
        if (present := _identity(self._database)) != _identity(self._file):
            change = "replaced" if present else "removed or moved away"
            raise StoreLostError(f"{self._database} was {change} while the bridge was running; {_AGAIN}")
        header = self._header()
        if len(header) < _HEADER:
            raise StoreLostError(f"{self._database} was emptied while the bridge was running; {_AGAIN}")
        if header[_TOKEN] not in self._tokens:
            raise StoreLostError(f"{self._database} was overwritten while the bridge was running; {_AGAIN}")
        for path, before in self._beside.items():
            if _identity(path) != before:
                raise StoreLostError(f"{path} was removed or replaced while the bridge was running; {_AGAIN}")

    def close(self) -> None:
        """Close the connection and the descriptor."""
        self._keeper.close()
        os.close(self._file)


def _identity(file: Path | int) -> tuple[int, int] | None:
    """Return device and inode; None when there is no such file."""
    try:
        status = os.fstat(file) if isinstance(file, int) else file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


_HELD = text(
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = :pid AND objid = :key AND classid = 0 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


# The server closes a connection whose client is gone after a minute, and thereby releases the lock.
_KEEPALIVES = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}


class ServerLock:
    """Advisory lock of a PostgreSQL database, held as long as its connection lasts."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._mutex = threading.Lock()
        self._connection: Connection | None = None
        self._take()

    def _take(self) -> None:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # close() must close it, not return it to the pool with the lock
        with contextlib.ExitStack() as undo:
            undo.callback(_close, connection)
            for name, seconds in _KEEPALIVES.items():
                connection.exec_driver_sql(f"SET {name} = {seconds}")
            if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": PROCESS_LOCK}).scalar():
                raise StoreBusyError(f"{self._name} is in use by another process; stop it, or use another database")
            self._pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
            undo.pop_all()
        self._connection = connection

    def verify(self, connection: Connection) -> int:
        """Raise StoreUncertainError when the lock was lost and reacquired, StoreBusyError when another process has it.

        The server is queried within the transaction: the next holder waits for a transaction that began before the lock
        was lost.
        """
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": WRITERS_LOCK})
        pid = self._pid
        if connection.execute(_HELD, {"pid": pid, "key": PROCESS_LOCK}).first() is None:
            self._retake(pid)
            raise StoreUncertainError(
                f"{self._name}: the lock against a second process was lost and reacquired; another process may have "
                "written in between, so the state is loaded again"
            )
        return 0

    def committed(self, number: int) -> None:
        """Do nothing: a server that lost commits has lost the lock, too."""

    def _retake(self, lost: object) -> None:
        with self._mutex:
            if self._pid == lost:  # otherwise another thread has done it
                self.release()
                self._take()

    def alone(self, connection: Connection) -> None:
        """Wait for every transaction that writes, and block new ones."""
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITERS_LOCK})

    def release(self) -> None:
        """Allow another process to use the database."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _close(connection)


def _close(connection: Connection) -> None:
    """Close a connection, even a lost one, which SQLAlchemy leaves open."""
    raw = connection.connection.dbapi_connection
    with contextlib.suppress(SQLAlchemyError, OSError):
        connection.close()
    if raw is not None:
        raw.close()
