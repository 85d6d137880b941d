"""Makes sure that a database has one process, and stays the one that was opened, for as long as it is written to."""

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
# Shared by every transaction that writes, taken alone by one that loads: it waits for a COMMIT that is still under way.
WRITERS_LOCK = 7_259_218
_HEADER, _TOKEN = 100, slice(60, 64)  # of a SQLite file: its length, and where it keeps user_version
_AGAIN = "stop the bridge, put the database back as it was, and start it"


class Owner(Protocol):
    """A claim on a database."""

    def verify(self, connection: Connection) -> None:
        """Raise StoreError unless the database is still ours; `connection` has begun a transaction that writes."""
        ...

    def alone(self, connection: Connection) -> None:
        """Wait until no transaction writes, those of lost connections included; until `connection` ends its own."""
        ...

    def release(self) -> None:
        """Let another process in."""
        ...


class FileLock:
    """Held for the life of a store: a second process on the same file would settle the same deliveries."""

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
                f"{database} is in use by process {holder}; stop it, or give this one another --storage.path"
            ) from None
        os.truncate(self._file, 0)
        os.write(self._file, str(os.getpid()).encode())

    def watch(self) -> None:
        """Remember the files as they are: from now on they have to stay the same ones."""
        self._watched = _Watched(self._database)

    def verify(self, connection: Connection) -> None:
        """Raise StoreLostError when a file of the database, or the lock, was removed, replaced or emptied."""
        if self._watched is not None:
            self._watched.verify()
        if _identity(self._path) != _identity(self._file):
            raise StoreLostError(
                f"{self._path} was removed or replaced while the bridge ran, and another bridge may use the database; "
                "see that none does, and start this one again"
            )

    def alone(self, connection: Connection) -> None:
        """Nothing to wait for: a transaction of SQLite ends with its connection."""

    def release(self) -> None:
        """Let another process in. The file stays: removing it would let two in."""
        if self._watched is not None:
            self._watched.close()
        os.close(self._file)


class _Watched:
    """The files of an open SQLite database.

    A connection stays open, so that SQLite keeps the log beside the database, and a descriptor: closing one would drop
    the locks that SQLite has on the file.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._file = os.open(database, os.O_RDONLY | os.O_CLOEXEC)
        self._keeper = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        token = secrets.randbits(31)
        before = self._header()[_TOKEN]
        self._keeper.execute(f"PRAGMA user_version = {token}")
        self._keeper.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        # A reader elsewhere may put off what the checkpoint does.
        self._tokens = {before, token.to_bytes(4, "big")}
        self._beside = {path: _identity(path) for path in map(self._named, ("-wal", "-shm"))}

    def _named(self, suffix: str) -> Path:
        return self._database.with_name(self._database.name + suffix)

    def _header(self) -> bytes:
        return os.pread(self._file, _HEADER, 0)

    def verify(self) -> None:
        if (found := _identity(self._database)) != _identity(self._file):
            what = "replaced" if found else "removed or moved away"
            raise StoreLostError(f"{self._database} was {what} while the bridge ran; {_AGAIN}")
        header = self._header()
        if len(header) < _HEADER:
            raise StoreLostError(f"{self._database} was emptied while the bridge ran; {_AGAIN}")
        if header[_TOKEN] not in self._tokens:
            raise StoreLostError(f"{self._database} was overwritten while the bridge ran; {_AGAIN}")
        for path, before in self._beside.items():
            if _identity(path) != before:
                raise StoreLostError(f"{path} was removed or replaced while the bridge ran; {_AGAIN}")

    def close(self) -> None:
        self._keeper.close()
        os.close(self._file)


def _identity(file: Path | int) -> tuple[int, int] | None:
    """Device and inode; None when there is no such file."""
    try:
        found = os.fstat(file) if isinstance(file, int) else file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


_HELD = text(
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = :pid AND objid = :key AND classid = 0 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class ServerLock:
    """An advisory lock of a PostgreSQL database, as long as the connection lasts that holds it."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._mutex = threading.Lock()
        self._connection: Connection | None = None
        self._take()

    def _take(self) -> None:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # closed means closed, not given back to the pool with the lock
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": PROCESS_LOCK}).scalar():
            _close(connection)
            raise StoreBusyError(
                f"{self._name} is in use by another process; stop it, or give this one another database"
            )
        self._pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        self._connection = connection

    def verify(self, connection: Connection) -> None:
        """Raise StoreUncertainError when the lock was lost and taken again, StoreBusyError when another process has it.

        The server is asked, within the transaction: one that began before the lock was lost is waited for by whoever
        takes it next.
        """
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": WRITERS_LOCK})
        pid = self._pid
        if connection.execute(_HELD, {"pid": pid, "key": PROCESS_LOCK}).first() is None:
            self._retake(pid)
            raise StoreUncertainError(
                f"{self._name}: the lock against a second process was lost and is taken again; another one may have "
                "written meanwhile, so everything is loaded anew"
            )

    def _retake(self, lost: object) -> None:
        with self._mutex:
            if self._pid == lost:  # else another thread has done it
                self.release()
                self._take()

    def alone(self, connection: Connection) -> None:
        """Wait for the locks of all that write."""
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITERS_LOCK})

    def release(self) -> None:
        """Let another process in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _close(connection)


def _close(connection: Connection) -> None:
    """Also one that was lost, which SQLAlchemy leaves open."""
    raw = connection.connection.dbapi_connection
    with contextlib.suppress(SQLAlchemyError, OSError):
        connection.close()
    if raw is not None:
        raw.close()
