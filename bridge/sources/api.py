"""Calls to Prometheus' HTTP API within a total deadline, with retries; every failure is a SourceError."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from bridge.domain.errors import ConfigError, Problem
from bridge.domain.times import Timestamp, rfc3339
from bridge.net.cloud import AzureToken, GoogleToken, MissingExtraError, SigV4Signer, proxies_of
from bridge.net.credentials import Authorizer
from bridge.net.redact import redact_url
from bridge.net.session import Answer, NetError, TooLargeError, call, forget_credentials, limited, open_session
from bridge.net.watchdog import WATCHDOG
from bridge.sources import failures
from bridge.sources.config import PrometheusConfig
from bridge.sources.failures import AttemptError
from bridge.sources.patience import PROBE, Patience, Report

log = logging.getLogger(__name__)
T = TypeVar("T")

LONGEST_URL_QUERY = 2_000  # encoded bytes; longer ones go as a POST form, since proxies cut URLs from 4 kB on
_PAUSES = (0.25, 0.5, 1.0)  # seconds before the second, third and fourth attempt


class Api:
    """Client of the server at `config.url`: prometheus-api-client's address over our own session.

    timeout: seconds for one query with all its retries. pause: sleeps for so many seconds (tests pass their own).
    report: of a command, notified of failed queries; a server that answers none is then a NoAnswerError.
    """

    def __init__(
        self, config: PrometheusConfig, base_dir: Path, timeout: float,
        pause: Callable[[float], object] = WATCHDOG.interrupted.wait, report: Report | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self.timeout = timeout
        self._patience = None if report is None else Patience(report, redact_url(config.url), timeout, self._probe)
        self._pause = pause
        self.session = _session(config, base_dir)
        ours = self.session.get_adapter(config.url)
        self.client = PrometheusConnect(url=config.url, session=self.session, timeout=timeout)
        self.session.mount(self.client.url, ours)  # replaces the client's own adapter, which sleeps between its retries
        self._post_refused = not config.back_end.post
        self._last_date: tuple[float, float] | None = None  # the server's Date, and our monotonic clock at that moment

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def deadline(self) -> float:
        """Return the monotonic instant (seconds) at which a query sent now times out."""
        return time.monotonic() + self.timeout

    def server_now(self) -> Timestamp:
        """Return the current time: the server's, by its last Date header, or this machine's, whichever is later."""
        local, last_date = time.time(), self._last_date
        remote = local if last_date is None else last_date[0] + time.monotonic() - last_date[1]
        return int(1000 * max(local, remote))

    def query(
        self, path: str, params: Mapping[str, str], ends: float, retry_until: float = math.inf, *,
        shorter: bool = False,
    ) -> bytes:  # fmt: skip
        """Return the body of the response. Raises SourceError, by `ends` (monotonic seconds) at the latest.

        For a command, it raises NoAnswerError when the server answers no query, up to the timeout later.

        retry_until: monotonic instant by which all attempts after the first end.
        shorter: True if a query that asks too much is repeated for a shorter time range.
        """
        with self._reporting(shorter=shorter):
            return self._query(path, params, ends, retry_until)

    @contextlib.contextmanager
    def _reporting(self, *, shorter: bool = False) -> Iterator[None]:
        """Tell a command's patience how the query in the block ends. Raises NoAnswerError."""
        began = time.monotonic()
        try:
            yield
        except AttemptError as failure:
            if self._patience is not None:
                self._patience.failed(failure, began, shorter=shorter and failure.reason in failures.TOO_MUCH)
            raise
        if self._patience is not None:
            self._patience.answered()

    def _probe(self) -> None:
        self._query("/api/v1/query", {"query": PROBE}, self.deadline(), math.inf)

    def _query(self, path: str, params: Mapping[str, str], ends: float, retry_until: float) -> bytes:
        attempts = 0
        failure: AttemptError | None = None
        while True:
            attempts += 1
            try:
                return self._attempt(path, params, ends)
            except AttemptError as error:
                if failure is None or not _is_cut(error, retry_until):  # else the attempt before shows why
                    failure = error
                wait = max(failure.wait / 1000, _PAUSES[min(attempts, len(_PAUSES)) - 1])
                ends = min(ends, retry_until)
                if attempts >= failure.tries or time.monotonic() + wait >= ends:
                    failure.query, failure.when = params.get("query", ""), _when(params)
                    failure.advice = failures.advice(self.config, failure)
                    raise failure from None
                log.debug("query is retried", extra={"reason": failure.reason, "wait": wait, "attempt": attempts})
            self._pause(wait)

    def _attempt(self, path: str, params: Mapping[str, str], ends: float) -> bytes:
        form = urlencode(params)
        if len(form) <= LONGEST_URL_QUERY or self._post_refused:
            return self._send("GET", f"{path}?{form}", None, ends)
        try:
            return self._send("POST", path, form.encode(), ends)
        except AttemptError as failure:
            # a redirected POST loses its form, and some proxies allow GET only
            if failure.status != 405 and not (300 <= failure.status < 400 and self.config.follow_redirects):
                raise
            self._post_refused = failure.status == 405
        return self._send("GET", f"{path}?{form}", None, ends)

    def _send(self, method: str, path: str, form: bytes | None, ends: float) -> bytes:
        remaining = ends - time.monotonic()
        if remaining <= 0:
            raise failures.of_network(f"no answer within {self.timeout:g} s", "timeout")
        url = self.client.url.rstrip("/") + path
        headers = {} if form is None else {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            answer = call(
                self.session, method, url, deadline=remaining, named=url.partition("?")[0],
                max_bytes=self.config.max_answer_bytes, must_fit=True, data=form, headers=headers,
                allow_redirects=self.config.follow_redirects and form is None,
            )  # fmt: skip
        except NetError as error:
            text = self._too_large() if error.reason == "too_large" else str(error)
            raise failures.of_network(text, error.reason) from None
        return self._body(answer)

    def _too_large(self) -> str:
        return f"the answer is larger than max_answer_bytes: {self.config.max_answer_bytes}"

    def _body(self, answer: Answer) -> bytes:
        if (date := _date(answer.headers.get("Date", ""))) is not None:
            self._last_date = date, time.monotonic()
        if not 200 <= answer.status < 300:
            if answer.status in {401, 403}:
                forget_credentials(self.session)
            raise failures.of_status(answer.status, answer.headers, answer.body)
        if failures.is_html(answer.headers, answer.body):
            raise failures.not_prometheus(
                "the answer is an HTML page; does the url lead to a login page or to another server?"
            )
        return answer.body

    def listing(self, request: Callable[[PrometheusConnect], T]) -> T:
        """Return the result of a call to prometheus-api-client; its failures become SourceError."""
        with self._reporting():
            try:
                return self._listing(request)
            except AttemptError as failure:
                failure.advice = failures.advice(self.config, failure)
                raise

    def _listing(self, request: Callable[[PrometheusConnect], T]) -> T:
        try:
            with limited(self.client.url, self.client.url, self.timeout):
                return self._listed(request)
        except NetError as error:
            raise failures.of_network(str(error), error.reason) from None

    def _listed(self, request: Callable[[PrometheusConnect], T]) -> T:
        try:
            return request(self.client)
        except PrometheusApiClientException as error:
            raise failures.of_client(str(error)) from None
        except TooLargeError:
            raise failures.of_network(self._too_large(), "too_large") from None
        except (requests.JSONDecodeError, RecursionError):
            raise failures.not_prometheus("the answer is not JSON") from None
        except (KeyError, TypeError):
            raise failures.not_prometheus("the answer is JSON, but not from Prometheus' API") from None


def _is_cut(error: AttemptError, retry_until: float) -> bool:
    """Return whether an attempt ended without an answer because the time for retries was over."""
    return error.reason == "timeout" and not error.status and time.monotonic() >= retry_until


def _when(params: Mapping[str, str]) -> str:
    """Return the queried instant or time range as text for messages."""
    given = [params[name] for name in ("time", "start", "end") if name in params]
    return " to ".join(rfc3339(round(float(at) * 1000)) for at in given)


def _session(config: PrometheusConfig, base_dir: Path) -> requests.Session:
    try:
        session = open_session(config.http, base_dir, _authorizer(config, base_dir))
    except NetError as error:
        raise ConfigError([Problem("configuration", 0, "prometheus.tls_config", str(error))]) from None
    session.most = config.max_answer_bytes
    return session


def _authorizer(config: PrometheusConfig, base_dir: Path) -> Authorizer | None:
    try:
        if config.sigv4 is not None:
            return SigV4Signer(config.sigv4)
        if config.azuread is not None:
            return AzureToken(config.azuread, proxies_of(config), base_dir)
        if config.google_iam is not None:
            return GoogleToken(config.google_iam, proxies_of(config), base_dir)
    except (MissingExtraError, ValueError) as error:
        key = "google_iam" if config.google_iam is not None else "sigv4"
        raise ConfigError([Problem("configuration", 0, f"prometheus.{key}", str(error))]) from None
    return None


def _date(header: str) -> float | None:
    """Return a Date header in seconds since the epoch; None if it cannot be parsed."""
    try:
        return parsedate_to_datetime(header).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def names(listing: Any) -> list[str]:
    """Return `listing` as a list of strings. Raises SourceError `not_prometheus`."""
    if not isinstance(listing, list) or not all(isinstance(name, str) for name in listing):
        raise failures.not_prometheus("the answer is not a list of names")
    return listing
