"""Single HTTP attempts over a requests session: no retries inside, one total deadline, redacted errors."""

from __future__ import annotations

import contextlib
import functools
import ssl
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
import urllib3

from bridge import __version__
from bridge.net import adapter, attempt
from bridge.net.adapter import Adapter, NetError
from bridge.net.credentials import Authorizer, CredentialError, Credentials
from bridge.net.http_config import HttpConfig, OAuth2, Secret, revealed
from bridge.net.memory import give_back
from bridge.net.redact import hide_url
from bridge.net.watchdog import WATCHDOG, Watch

LARGEST = 256 << 20  # default limit of a response, bytes
ERROR_BYTES = 65536  # limit of a response that is not 2xx, which is only displayed
TOKEN_TIME = 10.0  # limit for fetching a token, seconds


class TooLargeError(requests.RequestException):
    """Response that exceeds the size limit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Response of a server. body: at most `max_bytes`. truncated: there was more."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False


class Session(requests.Session):
    """Session for one destination.

    credentials: added to every request. follow: whether redirects are followed. most: size limit of a response, bytes.
    """

    credentials: Credentials
    follow: bool
    most: int = LARGEST

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        """Send a request; limit the body's size for callers that do not read the stream themselves."""
        if settings.get("stream"):
            return super().send(request, **settings)
        response = super().send(request, **{**settings, "stream": True})
        with response:
            body, truncated = attempt.read(response.raw, self.most, must_fit=True)
        if truncated:
            give_back(self.most)
            raise TooLargeError(f"the answer is larger than {self.most} bytes")
        response._content = body
        return response

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return the target of a redirect without reading its body, which requests would read whatever its size."""
        target = super().get_redirect_target(resp)
        if target is not None:
            resp._content = b""
            resp.raw.close()
        return target

    def should_strip_auth(self, old_url: str, new_url: str) -> bool:
        """Return whether a redirect leaves the host, so that credentials must be removed."""
        return urlsplit(old_url)[:2] != urlsplit(new_url)[:2]

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Remove configured headers on a redirect to another host, and the redirect's cookie in any case."""
        prepared_request.headers.pop("Cookie", None)
        if self.should_strip_auth(str(response.request.url), str(prepared_request.url)):
            self.credentials.strip(prepared_request)


def open_session(config: HttpConfig, base_dir: Path, authorizer: Authorizer | None = None) -> Session:
    """Return a session with the configured TLS, proxies and credentials; the caller closes it. Raises NetError."""
    session = Session()
    session.trust_env = False  # otherwise a .netrc entry would override the Authorization header
    session.follow = config.follow_redirects
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # no cookies are stored
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": f"retrain-bridge/{__version__}"})
    session.headers.pop("Accept", None)
    mount(session, config, base_dir)
    fetch = functools.partial(_fetch_token, base_dir=base_dir)
    session.credentials = Credentials(config, base_dir, fetch, authorizer)
    session.auth = session.credentials
    session.proxies.update(_proxies(config))
    return session


def mount(session: requests.Session, config: HttpConfig, base_dir: Path) -> None:
    """Mount our adapters on a session (again, if a library replaced them)."""
    proxy_headers = {
        name: ", ".join(value.reveal() for value in values) for name, values in config.proxy_connect_header.items()
    }
    ours = Adapter(config.tls_config, base_dir, proxy_headers)
    for scheme in ("http://", "https://"):
        session.mount(scheme, ours)


def forget_credentials(session: requests.Session) -> None:
    """Drop a fetched token after a 401 or 403: the next request fetches a new one."""
    if isinstance(session, Session):
        session.credentials.forget()


def _proxies(config: HttpConfig) -> dict[str, str]:
    if config.proxy_from_environment:
        return urllib.request.getproxies()
    if not config.proxy_url:
        return {}
    return {"http": config.proxy_url, "https": config.proxy_url, "no_proxy": config.no_proxy}


