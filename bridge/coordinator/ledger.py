"""Ledger of the coordinator: one SQLite file with one table.

It uses the `sqlite3` module rather than an SQL toolkit: there is one table, one engine and one dialect, and every
statement that guarantees "once" can be read here. Each change is one BEGIN IMMEDIATE transaction with synchronous=FULL:
a request answered with 202 survives a power cut.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from bridge.coordinator.records import ListFilter, Origin, Receipt, Record, Submission, SubmissionOutcome
from bridge.domain.errors import SchemaTooNewError, StoreBusyError, StoreCorruptError, StoreError, StoreFullError
from bridge.domain.model import PipelineKey
from bridge.domain.request import RequestState
from bridge.domain.times import Timestamp
from bridge.net.private import private_file

SCHEMA = 1
RECORDED = "recorded only: no command is configured"
_TABLE = """
CREATE TABLE requests (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    version TEXT NOT NULL,
    reason TEXT NOT NULL,
    body TEXT NOT NULL,
    origin TEXT NOT NULL,
    state TEXT NOT NULL,
    message TEXT NOT NULL DEFAULT '',
    new_version TEXT NOT NULL DEFAULT '',
    received_at INTEGER NOT NULL,
    started_at INTEGER NOT NULL DEFAULT 0,
    ended_at INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL,
    repeats INTEGER NOT NULL DEFAULT 0,
    changes INTEGER NOT NULL DEFAULT 1,
    runnable INTEGER NOT NULL,
    report_at INTEGER,
    report_attempts INTEGER NOT NULL DEFAULT 0,
    report_since INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX requests_by_state ON requests (state, number);
CREATE INDEX requests_to_report ON requests (report_at) WHERE report_at IS NOT NULL;
"""
_COLUMNS = (
    "number, id, project, pipeline, version, reason, body, origin, state, message, new_version, "
    "received_at, started_at, ended_at, updated_at, repeats, changes, report_attempts, report_since"
)


class Ledger:
    """Accepted requests and their states. Thread-safe. Methods raise StoreError.

    reports: whether state changes are reported to a bridge.
    """

    def __init__(self, path: Path, *, reports: bool) -> None:
        self._reports = reports
        self._lock = threading.RLock()
        self._lock_file = _lock_exclusively(path)
        try:
            self._db = _open(path)
        except BaseException:
            self._lock_file.close()
            raise

    def close(self) -> None:
        """Close the database and release the lock file."""
        with self._lock:
            self._db.close()
            self._lock_file.close()

    # ------------------------------------------------------------ arrivals

    def accept(self, submission: Submission, now: Timestamp, *, runnable: bool) -> Receipt:
        """Record a request once: for equal ids from any number of threads, exactly one receipt has the outcome NEW.

        runnable: a run will be started. Until then, the body of an alert is replaced by the API's more complete one.
        """
        with self._transaction():
            known = self._find(submission.id)
            if known is None:
                return Receipt(SubmissionOutcome.NEW, self._insert(submission, now, runnable=runnable))
            if (known.project, known.pipeline, known.version) != _identity(submission):
                return Receipt(SubmissionOutcome.CONFLICT, known)
            self._db.execute("UPDATE requests SET repeats = repeats + 1 WHERE id = ?", (known.id,))
            if submission.origin is known.origin:
                return Receipt(
                    SubmissionOutcome.KNOWN, self._present(known.id), _differences(known.body, submission.body)
                )
            if submission.origin is Origin.API and known.state is RequestState.ACCEPTED:
                self._complete(submission)
            return Receipt(SubmissionOutcome.KNOWN, self._present(known.id))

    def _insert(self, new: Submission, now: Timestamp, *, runnable: bool) -> Record:
        self._db.execute(
            "INSERT INTO requests (id, project, pipeline, version, reason, body, origin, state, message, received_at, "
            "updated_at, runnable, report_at, report_since) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (new.id, *_identity(new), new.reason, new.body, new.origin, RequestState.ACCEPTED,
             "" if runnable else RECORDED, now, now, runnable, now if self._reports else None, now),
        )  # fmt: skip
        return self._present(new.id)

    def _complete(self, submission: Submission) -> None:
        self._db.execute(
            "UPDATE requests SET body = ?, reason = ? WHERE id = ?",
            (submission.body, submission.reason, submission.id),
        )

    # ------------------------------------------------------------ runs

    def start_next(self, busy: Collection[PipelineKey], now: Timestamp) -> Record | None:
        """Mark the oldest request whose pipeline is not busy as running, before it is started, and return it.

        A crash in between makes the request `lost`; starting it first could run it twice.
        """
        with self._transaction():
            waiting = self._db.execute(
                f"SELECT {_COLUMNS} FROM requests WHERE state = ? AND runnable ORDER BY number",  # noqa: S608 - constants
                (RequestState.ACCEPTED,),
            )
            chosen = next((record for record in map(_record, waiting) if record.owner not in busy), None)
            return self._move(chosen, RequestState.RUNNING, now) if chosen else None

    def move(
        self, request_id: str, new: RequestState, now: Timestamp, *, message: str = "", new_version: str = ""
    ) -> Record | None:
        """Change a request's state; None if it is unknown or must not become `new`: terminal states are final."""
        with self._transaction():
            record = self._find(request_id)
            if record is None or not record.state.may_become(new):
                return None
            return self._move(record, new, now, message, new_version)

    def cancel_waiting(self, request_id: str, now: Timestamp, message: str) -> Record | None:
        """Cancel a request that has not started; None if it is unknown, running or ended."""
        with self._transaction():
            record = self._find(request_id)
            if record is None or record.state is not RequestState.ACCEPTED:
                return None
            return self._move(record, RequestState.CANCELLED, now, message)

    def lose_running(self, now: Timestamp, message: str) -> list[Record]:
        """Mark requests that were running when the coordinator ended as lost; they are never run again."""
        with self._transaction():
            running = self._db.execute(
                f"SELECT {_COLUMNS} FROM requests WHERE state = ?",  # noqa: S608 - constants
                (RequestState.RUNNING,),
            ).fetchall()
            return [self._move(_record(row), RequestState.LOST, now, message) for row in running]

    def _move(
        self, record: Record, new: RequestState, now: Timestamp, message: str = "", new_version: str = ""
    ) -> Record:
        started = now if new is RequestState.RUNNING else record.started_at
        ended = now if new.terminal else 0
        self._db.execute(
            "UPDATE requests SET state = ?, message = ?, new_version = ?, started_at = ?, ended_at = ?, "
            "updated_at = ?, changes = changes + 1, report_at = ?, report_attempts = 0, report_since = ? WHERE id = ?",
            (new, message, new_version, started, ended, now, now if self._reports else None, now, record.id),
        )
        return self._present(record.id)

    # ------------------------------------------------------------ reports to the bridge

    def due_report(self, now: Timestamp) -> Record | None:
        """Return the request whose report has been due longest. A newer change replaces an unsent older one."""
        return self._one("report_at <= ? ORDER BY report_at LIMIT 1", now)

    def next_report_at(self) -> Timestamp | None:
        """Return when the next report is due; None without any."""
        with self._guard():
            return self._scalar("SELECT min(report_at) FROM requests WHERE report_at IS NOT NULL")

    def settle_report(self, record: Record, next_at: Timestamp | None) -> None:
        """Record an attempt. next_at: when to retry, None = done. No effect if the state has changed since."""
        with self._transaction():
            self._db.execute(
                "UPDATE requests SET report_at = ?, report_attempts = report_attempts + 1 WHERE id = ? AND changes = ?",
                (next_at, record.id, record.changes),
            )

    def pending_reports(self) -> int:
        """Return the number of reports not yet delivered."""
        with self._guard():
            return self._scalar("SELECT count(*) FROM requests WHERE report_at IS NOT NULL") or 0

    # ------------------------------------------------------------ queries

    def get(self, request_id: str) -> Record | None:
        """Return a request; None if it is unknown."""
        return self._one("id = ?", request_id)

    def page(self, which: ListFilter) -> tuple[list[Record], int]:
        """Return one page, newest first, and the number of all matching requests."""
        wanted = {"state": which.state, "project": which.project, "pipeline": which.pipeline}
        terms = {name: value for name, value in wanted.items() if value}
        conditions = [f"{name} = ?" for name in terms]
        if which.ids:
            conditions.append(f"id IN ({', '.join('?' * len(which.ids))})")
        where, given = " AND ".join(conditions) or "1", (*terms.values(), *which.ids)
        with self._guard():
            total = self._scalar(f"SELECT count(*) FROM requests WHERE {where}", *given)  # noqa: S608
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM requests WHERE {where} ORDER BY number DESC LIMIT ? OFFSET ?",  # noqa: S608
                (*given, which.limit, which.offset),
            ).fetchall()
        return [_record(row) for row in rows], total or 0

    def counts(self) -> Mapping[str, int]:
        """Return the number of requests by state."""
        with self._guard():
            return dict(self._db.execute("SELECT state, count(*) FROM requests GROUP BY state").fetchall())

    def check(self) -> None:
        """Raise StoreError unless the file can be written to."""
        with self._transaction():
            self._scalar("SELECT count(*) FROM requests WHERE number = 0")

    def prune(self, before: Timestamp) -> list[str]:
        """Delete reported requests that ended before an instant; return their ids, which would be new if sent again."""
        with self._transaction():
            gone = self._db.execute(
                "DELETE FROM requests WHERE ended_at BETWEEN 1 AND ? AND report_at IS NULL RETURNING id", (before - 1,)
            ).fetchall()
        return [row[0] for row in gone]

    # ------------------------------------------------------------ internals

    def _one(self, condition: str, *values: Any) -> Record | None:
        with self._guard():
            row = self._db.execute(f"SELECT {_COLUMNS} FROM requests WHERE {condition}", values).fetchone()  # noqa: S608
        return _record(row) if row else None

    def _find(self, request_id: str) -> Record | None:
        return self._one("id = ?", request_id)

    def _present(self, request_id: str) -> Record:
        record = self._find(request_id)
        if record is None:
            raise StoreCorruptError(f"request {request_id} was written but cannot be read")
        return record

    def _scalar(self, statement: str, *values: Any) -> int | None:
        value: int | None = self._db.execute(statement, values).fetchone()[0]
        return value

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Hold the lock, and translate SQLite's errors."""
        with self._lock, _translated():
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._guard():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _identity(submission: Submission) -> tuple[str, str, str]:
    return submission.project, submission.pipeline, submission.version


