"""Opening of a database: engine settings, the lock against a second process, schema migrations, error translation."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from bridge.domain.errors import SchemaTooNewError, StoreCorruptError, StoreError, StoreFullError
from bridge.net.private import private_file, private_folder
from bridge.net.redact import redact
from bridge.store.owning import FileLock, ServerLock

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT = 5.0
# The server closes a connection whose client is gone after a minute, and thereby releases the lock.
_SETTINGS = (
    "-c lock_timeout=10000 -c statement_timeout=30000 "
    "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
)
MIGRATION_LOCK = 7_259_217  # an arbitrary key; two processes that start together migrate one after the other


def open_sqlite(path: Path) -> tuple[Engine, FileLock]:
    """Return the engine for a SQLite file, created or migrated to the current schema, and its lock.

    Raises StoreError.
    """
    try:
        private_folder(path.parent)
        lock = FileLock(path)
        for file in (
            path,
            *path.parent.glob(f"{path.name}-*"),
        ):  # a WAL left by a crash; SQLite gives a new one this mode
            private_file(file)
    except (FileExistsError, NotADirectoryError):
        raise StoreError(f"cannot open {path}: {path.parent} is not a directory; correct --storage.path") from None
    except OSError as error:
        raise StoreError(f"cannot open {path}: {error.strerror}") from None
    engine = create_engine(f"sqlite:///{path}", creator=lambda: _connect(path), pool_size=16, max_overflow=16)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    try:
        with translated(str(path)):
            migrate(engine, str(path))
            lock.watch()
    except BaseException:
        engine.dispose()
        lock.release()
        raise
    return engine, lock


def open_url(url: str) -> tuple[Engine, ServerLock]:
    """Return the engine for a PostgreSQL URL, migrated to the current schema, and its lock. Raises StoreError."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("the database URL is invalid; write postgresql://user:password@host/name") from None
    if parsed.get_backend_name() != "postgresql":
        raise StoreError(
            f"a database URL must be PostgreSQL, not {parsed.get_backend_name()}; for SQLite use --storage.path"
        )
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True, pool_size=16, max_overflow=16,
        connect_args={"connect_timeout": 5, "options": _SETTINGS},
    )  # fmt: skip
    try:
        with translated(parsed.render_as_string()):
            lock = ServerLock(engine, parsed.render_as_string())
            migrate(engine, parsed.render_as_string())
    except BaseException:
        engine.dispose()
        raise
    return engine, lock


def _connect(path: Path) -> sqlite3.Connection:
    """Connect to an existing file; a missing one is an error, not a new database."""
    address = f"file:{quote(str(path))}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT, check_same_thread=False)


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin transactions implicitly and deferred: a read followed by a write would then fail at once.
    connection.isolation_level = None
    # A page cache of 512 KiB for each connection of the pool instead of 2 MB: the system caches the file anyway.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY", "cache_size=-512"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    immediate = not connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def revisions() -> list[str]:
    """Return the known revisions of the schema, oldest first; each migration's file name begins with its revision."""
    return sorted(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def migrate(engine: Engine, name: str) -> None:
    """Upgrade the schema in one transaction. Raises SchemaTooNewError when the database is newer than this version."""
    known = revisions()
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        current = _revision(connection)
        if current is not None and current not in known:
            raise SchemaTooNewError(
                f"{name} has schema {current}, this version supports up to {known[-1]}; "
                "run the newer version of retrain-bridge"
            )
        if current != known[-1]:
            _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    """Return the revision of the schema, None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _upgrade(connection: Connection) -> None:
    """Run the migrations that are missing. Alembic is imported only here: it takes a quarter of a start."""
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextlib.contextmanager
def translated(name: str = "the database") -> Iterator[None]:
    """Translate the drivers' exceptions to StoreError: full, corrupt, or otherwise unusable."""
    try:
        yield
    except DBAPIError as error:
        raise _translate(error.orig, name) from error
    except sqlite3.Error as error:
        raise _translate(error, name) from error
    except SQLAlchemyError as error:
        raise StoreError(f"{name}: {redact(str(error))}") from error


def _translate(error: BaseException | None, name: str) -> StoreError:
    message = redact(str(error).strip())
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or "No space left" in message or getattr(error, "sqlstate", "") == "53100":
        return StoreFullError(f"{name}: no space left to write; committed data is safe, free some space")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return StoreCorruptError(
            f"{name} is damaged or not a database of retrain-bridge ({message}); restore a backup, or move it away"
        )
    if code == sqlite3.SQLITE_IOERR:
        return StoreFullError(f"{name}: cannot write ({message}); committed data is safe")
    return StoreError(f"{name}: {message}")
