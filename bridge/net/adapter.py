"""requests' adapter over urllib3 connections with our TLS settings, which a watchdog can end."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import ProxyManager

from bridge.net.http_config import TlsConfig
from bridge.net.redact import redact
from bridge.net.tls import limit, load_pair, trust
from bridge.net.watchdog import Watch

current = threading.local()  # watch: the Watch over the attempt of this thread, None or missing = none


class NetError(Exception):
    """Attempt without a usable response. reason: timeout | network | tls | too_large | credential. Redacted message.

    sent: False if the server certainly received nothing.
    """

    def __init__(self, message: str, reason: str, *, sent: bool = True) -> None:
        super().__init__(redact(message))
        self.reason = reason
        self.sent = sent


def _announce(connection: Any) -> None:
    watch: Watch | None = getattr(current, "watch", None)
    if watch is not None:
        watch.use(connection)


class _Connection(HTTPConnection):
    """Connection that registers itself with the current watch."""

    def connect(self) -> None:
        _announce(self)
        super().connect()
        _announce(self)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _announce(self)
        super().request(*args, **kwargs)


class _SecureConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class Adapter(HTTPAdapter):
    """requests' adapter with configured TLS, connections for the watchdog, and no retries."""

    def __init__(self, tls: TlsConfig, base_dir: Path, proxy_headers: Mapping[str, str]) -> None:
        self._tls = tls
        self._base_dir = base_dir
        self._proxy_headers = dict(proxy_headers)
        super().__init__(max_retries=urllib3.Retry(0, read=False), pool_connections=4, pool_maxsize=16)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        """Create the pool manager with our TLS settings and connections."""
        super().init_poolmanager(connections, maxsize, block, **kwargs, **self._pool_settings())
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> ProxyManager:
        """Return the pool manager of a proxy, with our TLS settings and connections."""
        manager: ProxyManager = super().proxy_manager_for(proxy, **kwargs, **self._pool_settings())
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Return the headers for a proxy, those of `proxy_connect_header` included."""
        return {**super().proxy_headers(proxy), **self._proxy_headers}

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """Return the pool key without TLS parameters: requests' own certificates would override the SSL context."""
        host_params, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host_params, {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Do nothing: verification is configured in the SSL context."""

    def exchange(
        self, request: requests.PreparedRequest, server: str, target: str, deadline: float
    ) -> BaseHTTPResponse:
        """Send a request over a connection of the pool, and return the response, its body unread.

        Raises HTTPError of urllib3, and OSError.

        server: scheme, host and port. target: path and query. deadline: seconds that any wait may take.
        """
        response: BaseHTTPResponse = self.poolmanager.connection_from_url(server).urlopen(
            str(request.method), target, request.body, dict(request.headers), self.max_retries, redirect=False,
            assert_same_host=False, timeout=deadline, preload_content=False, decode_content=False,
        )  # fmt: skip
        return response

    def _pool_settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"ssl_context": tls_context(self._tls, self._base_dir)}
        if self._tls.server_name:
            settings |= {"server_hostname": self._tls.server_name, "assert_hostname": self._tls.server_name}
        return settings


def tls_context(tls: TlsConfig, base_dir: Path) -> ssl.SSLContext:
    """Return the SSL context for `tls`. Raises NetError (reason tls), which names an unusable file."""
    own = bool(tls.ca or tls.ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if own:
            trust(context, tls.ca, base_dir / tls.ca_file)
        else:
            context.load_default_certs()
        if tls.cert or tls.cert_file:
            load_pair(context, tls.cert, base_dir / tls.cert_file, tls.key.reveal(), base_dir / tls.key_file)
        limit(context, tls.min_version or min(tls.max_version or "TLS12", "TLS12"), tls.max_version)
    except (OSError, ssl.SSLError) as error:
        names = ("ca", "ca_file", "cert", "cert_file", "key", "key_file")
        used = [str(base_dir / getattr(tls, name)) if "_" in name else name for name in names if getattr(tls, name)]
        raise NetError(f"cannot use {', '.join(used)}: {error}", "tls") from None
    if tls.insecure_skip_verify:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the operator chose it
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
