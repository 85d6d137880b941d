"""Coordinator without its HTTP server: ledger, runner and status reports."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import requests

from bridge.coordinator.callback import Callbacks
from bridge.coordinator.config import CoordinatorConfig
from bridge.coordinator.ledger import Ledger
from bridge.coordinator.metrics import Metrics
from bridge.coordinator.records import ListFilter, Receipt, Record, Submission, SubmissionOutcome
from bridge.coordinator.runner import Runner, RunSettings
from bridge.domain.errors import RequestError, StoreError, UnknownRequestError
from bridge.domain.request import RequestState
from bridge.domain.times import Timestamp
from bridge.net.private import private_file, private_folder
from bridge.net.session import open_session

_log = logging.getLogger(__name__)

LEDGER, LOGS = "ledger.sqlite", "runs"
STOP_GRACE = 1.5  # seconds between SIGTERM and SIGKILL for runs when the coordinator stops
STOP_LIMIT = 2.5  # seconds to wait for all runs together
REPORT_LIMIT = 0.5  # seconds to wait for a report in progress


class Coordinator:
    """Service that accepts requests, runs them and reports on them. Raises StoreError when the ledger is unusable.

    The constructor also raises NetError when a file in `bridge_http_config` is unusable.
    """

    def __init__(self, config: CoordinatorConfig, now: Callable[[], Timestamp]) -> None:
        self.config = config
        self.now = now
        logs = _make_folders(config.storage)
        with ExitStack() as opened:
            session = opened.enter_context(open_session(config.bridge_http_config, config.base_dir))
            self._ledger = Ledger(config.storage / LEDGER, reports=config.bridge_url is not None)
            opened.callback(self._ledger.close)
            self._opened = opened.pop_all()
        self.metrics = Metrics(self._ledger)
        self._callbacks = self._make_callbacks(session)
        settings = RunSettings(
            config.command, logs, config.time_limit, config.kill_grace, config.max_parallel, config.log_limit
        )
        self._runner = Runner(self._ledger, settings, now, self._changed, self.metrics.run_ended)

    def start(self) -> None:
        """Mark the runs of a crash as lost, and start waiting requests."""
        for record in self._ledger.lose_running(self.now(), "the coordinator ended while it was running"):
            _log.warning("run lost", extra={"request_id": record.id, "run": record.reference})
            self.metrics.run_ended(record)
        self.prune()
        if self._callbacks:
            self._callbacks.start()
        self._runner.start()

    def stop(self) -> None:
        """Stop all runs and threads within four seconds, and close the ledger."""
        self._runner.stop(STOP_GRACE, STOP_LIMIT)
        if self._callbacks:
            self._callbacks.stop(REPORT_LIMIT)
        self._opened.close()

    def prune(self) -> None:
        """Delete requests that ended longer ago than `retention`, with their logs."""
        for request_id in self._ledger.prune(self.now() - self.config.retention):
            (self.config.storage / LOGS / f"{request_id}.log").unlink(missing_ok=True)

    # ------------------------------------------------------------ operations of the API

    def submit(self, submission: Submission) -> Receipt:
        """Record a request; it is run when its turn comes."""
        receipt = self._ledger.accept(submission, self.now(), runnable=bool(self.config.command))
        self.metrics.received.labels(submission.origin, receipt.outcome).inc()
        facts = {"request_id": submission.id, "origin": submission.origin, "run": receipt.record.reference}
        if receipt.outcome is SubmissionOutcome.NEW:
            _log.info("request accepted", extra={**facts, "model": f"{receipt.record.owner}/{submission.version}"})
            self._runner.wake()
            self._changed()
        elif receipt.outcome is SubmissionOutcome.CONFLICT or receipt.differs:
            differs = receipt.differs or ("project, pipeline or version",)
            _log.warning(
                "a known request was received again with different content", extra={**facts, "differs": differs}
            )
        return receipt

    def cancel(self, request_id: str) -> Record:
        """Cancel a waiting request, or stop its run. Raises UnknownRequestError, or RequestError if it has ended."""
        waiting = self._ledger.cancel_waiting(request_id, self.now(), "cancelled before it started")
        if waiting:
            self._changed()
            return waiting
        running = self._runner.cancel(request_id)
        record = self._ledger.get(request_id)
        if record is None:
            raise UnknownRequestError(f"there is no request {request_id}")
        if not running and record.state is not RequestState.CANCELLED:
            raise RequestError(
                f"request {request_id} is {record.state}; only a waiting or running request can be cancelled"
            )
        return record

    def get(self, request_id: str) -> Record | None:
        """Return a request; None if it is unknown."""
        return self._ledger.get(request_id)

    def page(self, which: ListFilter) -> tuple[list[Record], int]:
        """Return one page, newest first, and the number of all matching requests."""
        return self._ledger.page(which)

    def check_ready(self) -> None:
        """Raise StoreError unless requests can be recorded and started."""
        self._ledger.check()
        if not self._runner.alive:
            raise StoreError("the thread that starts runs has died")

    def _changed(self) -> None:
        if self._callbacks:
            self._callbacks.wake()

    def _make_callbacks(self, session: requests.Session) -> Callbacks | None:
        config = self.config
        if config.bridge_url is None:
            return None
        count: Callable[[str], None] = lambda result: self.metrics.reports.labels(result).inc()  # noqa: E731 - a hook
        return Callbacks(self._ledger, config.bridge_url, session, config.secrets, self.now, count)


def _make_folders(storage: Path) -> Path:
    """Create the directories of the ledger and of the logs, private to the owner; return that of the logs."""
    logs = storage / LOGS
    try:
        private_folder(storage)
        private_folder(logs)
        for log in logs.glob("*.log"):
            private_file(log)
    except (FileExistsError, NotADirectoryError):
        raise StoreError(f"{storage} is not a directory; correct the key storage, or --storage.path") from None
    except OSError as error:
        raise StoreError(f"{error.filename}: {error.strerror}") from None
    return logs
