"""One HTTP attempt over our own requests session: no retries inside, one deadline for all of it, redacted errors."""

from __future__ import annotations

import ssl
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import ProxyManager

from bridge import __version__
from bridge.net.credentials import CredentialError, Credentials
from bridge.net.files import readable
from bridge.net.http_config import HttpConfig, OAuth2, Secret, TlsConfig, revealed
from bridge.net.memory import give_back
from bridge.net.redact import hide_url, redact
from bridge.net.watchdog import WATCHDOG, Watch

CHUNK = 1 << 20
LARGEST = 256 << 20  # bytes of an answer, where nothing else is said
ERROR_BYTES = 65536  # of an answer that is not 2xx: only people read it
TOKEN_TIME = 10.0  # seconds, at most
_current = threading.local()
_VERSIONS = {"TLS10": "TLSv1", "TLS11": "TLSv1_1", "TLS12": "TLSv1_2", "TLS13": "TLSv1_3", "": "TLSv1_2"}


class NetError(Exception):
    """An attempt came to nothing. reason: timeout | network | tls | too_large | credential. The message is redacted."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(redact(message))
        self.reason = reason


class TooLargeError(requests.RequestException):
    """An answer has more bytes than are wanted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; `body` holds at most `max_bytes`, `truncated` says that there was more."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False


# ------------------------------------------------------------ connections that the watchdog can cut


def _announce(connection: Any) -> None:
    watch: Watch | None = getattr(_current, "watch", None)
    if watch is not None:
        watch.use(connection)


class _Connection(HTTPConnection):
    def connect(self) -> None:
        _announce(self)
        super().connect()
        _announce(self)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _announce(self)
        super().request(*args, **kwargs)


