"""Status reports to the bridge: signed POST <bridge_url>/api/v1/requests/{id}/status.

The ledger is the outbox: at most one report per request is due, always with its current state, so a bridge that was
down receives the latest state, not the history. The address comes only from the configuration, never from a body.
"""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Callable, Sequence

import requests

from bridge.coordinator.ledger import Ledger
from bridge.coordinator.records import Record
from bridge.domain.errors import StoreError
from bridge.domain.times import HOUR, MINUTE, SECOND, Duration, Timestamp, rfc3339
from bridge.net.retry_after import retry_after
from bridge.net.session import NetError, call, forget_credentials
from bridge.net.signature import sign

_log = logging.getLogger(__name__)

FIRST_WAIT: Duration = SECOND
LONGEST_WAIT: Duration = 5 * MINUTE
GIVE_UP: Duration = 24 * HOUR
DEADLINE = 3.0  # seconds for one attempt; shorter than the shutdown limit
_IDLE = 30.0  # seconds after which the ledger is checked again without a wake-up


class Callbacks:
    """Thread that sends due reports.

    secrets: returns the signing secrets. counted: called with `ok`, `retry` or `refused` for each attempt.
    """

    def __init__(
        self,
        ledger: Ledger,
        url: str,
        session: requests.Session,
        secrets: Callable[[], Sequence[str]],
        now: Callable[[], Timestamp],
        counted: Callable[[str], None],
        rng: random.Random | None = None,
    ) -> None:
        self._ledger = ledger
        self._url = url
        self._session = session
        self._secrets = secrets
        self._now = now
        self._counted = counted
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, protects nothing
        self._wake = threading.Condition()
        self._work = True
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="callbacks", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Notify the thread that a state has changed."""
        with self._wake:
            self._work = True
            self._wake.notify_all()

    def stop(self, limit: float) -> None:
        """Stop the thread, waiting up to `limit` seconds; an unfinished report is sent after the next start."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        self._thread.join(limit)

    def step(self) -> float:
        """Send one report if one is due; return the seconds until the next may be due."""
        now = self._now()
        record = self._ledger.due_report(now)
        if record is None:
            due = self._ledger.next_report_at()
            return _IDLE if due is None else min(_IDLE, max(0.0, (due - now) / 1000))
        result, retry_wait = self._send(record, now)
        next_at = self._next_at(record, retry_wait) if result == "retry" else None
        if next_at is None and result == "retry":
            _log.warning("report to the bridge abandoned", extra={"request_id": record.id, "state": record.state})
        self._ledger.settle_report(record, next_at)
        self._counted(result)
        return 0.0

    def _loop(self) -> None:
        wait = 0.0
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopping or self._work, wait)
                self._work = False
                if self._stopping:
                    return
            try:
                wait = self.step()
            except StoreError as error:
                _log.error("cannot use the ledger; reports are delayed", extra={"error": str(error)})
                wait = _IDLE

    def _send(self, record: Record, now: Timestamp) -> tuple[str, Duration]:
        """Make one attempt; return `ok`, `retry` or `refused` (a retry cannot help), and the Retry-After in ms."""
        body = json.dumps(report(record)).encode()
        url = f"{self._url}/api/v1/requests/{record.id}/status"
        try:
            headers = self._headers(record, now, body)
            answer = call(self._session, "POST", url, deadline=DEADLINE, data=body, headers=headers)
        except (NetError, ValueError) as error:
            return self._failed(record, "retry", str(error)), 0
        if 200 <= answer.status < 300:
            return "ok", 0
        if answer.status in {401, 403}:
            forget_credentials(self._session)
        retryable = answer.status >= 500 or answer.status in {401, 403, 408, 425, 429}
        result = self._failed(record, "retry" if retryable else "refused", f"answered {answer.status}")
        return result, retry_after(answer.headers.get("Retry-After"), now)

    def _headers(self, record: Record, now: Timestamp, body: bytes) -> dict[str, str]:
        """Return the headers; the message id is constant over the retries of one change, the time is the attempt's."""
        headers = {"Content-Type": "application/json"}
        if secrets := self._secrets():
            message_id, seconds = f"{record.id}-{record.changes}", now // 1000
            headers["webhook-id"] = message_id
            headers["webhook-timestamp"] = str(seconds)
            headers["webhook-signature"] = sign(secrets, message_id, seconds, body)
        return headers

    def _failed(self, record: Record, result: str, why: str) -> str:
        if record.report_attempts == 0 or result == "refused":  # once per change, not once per attempt
            facts = {"request_id": record.id, "state": record.state, "error": why, "outcome": result}
            _log.warning("report to the bridge failed", extra=facts)
        return result

    def _next_at(self, record: Record, retry_wait: Duration) -> Timestamp | None:
        """Return when to retry: bounded full jitter, not before Retry-After; None after GIVE_UP."""
        now = self._now()
        if now - record.report_since > GIVE_UP:
            return None
        ceiling = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(record.report_attempts, 20))
        return now + max(retry_wait, self._rng.randint(FIRST_WAIT // 2, ceiling))


def report(record: Record) -> dict[str, str]:
    """Return the body of a report."""
    return {
        "state": record.state,
        "message": record.message,
        "new_version": record.new_version,
        "reference": record.reference,
        "at": rfc3339(record.updated_at),
    }
