"""Ledger of the in-memory store: runs in orchestrators."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bridge.domain.errors import RequestError
from bridge.domain.times import Timestamp
from bridge.ports import Run, RunAction, RunState
from bridge.store.runs import NOT_HELD


class MemoryRuns:
    """Implementation of ports.RunLedger in a dictionary, under a lock."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], Run] = {}
        self._lock = threading.RLock()

    def run(self, request_id: str, destination: str) -> Run | None:
        """Return the run of a request at a destination, None if there is none."""
        with self._lock:
            return self._runs.get((request_id, destination))

    def runs(self, request_id: str) -> list[Run]:
        """Return the runs of a request."""
        with self._lock:
            return [run for key, run in sorted(self._runs.items()) if key[0] == request_id]

    def open_runs(self, destination: str) -> list[Run]:
        """Return the runs of a destination that were seen and have not ended, the least recently polled first."""
        with self._lock:
            found = [run for run in self._runs.values() if run.destination == destination]
        is_open = [run for run in found if run.reference and not run.ended_at]
        return sorted(is_open, key=lambda run: (run.next_poll, run.request_id))

    def save_run(self, run: Run) -> None:
        """Insert or update a run; requests to cancel it or to start it again are kept."""
        with self._lock:
            known = self._runs.get((run.request_id, run.destination), run)
            self._runs[run.request_id, run.destination] = replace(
                run, cancel_at=known.cancel_at or run.cancel_at, reference=run.reference or known.reference,
                again_at=known.again_at or run.again_at,
            )  # fmt: skip

    def forget_run(self, request_id: str, destination: str) -> None:
        """Delete a run that was certainly not started."""
        with self._lock:
            known = self._runs.get((request_id, destination))
            if known is not None and not known.reference and not known.cancel_at:
                del self._runs[request_id, destination]

    def claim_start(self, run: Run, now: Timestamp) -> bool:
        """Record that the start call is made now; return False if the run was cancelled or seen meanwhile."""
        with self._lock:
            known = self._runs[run.request_id, run.destination]
            if known.reference or known.cancel_at:
                return False
            first = 0 if known.again_at else known.sent_at
            claimed = replace(known, sent_at=first or now, again_at=0, updated_at=now)
            self._runs[run.request_id, run.destination] = claimed
            return True

    def act_on_runs(self, actions: Sequence[RunAction], now: Timestamp) -> None:
        """Apply operators' actions on runs. Raises RequestError when a run to be started again is not held."""
        with self._lock:
            again = [(item.request_id, item.destination) for item in actions if not item.cancel]
            for key in again:
                known = self._runs.get(key)
                if known is None or not known.held:
                    raise RequestError(NOT_HELD.format(*key))
            for key in again:
                self._runs[key] = replace(self._runs[key], again_at=now)
            for item in actions:
                if item.cancel:
                    self.cancel_run(item.request_id, item.destination, now)

    def cancel_run(self, request_id: str, destination: str, now: Timestamp) -> Run:
        """Record that the run is to be cancelled, also one that is not prepared yet; return it."""
        with self._lock:
            known = self._runs.get((request_id, destination)) or Run(request_id, destination, "", "", now)
            if not known.cancel_at:
                known = replace(known, cancel_at=now, next_poll=0)
            if not known.sent_at and not known.reference:
                known = replace(known, state=RunState.CANCELLED, ended_at=now, updated_at=now)
            self._runs[request_id, destination] = known
            return known

    def run_counts(self) -> Mapping[tuple[str, RunState], int]:
        """Count the runs that have not ended by destination and state."""
        with self._lock:
            return Counter((run.destination, run.state) for run in self._runs.values() if not run.ended_at)

    def overdue_runs(self) -> Mapping[str, int]:
        """Count the runs by destination that have not started within start_deadline."""
        with self._lock:
            return Counter(run.destination for run in self._runs.values() if run.overdue and not run.ended_at)