class _SecureConnection(HTTPSConnection):
    def connect(self) -> None:
        _announce(self)
        super().connect()
        _announce(self)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _announce(self)
        super().request(*args, **kwargs)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class Adapter(HTTPAdapter):
    """requests' adapter with our TLS settings, our connections and no retries."""

    def __init__(self, tls: TlsConfig, base_dir: Path, proxy_headers: Mapping[str, str]) -> None:
        self._tls = tls
        self._base_dir = base_dir
        self._proxy_headers = dict(proxy_headers)
        super().__init__(max_retries=urllib3.Retry(0, read=False), pool_connections=4, pool_maxsize=16)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **kwargs, **self._pool_settings())
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, **kwargs, **self._pool_settings())
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        return {**super().proxy_headers(proxy), **self._proxy_headers}

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """requests would put its own certificates over our context: only the host decides the pool."""
        host_params, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host_params, {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Verification is set up in our own context, nothing to add."""

    def _pool_settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"ssl_context": tls_context(self._tls, self._base_dir)}
        if self._tls.server_name:
            settings |= {"server_hostname": self._tls.server_name, "assert_hostname": self._tls.server_name}
        return settings


def tls_context(tls: TlsConfig, base_dir: Path) -> ssl.SSLContext:
    """The context for `tls`. NetError (reason tls) names a file that cannot be used."""
    context = ssl.create_default_context()
    try:
        readable(*(base_dir / file for file in (tls.ca_file, tls.cert_file, tls.key_file) if file))
        if tls.ca_file:
            context = ssl.create_default_context(cafile=str(base_dir / tls.ca_file))
        if tls.cert_file:
            context.load_cert_chain(base_dir / tls.cert_file, base_dir / tls.key_file)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(base_dir / file) for file in (tls.ca_file, tls.cert_file, tls.key_file) if file)
        raise NetError(f"cannot use {files}: {error}", "tls") from None
    context.minimum_version = ssl.TLSVersion[_VERSIONS[tls.min_version]]
    if tls.insecure_skip_verify:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the configuration says so, once
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


# ------------------------------------------------------------ sessions and calls


class Session(requests.Session):
    """A session for one destination; `credentials` puts them on every request."""

    credentials: Credentials
    follow: bool
    most: int = LARGEST

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        """Bound what is read for callers who do not read the stream themselves."""
        if settings.get("stream"):
            return super().send(request, **settings)
        response = super().send(request, **{**settings, "stream": True})
        with response:
            body, truncated = _read(response, self.most, must_fit=True)
        if truncated:
            give_back(self.most)
            raise TooLargeError(f"the answer is larger than {self.most} bytes")
        response._content = body
        return response

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Leave the body of a redirect unread: requests would read all of it, whatever its size."""
        target = super().get_redirect_target(resp)
        if target is not None:
            resp._content = b""
            resp.raw.close()
        return target

    def should_strip_auth(self, old_url: str, new_url: str) -> bool:
        """A redirect to another host never gets our credential."""
        return urlsplit(old_url)[:2] != urlsplit(new_url)[:2]

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Nor our headers; and no host gets the cookie that came with the redirect."""
        prepared_request.headers.pop("Cookie", None)
        if self.should_strip_auth(str(response.request.url), str(prepared_request.url)):
            self.credentials.strip(prepared_request)


def open_session(config: HttpConfig, base_dir: Path) -> Session:
    """A session with the configured TLS, proxies and credentials. It must be closed. Raises NetError for bad files."""
    session = Session()
    session.trust_env = False  # else a .netrc entry would override our Authorization header
    session.follow = config.follow_redirects
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # none are kept
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": f"retrain-bridge/{__version__}"})
    session.headers.pop("Accept", None)
    mount(session, config, base_dir)
    session.credentials = Credentials(config, base_dir, lambda auth, form: _fetch_token(auth, form, base_dir))
    session.auth = session.credentials
    session.proxies.update(_proxies(config))
    return session


def mount(session: requests.Session, config: HttpConfig, base_dir: Path) -> None:
    """Put our adapters on a session (again, where a library replaced them)."""
    proxy_headers = {
        name: ", ".join(value.reveal() for value in values) for name, values in config.proxy_connect_header.items()
    }
    adapter = Adapter(config.tls_config, base_dir, proxy_headers)
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)


def forget_credentials(session: requests.Session) -> None:
    """Drop fetched tokens, after a 401 or 403: the next request gets a new one."""
    if isinstance(session, Session):
        session.credentials.forget()


def _proxies(config: HttpConfig) -> dict[str, str]:
    if config.proxy_from_environment:
        return urllib.request.getproxies()
    if config.proxy_url is None:
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
    """One attempt, over in `deadline` seconds whatever the server does. Raises NetError.

    url: when it is a Secret, no message shows it. named: what messages call it, when not by itself.
    max_bytes: of the body; more is cut off, or with `must_fit` a NetError (too_large).
    """
    with WATCHDOG.watching(deadline) as watch:
        _current.watch = watch
        try:
            response = session.request(
                method, revealed(url), data=data, headers=dict(headers or {}), stream=True, timeout=deadline,
                allow_redirects=allow_redirects, proxies=_proxies_for(session, revealed(url)),
            )  # fmt: skip
            with response:
                good = 200 <= response.status_code < 300
                wanted = max_bytes if good else min(max_bytes, ERROR_BYTES)
                body, truncated = _read(response, wanted, must_fit=must_fit and good)
        except CredentialError as error:
            raise NetError(str(error), "credential") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _net_error(error, watch, url, named or url, deadline) from None
        finally:
            _current.watch = None
        if watch.expired:
            raise NetError(f"no full answer from {named or url} within {deadline:g} s", "timeout")
    if truncated:
        give_back(max_bytes)
    if truncated and must_fit and good:
        raise NetError(f"the answer of {named or url} is larger than {max_bytes} bytes", "too_large")
    return Answer(response.status_code, response.headers, body, truncated)


def _read(response: requests.Response, max_bytes: int, *, must_fit: bool) -> tuple[bytes, bool]:
    """The body up to `max_bytes`, straight from the raw stream (requests' own way copies it in 10 kB pieces).

    What is packed is counted unpacked, a chunk at a time. must_fit: of a larger one nothing is kept, and where its
    length says so, nothing is read.
    """
    length = response.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else 0
    if must_fit and size > max_bytes:
        return b"", True
    if 0 < size <= max_bytes and "Content-Encoding" not in response.headers:
        return response.raw.read(), False  # in one piece: joining pieces would copy a large answer twice more
    parts, left = [], max_bytes + 1
    while left > 0 and (part := response.raw.read(min(CHUNK, left), decode_content=True)):
        parts.append(part)
        left -= len(part)
    if left > 0:
        return b"".join(parts), False
    return (b"", True) if must_fit else (b"".join(parts)[:max_bytes], True)


def _proxies_for(session: requests.Session, url: str) -> dict[str, str]:
    """No proxies for a host that `no_proxy` names (requests looks for that in the environment only)."""
    without = session.proxies.get("no_proxy") or session.proxies.get("no") or ""
    if without and requests.utils.should_bypass_proxies(url, without):
        return {"http": "", "https": ""}
    return {}


def _net_error(error: Exception, watch: Watch, url: str, named: str, deadline: float) -> NetError:
    if watch.expired or isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return NetError(f"no full answer from {named} within {deadline:g} s", "timeout")
    text = hide_url(what_happened(error), url.reveal()) if isinstance(url, Secret) else what_happened(error)
    if isinstance(error, requests.exceptions.SSLError | ssl.SSLError):
        return NetError(f"TLS with {named} failed: {text}", "tls")
    return NetError(f"{named}: {text}", "network")


def what_happened(error: BaseException) -> str:
    """In a few words: requests wraps what urllib3 wraps, and their texts repeat each other."""
    for _ in range(10):
        around = (getattr(error, "reason", None), error.__cause__, *error.args)
        inner = next((item for item in around if isinstance(item, BaseException)), None)
        if inner is None:
            break
        error = inner
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _fetch_token(auth: OAuth2, form: Mapping[str, str], base_dir: Path) -> bytes:
    """POST the form to the token endpoint, within the time of the attempt that needs it. CredentialError."""
    outer: Watch | None = getattr(_current, "watch", None)
    left = TOKEN_TIME if outer is None else max(0.01, min(TOKEN_TIME, outer.ends - time.monotonic()))
    config = HttpConfig(tls_config=auth.tls_config)
    try:
        with open_session(config, base_dir) as session:
            content = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = call(
                session, "POST", auth.token_url, deadline=left, data=urlencode(form).encode(), headers=content
            )
    except NetError as error:
        raise CredentialError(f"no token from {auth.token_url}: {error}") from None
    finally:
        _current.watch = outer
    if answer.status != 200:
        raise CredentialError(f"no token from {auth.token_url}: HTTP {answer.status}")
    return answer.body


__all__ = ["Answer", "NetError", "call", "forget_credentials", "mount", "open_session", "what_happened"]
