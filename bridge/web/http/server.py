"""HTTP server in a thread, which leaves the signals of the process alone."""

from __future__ import annotations

import logging
from functools import partial

from starlette.types import ASGIApp

from bridge.net.http_server import GRACE, BoundedServer, ServerThread
from bridge.net.listener import address_of
from bridge.web.http.address import bound
from bridge.web.http.settings import WebSettings
from bridge.web.http.tls import allowed, server_context
from bridge.web.http.web_config import WebConfig

log = logging.getLogger(__name__)


class Server:
    """Web server. Binds its address and loads certificates at once; raises AddressInUseError or ConfigError."""

    def __init__(self, app: ASGIApp, settings: WebSettings, config: WebConfig) -> None:
        tls, file = config.tls_server_config, settings.web_config_file
        context = server_context(tls, file) if tls is not None and file is not None else None
        self._socket = bound(settings)
        self._address = address_of(self._socket)
        names = tls.client_allowed_sans if tls is not None else None
        admits = partial(allowed, names=names) if names else None
        self._server = BoundedServer(app, self._socket, context, admits)
        self._thread = ServerThread(self._server, "web")
        for note in config.notes():
            log.info("web config file", extra={"file": str(file), "note": note})

    @property
    def address(self) -> str:
        """Actual listen address, HOST:PORT."""
        return self._address

    def start(self) -> None:
        """Start serving clients, and return at once."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop serving within `timeout` seconds: running requests may finish, slow clients are disconnected."""
        self._thread.request_stop(max(0.0, min(GRACE, timeout - 0.5)))
        self._thread.join(timeout)
        self._socket.close()
