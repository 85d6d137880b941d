"""Query failures as SourceErrors: the reason to count, whether to retry, and the message.

AttemptError: a SourceError with what the retry loop needs besides, attempts and wait.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bridge.domain.errors import SourceError
from bridge.domain.times import Duration, Timestamp, from_datetime
from bridge.net.redact import redact
from bridge.net.retry_after import retry_after
from bridge.sources.config import PrometheusConfig

ONCE, TWICE, SEVERAL = 1, 2, 4
UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)  # everything msgspec raises, found by fuzzing

# errorType of Prometheus' envelope -> (reason, transient, attempts within a slot)
ERROR_TYPES = {
    "bad_data": ("bad_data", False, ONCE),
    "not_found": ("not_prometheus", False, ONCE),
    "not_acceptable": ("not_prometheus", False, ONCE),
    "execution": ("execution", True, TWICE),  # also a storage deadline: not necessarily permanent
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
    414: ("limit", False, ONCE),
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
TOO_MUCH = frozenset({"limit", "execution", "timeout"})  # reasons of failures that a shorter time range may avoid
# Texts by which a server says that a query exceeds one of its limits: it fails again, unless its range is shorter.
_LIMITS = re.compile(
    r"err-mimir-max-[a-z-]+|err-mimir-query-blocked|exceeded (?:series|samples|chunks|bytes) limit|"
    r"-search\.max(?!Concurrent|Queue|Query)\w*|"
    r"the query (?:hit|exceeded) the (?:max|aggregated)|max_samples_processed_error_threshold|"
    r"too many samples into memory",
)
# for these the status decides, whatever the body says: proxies write them
_LOGINS = {401, 403}
_STATUS_FIRST = {*_LOGINS, 429}
_OTHER_PATH = "unsupported path requested"  # of VictoriaMetrics, with status 400
_SHOWN = 300
_PAGE = re.compile(r"/(?:graph|query|alerts|targets|rules|config|flags|status|vmui|api/v1.*|api)/?$")
_CLIENT_STATUS = re.compile(r"HTTP Status Code (\d+) \((b['\"].*)\)", re.DOTALL)  # of prometheus-api-client


class AttemptError(SourceError):
    """Failed attempt. tries: attempts worth making in one slot. wait: Retry-After in ms. status: HTTP's, 0 = none."""

    def __init__(
        self, message: str, reason: str, *, transient: bool, tries: int = ONCE, wait: Duration = 0, status: int = 0
    ) -> None:
        super().__init__(redact(message), reason=reason, transient=transient)
        self.tries = tries
        self.wait = wait
        self.status = status


def broken_answer(message: str) -> AttemptError:
    """Return the error for an answer that is truncated or damaged in transit; a retry can help."""
    return AttemptError(message, "network", transient=True, tries=SEVERAL)


def not_prometheus(message: str, status: int = 0) -> AttemptError:
    """Return the error for an answer that no Prometheus sends: the URL is wrong, or another server answers."""
    return AttemptError(message, "not_prometheus", transient=False, status=status)


def of_network(message: str, reason: str) -> AttemptError:
    """Return the error for a request without a response. reason: that of net.session.NetError."""
    word, transient, tries = NETWORK.get(reason, NETWORK["network"])
    return AttemptError(message, word, transient=transient, tries=tries)


