"""Runs that receivers started in orchestrators, and the ledger that remembers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from bridge.domain.times import Timestamp
from bridge.ports.sinks import Notification, StatusReport


class RunState(StrEnum):
    """State of a run. A closed set, so it is safe as a metric label."""

    STARTING = "starting"  # its start call is prepared, and may have been made
    UNKNOWN = "unknown"  # its start call may have arrived, and no run is found
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"  # the server has forgotten a run that was seen

    @property
    def terminal(self) -> bool:
        """True if the state is final."""
        return self in {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.LOST}


@dataclass(frozen=True, slots=True)
class Run:
    """Run of one request at one destination. Instants in ms since the epoch, 0 = has not happened.

    name: name that the bridge chose, such as rb-<id>.
    plan: JSON of the start call and its variables, frozen before the first attempt.
    sent_at: first start call whose outcome is or was unknown. A run is never started twice without a look-up.
    reference: the server's id of the run, "" = never seen. Once it is set, nothing is started again. Where the server
        makes the run later than the start call, it is the name until the run is found.
    started_at: when it was first seen running.
    lookups: look-ups in a row without success: of the run before it was seen, of its result afterwards.
    absent: polls in a row that found no run.
    cancel_at: when an operator or the bridge asked to cancel it; cancelled_at: when the server accepted that.
    again_at: when an operator allowed one more start call, although the first may have arrived; 0 once it was made.
    next_poll: earliest instant of the next poll.
    """

    request_id: str
    destination: str
    name: str
    plan: str
    created_at: Timestamp
    state: RunState = RunState.STARTING
    sent_at: Timestamp = 0
    reference: str = ""
    link: str = ""
    message: str = ""
    new_version: str = ""
    seen_at: Timestamp = 0
    started_at: Timestamp = 0
    updated_at: Timestamp = 0
    ended_at: Timestamp = 0
    next_poll: Timestamp = 0
    lookups: int = 0
    absent: int = 0
    cancel_at: Timestamp = 0
    cancelled_at: Timestamp = 0
    again_at: Timestamp = 0
    overdue: bool = False

    @property
    def held(self) -> bool:
        """True if an operator may ask for one more start call: the first may have arrived, and no run is found."""
        unseen = self.state is RunState.UNKNOWN and not self.reference
        return unseen and not self.ended_at and not self.cancel_at and not self.again_at


class RunLedger(Protocol):
    """Store of runs. Raises StoreError. Only the columns of the caller's side are written by each method."""

    def run(self, request_id: str, destination: str) -> Run | None:
        """Return the run of a request at a destination, None if there is none."""
        ...

    def runs(self, request_id: str) -> list[Run]:
        """Return the runs of a request."""
        ...

    def open_runs(self, destination: str) -> list[Run]:
        """Return the runs of a destination that were seen and have not ended, the least recently polled first."""
        ...

    def save_run(self, run: Run) -> None:
        """Insert or update a run; requests to cancel it or to start it again are kept."""
        ...

    def forget_run(self, request_id: str, destination: str) -> None:
        """Delete a run that was certainly not started."""
        ...

    def claim_start(self, run: Run, now: Timestamp) -> bool:
        """Record that the start call is made now; return False if the run was cancelled or seen meanwhile.

        It uses up a request to start the run again, from which on the age of the start call counts anew.
        """
        ...

    def cancel_run(self, request_id: str, destination: str, now: Timestamp) -> Run:
        """Record that the run is to be cancelled, also one that is not prepared yet; return it."""
        ...

    def run_counts(self) -> Mapping[tuple[str, RunState], int]:
        """Count the runs that have not ended by destination and state."""
        ...

    def overdue_runs(self) -> Mapping[str, int]:
        """Count the runs by destination that have not started within start_deadline."""
        ...


@runtime_checkable
class RunFollower(Protocol):
    """Destination that follows the runs it started."""

    def follow(self, now: Callable[[], Timestamp], report: Callable[[StatusReport], object], until: Timestamp) -> None:
        """Poll the runs that are due, report changes, and cancel what is to be cancelled; stop at `until`."""
        ...


@runtime_checkable
class Testable(Protocol):
    """Destination that can be tested without starting anything."""

    def problems(self, now: Timestamp) -> Sequence[str]:
        """Return what is wrong with the target or the credentials, nothing if a run can be started."""
        ...


@runtime_checkable
class Previewable(Protocol):
    """Destination that can show what it would send."""

    def preview(self, notification: Notification, now: Timestamp) -> str:
        """Return the exact HTTP request as text, secrets hidden."""
        ...
