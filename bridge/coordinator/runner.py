"""Runner of the ledger's requests: in order of arrival, one at a time per pipeline, a limited number in total."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bridge.coordinator.ledger import Ledger
from bridge.coordinator.output import RunLog, last_lines, new_version
from bridge.coordinator.process import TIME_LIMIT, Ended, Process
from bridge.coordinator.records import Record
from bridge.domain.errors import StoreError
from bridge.domain.request import RequestState
from bridge.domain.times import Duration, Timestamp, format_duration

_log = logging.getLogger(__name__)

CANCELLED, SHUTDOWN = "cancelled", "shutdown"
_RETRY_SECONDS = 5.0  # after the ledger could not be used


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Settings of runs. Durations in ms. log_limit: bytes. command: if empty, nothing is run."""

    command: Sequence[str]
    logs: Path
    time_limit: Duration
    kill_grace: Duration
    max_parallel: int
    log_limit: int


class Runner:
    """Dispatcher thread, plus one thread per run.

    changed: called after each change of state. finished: called with the record after each run.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: RunSettings,
        now: Callable[[], Timestamp],
        changed: Callable[[], None],
        finished: Callable[[Record], None],
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._now = now
        self._changed = changed
        self._finished = finished
        self._wake = threading.Condition()
        self._work = False
        self._stopping = False
        self._runs: dict[str, tuple[Record, Process, threading.Thread]] = {}
        self._thread = threading.Thread(target=self._dispatch, name="dispatch", daemon=True)

    @property
    def alive(self) -> bool:
        """True while requests can be started."""
        return not self._settings.command or self._thread.is_alive()

    def start(self) -> None:
        """Start the dispatcher, if a command is configured."""
        if self._settings.command:
            self.wake()
            self._thread.start()

    def wake(self) -> None:
        """Notify the dispatcher that a request may be ready to start."""
        with self._wake:
            self._work = True
            self._wake.notify_all()

    def cancel(self, request_id: str) -> bool:
        """Stop a run; its state changes once its processes are gone. False if the request is not running."""
        with self._wake:
            run = self._runs.get(request_id)
        if run is None:
            return False
        run[1].stop(CANCELLED, self._settings.kill_grace / 1000)
        return True

    def stop(self, grace: float, limit: float) -> None:
        """Start no more runs and stop all: SIGTERM, SIGKILL after `grace` seconds; wait `limit` seconds in total."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
            runs = list(self._runs.values())
        for _, process, _ in runs:
            process.stop(SHUTDOWN, grace)
        deadline = time.monotonic() + limit
        for thread in (*(run[2] for run in runs), self._thread):
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _dispatch(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopping or self._work)
                self._work = False
                if self._stopping:
                    return
            try:
                while self._start_one():
                    self._changed()
            except StoreError as error:
                _log.error("cannot use the ledger; runs are delayed", extra={"error": str(error)})
                with self._wake:
                    self._wake.wait_for(lambda: self._stopping, _RETRY_SECONDS)
                    self._work = True

    def _start_one(self) -> bool:
        """Under the lock, so that `stop` and `cancel` never miss a run that is marked as running."""
        with self._wake:
            if self._stopping or len(self._runs) >= self._settings.max_parallel:
                return False
            record = self._ledger.start_next({run[0].owner for run in self._runs.values()}, self._now())
            if record is None:
                return False
            process = Process(self._settings.command, environment(record), record.body.encode())
            thread = threading.Thread(target=self._run, args=(record, process), name=record.reference, daemon=True)
            self._runs[record.id] = (record, process, thread)
            thread.start()
        _log.info("run started", extra=_facts(record))
        return True

    def _run(self, record: Record, process: Process) -> None:
        try:
            ended = self._execute(record, process)
            state, message = self._verdict(ended)
            version = self._new_version(record, ended) if state is RequestState.SUCCEEDED else ""
        except OSError as error:
            state, message, version = RequestState.FAILED, f"cannot start: {error}", ""
        self._settle(record, state, message, version)
        with self._wake:
            del self._runs[record.id]
        self._changed()
        self.wake()

    def _new_version(self, record: Record, ended: Ended) -> str:
        version = new_version(ended.stdout)
        if not version and b"new_version" in ended.stdout:
            _log.warning(
                'the output names a new_version, but in no line such as {"new_version": "4"}', extra=_facts(record)
            )
        return version

    def _execute(self, record: Record, process: Process) -> Ended:
        settings = self._settings
        with closing(process), RunLog(settings.logs / f"{record.id}.log", settings.log_limit) as log:
            return process.run(log, settings.time_limit / 1000, settings.kill_grace / 1000)

    def _verdict(self, ended: Ended) -> tuple[RequestState, str]:
        """Return the state in which a run ends, and its message."""
        if ended.stopped == CANCELLED:
            return RequestState.CANCELLED, "cancelled while running"
        if ended.stopped == SHUTDOWN:
            return RequestState.LOST, "stopped together with the coordinator; it is not restarted automatically"
        if ended.code == 0 and not ended.stopped:
            return RequestState.SUCCEEDED, last_lines(ended.stdout)
        output = last_lines(ended.stderr) or last_lines(ended.stdout)
        return RequestState.FAILED, self._cause(ended) + (f": {output}" if output else "")

    def _cause(self, ended: Ended) -> str:
        if ended.stopped == TIME_LIMIT:
            return f"killed at the time limit of {format_duration(self._settings.time_limit)}"
        if ended.code is None:
            return "killed by another process"
        return f"killed by signal {-ended.code}" if ended.code < 0 else f"exit code {ended.code}"

    def _settle(self, record: Record, state: RequestState, message: str, version: str) -> None:
        """Record the end of a run; retry while the ledger cannot be written, until the coordinator stops."""
        while True:
            try:
                done = self._ledger.move(record.id, state, self._now(), message=message, new_version=version)
            except StoreError as error:
                _log.error("cannot record the end of a run", extra={**_facts(record), "error": str(error)})
                with self._wake:
                    if self._wake.wait_for(lambda: self._stopping, _RETRY_SECONDS):
                        return
                continue
            if done:
                _log.info("run ended", extra={**_facts(done), "state": done.state, "detail": message})
                self._finished(done)
            return


def environment(record: Record) -> dict[str, str]:
    """Return the variables added to the command's environment; it gets the same JSON on standard input."""
    return {
        "RETRAIN_REQUEST_ID": record.id,
        "RETRAIN_PROJECT": record.project,
        "RETRAIN_PIPELINE": record.pipeline,
        "RETRAIN_VERSION": record.version,
        "RETRAIN_REASON": record.reason,
        "RETRAIN_REQUEST": record.body,
    }


def _facts(record: Record) -> dict[str, str]:
    return {"request_id": record.id, "run": record.reference, "model": f"{record.owner}/{record.version}"}
