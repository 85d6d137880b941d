"""Runs the application in a thread, without touching the process's signals."""

from __future__ import annotations

import logging
import os
import socket
import threading

from fastapi import FastAPI

from bridge.domain.errors import BridgeError
from bridge.net.door import Door, listen
from bridge.net.http_server import GRACE, BoundedServer
from bridge.web.http.settings import WebSettings
from bridge.web.http.tls import server_context
from bridge.web.http.web_config import WebConfig

log = logging.getLogger(__name__)


class AddressInUseError(BridgeError):
    """Somebody else listens there, or the address is not ours."""


class Server:
    """One listening server. Made, it has its address and its certificates: else AddressInUseError or ConfigError.

    start() returns at once; from then on clients are answered. stop() waits at most `timeout` seconds.
    """

    def __init__(self, app: FastAPI, settings: WebSettings, config: WebConfig) -> None:
        tls, file = config.tls_server_config, settings.web_config_file
        context = server_context(tls, file) if tls is not None and file is not None else None
        self._socket = _listen(settings)
        self._address = _shown(self._socket)
        self._server = BoundedServer(app, self._socket, context)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    @property
    def address(self) -> str:
        """HOST:PORT that it really listens on."""
        return self._address

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop answering. What is under way gets a moment, slow clients are cut off."""
        self._server.request_stop(max(0.0, min(GRACE, timeout - 0.5)))
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self._socket.close()

    def _run(self) -> None:
        try:
            self._server.serve_door()
        except Exception:
            log.exception("the web server ended")


def _listen(settings: WebSettings) -> Door:
    try:
        return listen(settings.host, settings.port)
    except OSError as error:
        known = error.errno is not None and error.errno > 0  # else a name that does not resolve
        why = os.strerror(error.errno or 0) if known else error.strerror
        raise AddressInUseError(f"cannot listen on {settings.listen}: {why}") from None


def _shown(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
