"""Every way a query can fail, as a SourceError that says what to count, whether to ask again, and what people read.

AttemptError           SourceError with what the retry loop must know besides: how often to try, how long to wait
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from bridge.domain.errors import SourceError
from bridge.domain.times import Duration, Timestamp, from_datetime
from bridge.net.redact import redact
from bridge.net.retry_after import retry_after

ONCE, TWICE, SEVERAL = 1, 2, 4
UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)  # what msgspec raises, as fuzzing found

# errorType of Prometheus' envelope -> (reason, transient, tries inside the slot)
ERROR_TYPES = {
    "bad_data": ("bad_data", False, ONCE),
    "not_found": ("not_prometheus", False, ONCE),
    "not_acceptable": ("not_prometheus", False, ONCE),
    "execution": ("execution", True, TWICE),  # also a storage deadline: not surely permanent
    "canceled": ("canceled", True, ONCE),
    "timeout": ("timeout", True, SEVERAL),
    "unavailable": ("unavailable", True, SEVERAL),
    "internal": ("internal", True, ONCE),
}
STATUSES = {
    400: ("bad_data", False, ONCE),
    401: ("unauthorized", False, ONCE),
    403: ("unauthorized", False, ONCE),
    404: ("not_prometheus", False, ONCE),
    405: ("not_prometheus", False, ONCE),
    408: ("timeout", True, SEVERAL),
    413: ("limit", False, ONCE),
    422: ("execution", True, TWICE),
    429: ("rate_limited", True, SEVERAL),
    499: ("canceled", True, ONCE),
    502: ("unavailable", True, SEVERAL),
    503: ("unavailable", True, SEVERAL),
    504: ("timeout", True, SEVERAL),
}
NETWORK = {
    "timeout": ("timeout", True, SEVERAL),
    "network": ("network", True, SEVERAL),
    "tls": ("network", False, ONCE),
    "too_large": ("limit", False, ONCE),
    "credential": ("unauthorized", False, ONCE),
}
# these two are decided by the status whatever the body says: proxies write them
_STATUS_FIRST = {401, 403, 429}
_SHOWN = 300


class AttemptError(SourceError):
    """A failed attempt. tries: attempts worth making in one slot. wait: ms the server asked to wait. status: HTTP's."""

    def __init__(
        self, message: str, reason: str, *, transient: bool, tries: int = ONCE, wait: Duration = 0, status: int = 0
    ) -> None:
        super().__init__(redact(message), reason=reason, transient=transient)
        self.tries = tries
        self.wait = wait
        self.status = status


def broken_answer(message: str) -> AttemptError:
    """An answer that is cut off, or not JSON in the middle: the way here damaged it, so asking again can help."""
    return AttemptError(message, "network", transient=True, tries=SEVERAL)


def not_prometheus(message: str, status: int = 0) -> AttemptError:
    """An answer that no Prometheus would give: the URL is wrong, or something answers in its place."""
    return AttemptError(message, "not_prometheus", transient=False, status=status)


def of_network(message: str, reason: str) -> AttemptError:
    """No answer: `reason` as net.session.NetError has it."""
    word, transient, tries = NETWORK.get(reason, NETWORK["network"])
    return AttemptError(message, word, transient=transient, tries=tries)


def of_status(status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
    """An answer whose status is not 2xx."""
    kind, text = _envelope(body)
    if 300 <= status < 400:
        place = headers.get("Location", "nowhere")
        text = f"redirected ({status}) to {place}; correct the url, or set follow_redirects: true"
        return not_prometheus(text, status)
    if status in _STATUS_FIRST or kind not in ERROR_TYPES:
        reason, transient, tries = STATUSES.get(status, _other(status))
    else:
        reason, transient, tries = ERROR_TYPES[kind]
    said = text or _first_words(headers, body)
    message = f"HTTP {status}" + (f" {kind}" if kind else "") + (f": {said}" if said else "")
    wait = _asked_wait(headers) if tries > ONCE else 0
    return AttemptError(message, reason, transient=transient, tries=tries, wait=wait, status=status)


def of_error_type(kind: str, text: str) -> AttemptError:
    """An envelope with status "error" although HTTP said 200."""
    reason, transient, tries = ERROR_TYPES.get(kind, ERROR_TYPES["internal"])
    return AttemptError(f"{kind}: {text[:_SHOWN]}", reason, transient=transient, tries=tries, status=200)


def _other(status: int) -> tuple[str, bool, int]:
    return ("internal", True, ONCE) if status >= 500 else ("not_prometheus", False, ONCE)


def _envelope(body: bytes) -> tuple[str, str]:
    """(errorType, error) of Prometheus' envelope; empty when the body is none."""
    try:
        found: Any = msgspec.json.decode(body)
    except UNREADABLE:
        return "", ""
    if not isinstance(found, dict):
        return "", ""
    kind, text = found.get("errorType", ""), found.get("error", "")
    return (kind if isinstance(kind, str) else "", text[:_SHOWN] if isinstance(text, str) else "")


def _first_words(headers: Mapping[str, str], body: bytes) -> str:
    if is_html(headers, body):
        return "an HTML page"
    return " ".join(body[:_SHOWN].decode(errors="replace").split())


def is_html(headers: Mapping[str, str], body: bytes) -> bool:
    """A page for people: a login form, a proxy's error."""
    return "html" in headers.get("Content-Type", "").lower() or body.lstrip()[:1] == b"<"


def _asked_wait(headers: Mapping[str, str]) -> Duration:
    """Retry-After in ms; a date counts from the answer's own Date, so that no clock of ours is needed."""
    return retry_after(headers.get("Retry-After"), _date(headers.get("Date", "")))


def _date(text: str) -> Timestamp:
    try:
        return from_datetime(parsedate_to_datetime(text))
    except (ValueError, TypeError):
        return 0
