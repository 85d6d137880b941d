"""Opening of a database: engine settings, the lock against a second process, schema migrations, error translation."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, ExceptionContext, NullPool, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from bridge.domain.errors import SchemaTooNewError, StoreCorruptError, StoreError, StoreFullError
from bridge.domain.times import Duration
from bridge.net.private import private_file, private_folder
from bridge.net.redact import redact
from bridge.store.base import PAGE_CACHE
from bridge.store.owning import FileLock, ServerLock

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT = 5.0
# For one transaction each: a pooler in transaction mode refuses startup options, and hands sessions to others.
_LIMITS = (
    "SELECT set_config('lock_timeout', '10000', true), set_config('statement_timeout', '30000', true), "
    "set_config('idle_in_transaction_session_timeout', '%d', true)"
)
_IDLE_LIMIT = 60_000  # ms that a transaction may wait for its client
_NO_SERVER = (
    "postgresql://user:password@host/name, or several hosts: postgresql://user:password@/name?host=a:5432&host=b"
)
READ_ONLY = "25006"  # SQLSTATE of a write to a standby
_BLOCK_FLEET = "LOCK TABLE replicas, leases IN ACCESS EXCLUSIVE MODE"  # in the order of Leases.look
_END_LEASES = "UPDATE leases SET owner = '', fence = fence + 1, expires_at = 0"
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
    parsed = parse_url(url)
    engine = server_engine(parsed)
    name = shown(parsed)
    try:
        with translated(name):
            lock = ServerLock(engine, name)
            migrate(engine, name)
    except BaseException:
        engine.dispose()
        raise
    return engine, lock


def parse_url(url: str) -> URL:
    """Return the URL of a PostgreSQL database. Raises StoreError."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError(f"the database URL is invalid; write {_NO_SERVER}") from None
    if parsed.get_backend_name() != "postgresql":
        raise StoreError(
            f"a database URL must be PostgreSQL, not {parsed.get_backend_name()}; for SQLite use --storage.path"
        )
    several = isinstance(parsed.query.get("host"), tuple) or "," in str(parsed.query.get("host", ""))
    if several and "target_session_attrs" not in parsed.query:
        parsed = parsed.update_query_dict({"target_session_attrs": "read-write"})
    return parsed.set(drivername="postgresql+psycopg")


def shown(url: URL) -> str:
    """Return a URL for messages, as it is written in the file: without the driver and the password."""
    return url.set(drivername="postgresql").render_as_string()


def limits(idle_limit: Duration = _IDLE_LIMIT) -> str:
    """Return the query that limits the waits of a transaction; it must be the first one.

    idle_limit: ms after which the server ends the transaction if its client is silent.
    """
    return _LIMITS % idle_limit


def server_engine(url: URL, idle_limit: Duration | None = _IDLE_LIMIT, *, pooled: bool = True) -> Engine:
    """Return an engine that works through a pooler in transaction mode, and follows the primary of several hosts.

    idle_limit: of a transaction that writes, see `limits`; None = such a transaction sets its limits itself.
    pooled: keep connections.
    """
    pool = {"pool_pre_ping": True, "pool_size": 16, "max_overflow": 16} if pooled else {"poolclass": NullPool}
    keepalives = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    engine = create_engine(url, **pool, connect_args={"connect_timeout": 5, "prepare_threshold": None, **keepalives})
    event.listen(engine, "begin", partial(_begin_server, idle_limit=idle_limit))
    event.listen(engine, "handle_error", _on_read_only)
    return engine


def _begin_server(connection: Connection, idle_limit: Duration | None) -> None:
    reads_only = connection.get_execution_options().get("reads_only", False)
    limit = _IDLE_LIMIT if reads_only else idle_limit
    if limit is not None:
        connection.exec_driver_sql(limits(limit))


def _on_read_only(context: ExceptionContext) -> None:
    """Close every connection of the pool after a fail-over: the server that they reach is no longer the primary."""
    if getattr(context.original_exception, "sqlstate", "") == READ_ONLY:
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = True


def _connect(path: Path) -> sqlite3.Connection:
    """Connect to an existing file; a missing one is an error, not a new database."""
    address = f"file:{quote(str(path))}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT, check_same_thread=False)


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin transactions implicitly and deferred: a read followed by a write would then fail at once.
    connection.isolation_level = None
    # A page cache of 512 KiB for each connection of the pool instead of 2 MB: the system caches the file anyway.
    cache = f"cache_size=-{PAGE_CACHE}"
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY", cache):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    immediate = not connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def revisions() -> list[str]:
    """Return the known revisions of the schema, oldest first; each migration's file name begins with its revision."""
    return sorted(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def generation(revision: str) -> str:
    """Return the part of a revision, all but two digits, that a migration changes if older versions cannot follow it.

    Migrations within a generation only add to the schema: older versions read and write the database as before.
    """
    return revision[:-2]


def migrate(engine: Engine, name: str) -> None:
    """Upgrade the schema in one transaction. Raises SchemaTooNewError for a newer generation than this version's."""
    known = revisions()
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        current = schema_revision(connection)
        if current is None or current in known:
            if current != known[-1]:
                _upgrade(connection, current)
            return
        verify_schema(current, name)
    log.warning(
        "the database has the schema of a newer version, which this version can use",
        extra={"schema": current, "supported": known[-1]},
    )


def verify_schema(revision: str, name: str) -> None:
    """Raise SchemaTooNewError unless this version can use a database with this revision of the schema."""
    latest = revisions()[-1]
    if generation(revision) != generation(latest):
        raise SchemaTooNewError(
            f"{name} has schema {revision}, this version supports up to {latest}; "
            "run the newer version of retrain-bridge"
        )


def schema_revision(connection: Connection) -> str | None:
    """Return the revision of the schema, None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _upgrade(connection: Connection, current: str | None) -> None:
    """Run the migrations that are missing. Alembic is imported only here: it takes a quarter of a start.

    The tables of a fleet are locked first, because the transactions of its replicas begin with them: none then holds a
    table that a migration changes. A new generation also ends the owner's lease: it may be of an older version.
    """
    if connection.dialect.name == "postgresql" and inspect(connection).has_table("leases"):
        connection.execute(text(_BLOCK_FLEET))
        if current is None or generation(current) != generation(revisions()[-1]):
            connection.execute(text(_END_LEASES))
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
    message = redact(" ".join(str(error).split()))  # libpq's messages have several lines
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
