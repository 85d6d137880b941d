"""Runs the application in a thread, without touching the process's signals."""

from __future__ import annotations

import socket
import threading

import uvicorn
from fastapi import FastAPI

from bridge.domain.errors import BridgeError
from bridge.web.settings import WebConfig, WebSettings, server_context


class AddressInUse(BridgeError):  # noqa: N818 - reads as what it says
    """Somebody else listens there, or the address is not ours."""


class _Uvicorn(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """The process has its own."""


class Server:
    """One listening server. start() returns when it answers; stop() waits at most `timeout` seconds."""

    def __init__(self, app: FastAPI, settings: WebSettings, config: WebConfig) -> None:
        self._settings = settings
        self._socket = self._bind()
        tls = config.tls_server_config
        options = uvicorn.Config(
            app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, server_header=False, access_log=False,
            h11_max_incomplete_event_size=64 * 1024, ws="none",
        )  # fmt: skip
        options.load()
        if tls is not None and settings.web_config_file is not None:
            options.ssl = server_context(tls, settings.web_config_file.parent)
        self._server = _Uvicorn(options)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="web", daemon=True)

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self._settings.host or "0.0.0.0", self._settings.port))  # noqa: S104 - ":9095" means all
        except OSError as error:
            listening.close()
            raise AddressInUse(f"cannot listen on {self._settings.listen}: {error.strerror}") from None
        return listening

    @property
    def address(self) -> str:
        """HOST:PORT that it really listens on."""
        host, port = self._socket.getsockname()[:2]
        return f"{host}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._socket.listen(128)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop answering; slow clients are cut off."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self._server.force_exit = True
        self._socket.close()