def of_status(status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
    """Return the error for a response whose status is not 2xx."""
    kind, text = _envelope(body)
    if 300 <= status < 400:
        location = headers.get("Location", "nowhere")
        text = f"redirected ({status}) to {location}; correct the url, or set follow_redirects: true"
        return not_prometheus(text, status)
    if status in _STATUS_FIRST or kind not in ERROR_TYPES:
        reason, transient, tries = STATUSES.get(status, _other(status))
    else:
        reason, transient, tries = ERROR_TYPES[kind]
    detail = text or _first_words(headers, body)
    if status not in _LOGINS and _LIMITS.search(detail):  # 429 too: Mimir's blocked queries
        reason, transient, tries = "limit", False, ONCE
    elif status == 400 and _OTHER_PATH in detail:
        reason, transient, tries = "not_prometheus", False, ONCE
    message = f"HTTP {status}" + (f" {kind}" if kind else "") + (f": {_short(detail)}" if detail else "")
    wait = _retry_after(headers) if tries > ONCE else 0
    return AttemptError(message, reason, transient=transient, tries=tries, wait=wait, status=status)


def of_client(text: str) -> AttemptError:
    """Return the error for an exception of prometheus-api-client, which shows a body as Python bytes."""
    found = _CLIENT_STATUS.fullmatch(text)
    if found is None:
        return not_prometheus(text[:_SHOWN])
    try:
        body = ast.literal_eval(found[2])
    except (ValueError, SyntaxError):
        body = b""
    return of_status(int(found[1]), {}, body)


def advice(config: PrometheusConfig, failure: SourceError) -> str:
    """Return the server's address and the likely cause where the address or its settings are probably wrong."""
    text, url = str(failure.args[0]) if failure.args else "", config.url
    if "no org id" in text.lower():
        return f"{url} has tenants: set flavor: mimir and tenant: NAME"
    if failure.reason == "unauthorized" and text.startswith("HTTP"):
        return f"{url} wants other credentials: {config.back_end.login}"
    if failure.reason != "not_prometheus":
        return ""
    if page := _PAGE.search(urlsplit(url).path):
        return f"{url} is the address of a page: remove {page.group()}"
    prefixes = "/prometheus for Mimir, /select/0/prometheus for a VictoriaMetrics cluster"
    return f"{url}: is it the right server, and is its path prefix in the url, such as {prefixes}?"


def of_error_type(kind: str, text: str) -> AttemptError:
    """Return the error for an envelope with status "error" in an HTTP 200 response."""
    reason, transient, tries = ERROR_TYPES.get(kind, ERROR_TYPES["internal"])
    return AttemptError(f"{kind}: {text[:_SHOWN]}", reason, transient=transient, tries=tries, status=200)


def _other(status: int) -> tuple[str, bool, int]:
    return ("internal", True, ONCE) if status >= 500 else ("not_prometheus", False, ONCE)


def _envelope(body: bytes) -> tuple[str, str]:
    """Return (errorType, error) of Prometheus' envelope, or a cloud's code and message; empty strings for neither."""
    try:
        answer: Any = msgspec.json.decode(body)
    except UNREADABLE:
        return "", ""
    if not isinstance(answer, dict):
        return "", ""
    kind, error = answer.get("errorType", ""), answer.get("error", "")
    if isinstance(error, dict):  # of Google and Azure, around their servers
        kind, error = error.get("status") or error.get("code", ""), error.get("message", "")
    text = error or answer.get("message") or answer.get("Message") or ""  # the last two of Amazon
    return (kind if isinstance(kind, str) else "", text if isinstance(text, str) else "")


def _short(text: str) -> str:
    """Return both ends of a long text: some servers wrap the cause into where it occurred."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]} ... {text[-_SHOWN // 2 :]}"


def _first_words(headers: Mapping[str, str], body: bytes) -> str:
    if is_html(headers, body):
        return "an HTML page"
    return " ".join(body[:_SHOWN].decode(errors="replace").split())


def is_html(headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether the response is an HTML page, such as a login form or a proxy's error page."""
    return "html" in headers.get("Content-Type", "").lower() or body.lstrip()[:1] == b"<"


def _retry_after(headers: Mapping[str, str]) -> Duration:
    """Return Retry-After in ms; a date counts from the response's own Date, so that clock skew does not matter."""
    return retry_after(headers.get("Retry-After"), _date(headers.get("Date", "")))


def _date(text: str) -> Timestamp:
    try:
        return from_datetime(parsedate_to_datetime(text))
    except (ValueError, TypeError):
        return 0
