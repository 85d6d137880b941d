"""Way from a standby to the owner of its fleet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bridge.app.client import Access
from bridge.domain import waits
from bridge.net.session import NetError, Session, call, open_session
from bridge.web.standby import Forwarded, NoOwnerError

PAUSE = 0.5  # seconds before a change is repeated
MOST_REPEATED = 8  # changes at the same time: while there is no owner, each holds a thread of the server
UNAVAILABLE = 503  # also of a replica that is not the owner yet
MAX_ANSWER = 64 * 1024 * 1024


class Forwarder:
    """Forward of requests to the owner's present address, which is this replica's own just after a take-over.

    own: base URL of this replica.
    owner: returns the owner's base URL, "" if none is known.
    http_config_file: http_config of the connection; None = none.
    patience: time in seconds for which a change that may be repeated is repeated, after a first waits.ATTEMPT.
    """

    def __init__(
        self, own: str, owner: Callable[[], str], http_config_file: Path | None, patience: float = 0.0
    ) -> None:
        self._owner = owner
        self._patience = patience
        self._repeating = threading.BoundedSemaphore(MOST_REPEATED)
        access = Access.of(own, http_config_file)
        self._open: Callable[[], Session] = lambda: open_session(access.config, access.base_dir)
        self._local = threading.local()

    def __call__(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, repeatable: bool = False
    ) -> Forwarded:
        """Send a request to the owner, and return its answer; see web.standby.Forward. Raises NoOwnerError."""
        if not repeatable or not self._repeating.acquire(blocking=False):
            return self._send(method, path, headers, body, waits.of_standby(path))
        try:
            return self._repeat(method, path, headers, body)
        finally:
            self._repeating.release()

    def _repeat(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Forwarded:
        """Send a request until an owner answers, and return its answer. Raises NoOwnerError."""
        until, sent = time.monotonic() + waits.ATTEMPT + self._patience, False
        while True:
            failure = NoOwnerError("the owner did not answer, and the next one is unavailable", sent=True)
            answer: Forwarded | None = None
            try:
                answer = self._send(method, path, headers, body, waits.ATTEMPT)
            except NoOwnerError as error:
                failure, sent = error, sent or error.sent
            if answer is not None and answer.status != UNAVAILABLE:
                return answer
            if time.monotonic() + PAUSE > until:
                break
            time.sleep(PAUSE)
        if answer is not None and not sent:
            return answer
        raise NoOwnerError(str(failure), sent=sent)

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes, deadline: float) -> Forwarded:
        """Make one attempt."""
        address = self._owner()
        if not address:
            raise NoOwnerError("the fleet has no owner at present", sent=False)
        if not hasattr(self._local, "session"):
            self._local.session = self._open()
        try:
            answer = call(
                self._local.session, method, address + path, deadline=deadline, max_bytes=MAX_ANSWER, data=body or None,
                headers=headers,
            )  # fmt: skip
        except NetError as error:
            raise NoOwnerError(f"the owner at {address} did not answer ({error.reason})", sent=error.sent) from None
        return Forwarded(answer.status, answer.headers, answer.body)
