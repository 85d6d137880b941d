"""uvicorn with connection limits and timeouts, and a prompt shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from bridge.net.listener import BACKLOG, BoundedListener

GRACE = 1.0  # seconds that responses in progress may still take when the server stops
log = logging.getLogger(__name__)

Admits = Callable[[Mapping[str, Any] | None], bool]  # certificate as getpeercert() has it -> may it connect
_HEAD_MAX = 64 * 1024
_AWAITED = {h11.IDLE: "head", h11.SEND_BODY: "body"}


class BoundedServer(uvicorn.Server):
    """Server of `app` behind `listener`. It waits for the stop event instead of polling for it ten times a second.

    admits: whether a client with this verified certificate may send requests.
    """

    def __init__(
        self, app: Any, listener: BoundedListener, tls: ssl.SSLContext | None = None, admits: Admits | None = None
    ) -> None:
        options = uvicorn.Config(
            app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, server_header=False, access_log=False,
            h11_max_incomplete_event_size=_HEAD_MAX, ws="none", http="h11", loop="asyncio", backlog=BACKLOG,
            proxy_headers=False,  # the client is the peer of the connection, whatever a header says
        )  # fmt: skip
        options.load()
        options.ssl = tls
        options.http_protocol_class = functools.partial(_Connection, listener, admits)  # type: ignore[assignment]
        super().__init__(options)
        self._listener = listener
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def serve_listener(self) -> None:
        """Serve until request_stop()."""
        self.run([self._listener])

    async def main_loop(self) -> None:
        """Refresh the Date header and close slow connections, once a second."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            self._listener.cut_late()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 1.0)

    async def shutdown(self, sockets: Any = None) -> None:
        """Wait for responses in progress, then close every connection, even one whose client does not read."""
        await super().shutdown(sockets)
        self._listener.cut_all()
        await asyncio.sleep(0)  # lets the transports close their sockets

    def request_stop(self, grace: float = GRACE) -> None:
        """Stop the server, from any thread; responses in progress may take `grace` seconds."""
        self.config.timeout_graceful_shutdown = grace  # type: ignore[assignment]
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stop.set)


class ServerThread:
    """Server in a thread of its own, so that the main thread handles signals.

    ended: called when the server stops.
    failed: True after it stopped without a request to.
    """

    def __init__(self, server: BoundedServer, name: str, ended: Callable[[], None] = lambda: None) -> None:
        self._server = server
        self._ended = ended
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.failed = False

    def start(self) -> None:
        """Start serving, and return at once."""
        self._thread.start()

    def request_stop(self, grace: float = GRACE) -> None:
        """Stop the server; responses in progress may take `grace` seconds."""
        self._stopping = True
        self._server.request_stop(grace)

    @property
    def alive(self) -> bool:
        """True while it serves."""
        return self._thread.is_alive()

    def join(self, limit: float) -> None:
        """Wait for the server's end, `limit` seconds at most."""
        if self._thread.ident is not None:
            self._thread.join(limit)

    def _run(self) -> None:
        try:
            self._server.serve_listener()
        except (Exception, SystemExit):
            log.exception("the HTTP server failed")
        finally:
            self.failed = not self._stopping
            self._ended()


class _Connection(H11Protocol):
    """Connection of uvicorn that reports what it waits for."""

    def __init__(self, listener: BoundedListener, admits: Admits | None, **options: Any) -> None:
        super().__init__(**options)
        self._listener = listener
        self._admits = admits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Link the accepted socket with this connection."""
        super().connection_made(transport)
        connection = self._listener.connection(transport.get_extra_info("socket").fileno())
        if connection is not None:
            connection.client = self
        if self._admits is not None and not self._admits(transport.get_extra_info("peercert")):
            log.warning("client certificate without an allowed name", extra={"client": self.client})
            transport.abort()

    def waits_for(self) -> tuple[str, object]:
        """Return what the client must do next, and the request concerned."""
        if self.transport.is_closing() or self.flow.write_paused:
            return "answer", self.cycle
        return _AWAITED.get(self.conn.their_state, ""), self.cycle

    def abort(self) -> None:
        """Close the connection at once, dropping unsent data."""
        self.transport.abort()
