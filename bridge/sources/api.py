"""One question to Prometheus' HTTP API within a total deadline: method, retries, and every failure as a SourceError."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from bridge.domain.errors import ConfigError, Problem
from bridge.domain.times import Timestamp, rfc3339
from bridge.net.session import Answer, NetError, TooLargeError, call, forget_credentials, open_session, what_happened
from bridge.sources import failures
from bridge.sources.config import PrometheusConfig
from bridge.sources.failures import AttemptError

log = logging.getLogger(__name__)
T = TypeVar("T")

LONGEST_URL_QUERY = 2_000  # encoded bytes; longer ones go as a POST form, since proxies cut URLs from 4 kB on
_PAUSES = (0.25, 0.5, 1.0)  # seconds before the second, third and fourth attempt


class Api:
    """The server at `config.url`, asked through prometheus-api-client's address and our own session.

    pause: waits so many seconds (tests hand in their own).
    """

    def __init__(
        self, config: PrometheusConfig, base_dir: Path, timeout: float, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.config = config
        self.timeout = timeout
        self._pause = pause
        self.session = _session(config, base_dir)
        ours = self.session.get_adapter(config.url)
        self.client = PrometheusConnect(url=config.url, session=self.session, timeout=timeout)
        self.session.mount(self.client.url, ours)  # the client put its own there, which sleeps between its retries
        self._post_refused = False
        self._told: tuple[float, float] | None = None

    def close(self) -> None:
        """Let go of connections."""
        self.client.close()

    def deadline(self) -> float:
        """The monotonic instant at which a question asked now is given up."""
        return time.monotonic() + self.timeout

    def server_now(self) -> Timestamp:
        """The present instant of the server, as its last answer told it, or of this machine: the later one."""
        here, told = time.time(), self._told
        there = here if told is None else told[0] + time.monotonic() - told[1]
        return int(1000 * max(here, there))

    def ask(self, path: str, params: Mapping[str, str], ends: float) -> bytes:
        """The body of the answer. Raises SourceError, at `ends` at the latest."""
        tried = 0
        while True:
            tried += 1
            try:
                return self._attempt(path, params, ends)
            except AttemptError as failure:
                wait = max(failure.wait / 1000, _PAUSES[min(tried, len(_PAUSES)) - 1])
                if tried >= failure.tries or time.monotonic() + wait >= ends:
                    failure.query, failure.when = params.get("query", ""), _when(params)
                    raise
                log.debug("query is asked again", extra={"reason": failure.reason, "wait": wait, "attempt": tried})
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
        left = ends - time.monotonic()
        if left <= 0:
            raise failures.of_network(f"no answer within {self.timeout:g} s", "timeout")
        url = self.client.url.rstrip("/") + path
        headers = {} if form is None else {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            answer = call(
                self.session, method, url, deadline=left, named=url.partition("?")[0],
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
            self._told = date, time.monotonic()
        if not 200 <= answer.status < 300:
            if answer.status in {401, 403}:
                forget_credentials(self.session)
            raise failures.of_status(answer.status, answer.headers, answer.body)
        if failures.is_html(answer.headers, answer.body):
            raise failures.not_prometheus(
                "the answer is an HTML page; is the url that of a login or of another server?"
            )
        return answer.body

    def listing(self, ask: Callable[[PrometheusConnect], T]) -> T:
        """What a call of the client's own returns, its failures as SourceError."""
        try:
            return ask(self.client)
        except PrometheusApiClientException as error:
            raise failures.not_prometheus(str(error)[:300]) from None
        except TooLargeError:
            raise failures.of_network(self._too_large(), "too_large") from None
        except requests.Timeout:
            raise failures.of_network(f"no answer within {self.timeout:g} s", "timeout") from None
        except requests.JSONDecodeError:
            raise failures.not_prometheus("the answer is not JSON") from None
        except requests.RequestException as error:
            raise failures.of_network(f"{self.client.url}: {what_happened(error)}", "network") from None
        except (KeyError, TypeError):
            raise failures.not_prometheus("the answer is JSON, but not an answer of Prometheus' API") from None


def _when(params: Mapping[str, str]) -> str:
    """Return the instant or the stretch of time that was asked for, for people."""
    given = [params[name] for name in ("time", "start", "end") if name in params]
    return " to ".join(rfc3339(round(float(at) * 1000)) for at in given)


def _session(config: PrometheusConfig, base_dir: Path) -> requests.Session:
    try:
        session = open_session(config, base_dir)
    except NetError as error:
        raise ConfigError([Problem("configuration", 0, "prometheus.tls_config", str(error))]) from None
    session.most = config.max_answer_bytes
    return session


def _date(header: str) -> float | None:
    """A Date header in seconds since the epoch."""
    try:
        return parsedate_to_datetime(header).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def texts(found: Any) -> list[str]:
    """A list of texts, as the client returned it."""
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise failures.not_prometheus("the answer is not a list of names")
    return found
