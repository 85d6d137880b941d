"""Runs the application in a thread, without touching the process's signals."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading

import uvicorn
from fastapi import FastAPI

from bridge.domain.errors import BridgeError
from bridge.web.settings import WebSettings
from bridge.web.tls import server_context
from bridge.web.web_config import WebConfig

log = logging.getLogger(__name__)

GRACE = 1.0  # seconds that answers under way may still take when the server stops
_HEAD_MAX = 64 * 1024


class AddressInUse(BridgeError):  # noqa: N818 - reads as what it says
    """Somebody else listens there, or the address is not ours."""


class _Quiet(uvicorn.Server):
    """Waits for the order to stop instead of looking for it ten times a second; once a second the Date is renewed."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """A client that does not take its answer keeps its connection open for ever: it is cut off at the end."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)  # lets the transports close their sockets

    def ask_to_stop(self) -> None:
        """From any thread."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._stop.set)


class Server:
    """One listening server. Made, it has its address and its certificates: else AddressInUse or ConfigError.

    start() returns at once; from then on clients are answered. stop() waits at most `timeout` seconds.
    """

    def __init__(self, app: FastAPI, settings: WebSettings, config: WebConfig) -> None:
        options = uvicorn.Config(
            app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, server_header=False, access_log=False,
            h11_max_incomplete_event_size=_HEAD_MAX, ws="none", http="h11", loop="asyncio",
            proxy_headers=False,  # who asks is who connected, whatever a header says
        )  # fmt: skip
        options.load()
        tls = config.tls_server_config
        if tls is not None and settings.web_config_file is not None:
            options.ssl = server_context(tls, settings.web_config_file)
        self._socket = _listen(settings)
        self._address = _shown(self._socket)
        self._server = _Quiet(options)
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
        self._server.config.timeout_graceful_shutdown = max(0.0, min(GRACE, timeout - 0.5))  # type: ignore[assignment]
        self._server.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self._socket.close()

    def _run(self) -> None:
        try:
            self._server.run([self._socket])
        except Exception:
            log.exception("the web server ended")


def _listen(settings: WebSettings) -> socket.socket:
    host, both = settings.host, not settings.host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if ":" in host or both else socket.AF_INET
    try:
        listening = socket.create_server((host, settings.port), family=family, backlog=128, dualstack_ipv6=both)
    except OSError as error:
        known = error.errno is not None and error.errno > 0  # else a name that does not resolve
        why = os.strerror(error.errno or 0) if known else error.strerror
        raise AddressInUse(f"cannot listen on {settings.listen}: {why}") from None
    # asyncio does not do that for a listening socket that it did not make; connections take it over.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _shown(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