def call(
    session: requests.Session,
    method: str,
    url: str,
    *,
    deadline: float,
    max_bytes: int = 65536,
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    allow_redirects: bool = False,
    must_fit: bool = False,
    named: str = "",
) -> Answer:
    """Make one attempt, which ends within `deadline` seconds whatever the server does. Raises NetError.

    url: a Secret is never shown in messages. named: its name in messages, by default the URL.
    max_bytes: limit of the body; a longer one is truncated, or with `must_fit` a NetError (too_large).
    """
    with (
        limited(url, named or url, deadline),
        attempt.exchange(
            session, method, revealed(url), data, headers or {}, deadline, redirects=allow_redirects
        ) as response,
    ):
        good = 200 <= response.status < 300
        wanted = max_bytes if good else min(max_bytes, ERROR_BYTES)
        body, truncated = attempt.read(response, wanted, must_fit=must_fit and good)
    if truncated:
        give_back(max_bytes)
    if truncated and must_fit and good:
        raise NetError(f"the answer of {named or url} is larger than {max_bytes} bytes", "too_large")
    return Answer(response.status, response.headers, body, truncated)


@contextlib.contextmanager
def limited(url: str, named: str, deadline: float) -> Iterator[None]:
    """End the exchange in the block within `deadline` seconds. Raises NetError for what fails in it.

    url, named: as of `call`.
    """
    with WATCHDOG.watching(deadline) as watch:
        adapter.current.watch = watch
        try:
            yield
        except CredentialError as error:
            raise NetError(str(error), "credential", sent=False) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            WATCHDOG.require_life()
            raise _net_error(error, watch, url, named, deadline) from None
        finally:
            adapter.current.watch = None
        if watch.expired:
            WATCHDOG.require_life()
            raise NetError(f"no full answer from {named} within {deadline:.3g} s", "timeout")


def _net_error(error: Exception, watch: Watch, url: str, named: str, deadline: float) -> NetError:
    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        error = error.reason
    sent = watch.expired or not _refused(error)
    if watch.expired or _timed_out(error):
        return NetError(f"no full answer from {named} within {deadline:.3g} s", "timeout", sent=sent)
    text = hide_url(what_happened(error), url.reveal()) if isinstance(url, Secret) else what_happened(error)
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError | ssl.SSLError):
        return NetError(f"TLS with {named} failed: {text}", "tls")
    return NetError(f"{named}: {text}", "network", sent=sent)


def _timed_out(error: Exception) -> bool:
    """Return whether the server did not answer in time. urllib3 calls a refused connection a timeout too."""
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return False
    return isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError)


def _refused(error: BaseException) -> bool:
    """Return whether no connection was made."""
    for _ in range(10):
        if isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError):
            return True
        around = (getattr(error, "reason", None), *error.args)
        inner = next((item for item in around if isinstance(item, BaseException)), None)
        if inner is None:
            break
        error = inner
    return False


def what_happened(error: BaseException) -> str:
    """Return the innermost cause as a short text: requests wraps what urllib3 wraps, with redundant messages."""
    for _ in range(10):
        around = (getattr(error, "reason", None), error.__cause__, *error.args)
        inner = next((item for item in around if isinstance(item, BaseException)), None)
        if inner is None:
            break
        error = inner
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _fetch_token(auth: OAuth2, form: Mapping[str, str], base_dir: Path) -> bytes:
    """POST the form to the token endpoint. Raises CredentialError."""
    config = HttpConfig(
        tls_config=auth.tls_config, proxy_url=auth.proxy_url, no_proxy=auth.no_proxy,
        proxy_from_environment=auth.proxy_from_environment, proxy_connect_header=auth.proxy_connect_header,
    )  # fmt: skip
    return request_token(config, base_dir, auth.token_url, form=form)


def request_token(
    config: HttpConfig, base_dir: Path, url: str, *,
    form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None,
) -> bytes:  # fmt: skip
    """Return the answer of a token server to a GET, or to a POST of `form`, within the deadline of the current attempt.

    Raises CredentialError.
    """
    outer: Watch | None = getattr(adapter.current, "watch", None)
    limit = TOKEN_TIME if outer is None else max(0.01, min(TOKEN_TIME, outer.ends - time.monotonic()))
    named = url.partition("?")[0]
    method, data = ("GET", None) if form is None else ("POST", urlencode(form).encode())
    if form is not None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        with open_session(config, base_dir) as session:
            answer = call(session, method, url, deadline=limit, data=data, headers=headers)
    except NetError as error:
        raise CredentialError(f"no token from {named}: {error}") from None
    finally:
        adapter.current.watch = outer
    if answer.status != 200:
        raise CredentialError(f"no token from {named}: HTTP {answer.status}")
    return answer.body


__all__ = [
    "Answer",
    "NetError",
    "call",
    "forget_credentials",
    "limited",
    "mount",
    "open_session",
    "request_token",
    "what_happened",
]