def _differences(first: str, second: str) -> tuple[str, ...]:
    if first == second:
        return ()
    old, new = json.loads(first), json.loads(second)
    return tuple(sorted(name for name in {*old, *new} if old.get(name) != new.get(name)))


def _record(row: tuple[Any, ...]) -> Record:
    number, id_, project, pipeline, version, reason, body, origin, state, *rest = row
    return Record(number, id_, project, pipeline, version, reason, body, Origin(origin), RequestState(state), *rest)


def _lock_exclusively(path: Path) -> BinaryIO:
    """Lock the ledger for the process's lifetime: two coordinators would mark each other's runs as lost."""
    lock_path = path.with_name(path.name + ".lock")
    private_file(lock_path)
    lock_file = lock_path.open("wb")
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock_file.close()
        raise StoreBusyError(f"another coordinator uses {path}; give each its own --storage.path") from None
    return lock_file


def _open(path: Path) -> sqlite3.Connection:
    private_file(path)
    for file in path.parent.glob(f"{path.name}-*"):  # left by a crash; SQLite gives new ones the ledger's mode
        private_file(file)
    with _translated(path):
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            _prepare(db, path)
        except BaseException:
            db.close()
            raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA:
        raise SchemaTooNewError(f"{path} was written by a newer version (schema {version}, this one reads {SCHEMA})")
    if version == 0:
        db.executescript(f"BEGIN IMMEDIATE; {_TABLE} PRAGMA user_version = {SCHEMA}; COMMIT;")
    damage = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if damage != "ok":
        raise StoreCorruptError(f"{path} is damaged: {damage}")


@contextmanager
def _translated(path: Path | None = None) -> Iterator[None]:
    subject = f"{path}: " if path else "the ledger: "
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_FULL"):
            raise StoreFullError(f"{subject}the disk is full") from error
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise StoreCorruptError(f"{subject}not a ledger, or damaged: {error}") from error
        raise StoreError(f"{subject}{error}") from error
