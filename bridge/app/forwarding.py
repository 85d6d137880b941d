"""Way from a standby to the owner of its fleet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from bridge.app.client import Access
from bridge.net.session import NetError, Session, call, open_session
from bridge.web.standby import Forwarded, NoOwnerError

DEADLINE = 20.0  # seconds for an answer of the owner
MAX_ANSWER = 64 * 1024 * 1024


class Forwarder:
    """Forward of requests to the owner's present address.

    own: base URL of this replica, to which nothing is forwarded.
    owner: returns the owner's base URL, "" if none is known.
    http_config_file: http_config of the connection; None = none.
    """

    def __init__(self, own: str, owner: Callable[[], str], http_config_file: Path | None) -> None:
        self._own = own
        self._owner = owner
        access = Access.of(own, http_config_file)
        self._open: Callable[[], Session] = lambda: open_session(access.config, access.base_dir)
        self._local = threading.local()

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Forwarded:
        """Send a request to the owner, and return its answer. Raises NoOwnerError."""
        address = self._owner()
        if not address or address == self._own:
            raise NoOwnerError("the fleet has no owner at present", sent=False)
        if not hasattr(self._local, "session"):
            self._local.session = self._open()
        try:
            answer = call(
                self._local.session, method, address + path, deadline=DEADLINE, max_bytes=MAX_ANSWER, data=body or None,
                headers=headers,
            )  # fmt: skip
        except NetError as error:
            raise NoOwnerError(f"the owner at {address} did not answer ({error.reason})", sent=error.sent) from None
        return Forwarded(answer.status, answer.headers, answer.body)
