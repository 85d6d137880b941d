"""The coordinator as a process: socket, HTTP server, signals."""

from __future__ import annotations

import logging
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from bridge.coordinator.app import create_app
from bridge.coordinator.config import CoordinatorConfig, split_listen
from bridge.coordinator.service import Coordinator
from bridge.domain.errors import StoreError
from bridge.domain.times import Timestamp
from bridge.net.door import Door, listen
from bridge.net.http_server import BoundedServer
from bridge.net.session import NetError

_log = logging.getLogger(__name__)

_HOUSEKEEPING_SECONDS = 3600.0
_HTTP_LIMIT = 1.0  # seconds that open calls may still take at a stop


def now() -> Timestamp:
    """The wall clock, ms since the epoch. The only place of this package that reads it."""
    return time.time_ns() // 1_000_000


def run(config: CoordinatorConfig) -> int:
    """Serve until SIGTERM or SIGINT, then end within five seconds. Exit code: 0, or 1 when it cannot start or go on."""
    try:
        listener = _listen(config.listen)
    except OSError as error:
        _log.error("cannot listen", extra={"address": config.listen, "error": str(error)})
        return 1
    with listener:
        try:
            coordinator = Coordinator(config, now)
        except NetError as error:
            _log.error("cannot call a bridge with this bridge_http_config", extra={"error": str(error)})
            return 1
        except StoreError as error:
            _log.error("cannot use the storage", extra={"error": str(error)})
            return 1
        return _serve(config, coordinator, listener)


def _serve(config: CoordinatorConfig, coordinator: Coordinator, listener: Door) -> int:
    stop = threading.Event()
    try:
        http = HttpServer(config, coordinator, listener, stop.set)
    except OSError as error:
        _log.error("cannot use the certificate and key of tls", extra={"error": str(error)})
        return 1
    try:
        with _signals(stop):
            coordinator.start()
            http.start()
            _log.info("coordinator is listening", extra={"address": _address(listener)})
            _keep_house(coordinator, stop)
    finally:
        _log.info("coordinator is stopping")
        http.request_stop()
        coordinator.stop()
        http.join(_HTTP_LIMIT)
    return 1 if http.failed else 0


def _keep_house(coordinator: Coordinator, stop: threading.Event) -> None:
    while not stop.wait(_HOUSEKEEPING_SECONDS):
        try:
            coordinator.prune()
        except StoreError as error:
            _log.error("old requests cannot be removed", extra={"error": str(error)})


class HttpServer:
    """uvicorn in a thread of its own, so that the main thread keeps the signals."""

    def __init__(
        self, config: CoordinatorConfig, coordinator: Coordinator, listener: Door, ended: Callable[[], None]
    ) -> None:
        logging.getLogger("uvicorn").setLevel(logging.WARNING)  # starts and stops are logged here, with their facts
        self._server = BoundedServer(create_app(coordinator, config), listener, _tls(config))
        self._ended = ended
        self._thread: threading.Thread | None = None
        self._stopping = False
        self.failed = False

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def request_stop(self) -> None:
        self._stopping = True
        self._server.request_stop()

    def join(self, limit: float) -> None:
        if self._thread:
            self._thread.join(limit)

    def _run(self) -> None:
        try:
            self._server.serve_door()
        except (OSError, SystemExit) as error:
            _log.error("the HTTP server ended", extra={"error": str(error)})
        finally:
            self.failed = not self._stopping
            self._ended()


def _listen(address: str) -> Door:
    return listen(*split_listen(address))


def _tls(config: CoordinatorConfig) -> ssl.SSLContext | None:
    if config.tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.tls.cert_file, config.tls.key_file, password=lambda: "")  # never asked for
    return context


def _address(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop`; what was there before comes back."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
