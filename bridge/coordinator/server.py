"""Coordinator process: socket, HTTP server, signals."""

from __future__ import annotations

import logging
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from bridge.coordinator.app import create_app
from bridge.coordinator.config import CoordinatorConfig, split_listen
from bridge.coordinator.service import Coordinator
from bridge.domain.errors import StoreError
from bridge.domain.times import Timestamp
from bridge.net.http_server import BoundedServer, ServerThread
from bridge.net.listener import BoundedListener, address_of, listen
from bridge.net.session import NetError
from bridge.net.signals import wait_for_signal

_log = logging.getLogger(__name__)

_HOUSEKEEPING_SECONDS = 3600.0
_HTTP_LIMIT = 1.0  # seconds that open calls may still take at shutdown


def now() -> Timestamp:
    """Return the wall clock time, ms since the epoch. Nothing else in this package reads the clock."""
    return time.time_ns() // 1_000_000


def run(config: CoordinatorConfig) -> int:
    """Serve until SIGTERM or SIGINT, then stop within five seconds. Return the exit code: 0, or 1 on failure."""
    try:
        listener = _listen(config.listen)
    except OSError as error:
        _log.error("cannot listen", extra={"address": config.listen, "error": str(error)})
        return 1
    with listener:
        try:
            coordinator = Coordinator(config, now)
        except NetError as error:
            _log.error("cannot use bridge_http_config", extra={"error": str(error)})
            return 1
        except StoreError as error:
            _log.error("cannot use the storage", extra={"error": str(error)})
            return 1
        return _serve(config, coordinator, listener)


def _serve(config: CoordinatorConfig, coordinator: Coordinator, listener: BoundedListener) -> int:
    stop = threading.Event()
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # starts and stops are logged by this module
    try:
        server = BoundedServer(create_app(coordinator, config), listener, _tls(config))
    except OSError as error:
        _log.error("cannot use the TLS certificate and key", extra={"error": str(error)})
        coordinator.stop()
        return 1
    http = ServerThread(server, "http", stop.set)
    try:
        with _signals(stop):
            coordinator.start()
            http.start()
            _log.info("coordinator is listening", extra={"address": address_of(listener)})
            _keep_house(coordinator, stop)
    finally:
        _log.info("coordinator is stopping")
        http.request_stop()
        coordinator.stop()
        http.join(_HTTP_LIMIT)
    return 1 if http.failed else 0


def _keep_house(coordinator: Coordinator, stop: threading.Event) -> None:
    while not wait_for_signal(stop, _HOUSEKEEPING_SECONDS):
        try:
            coordinator.prune()
        except StoreError as error:
            _log.error("cannot delete old requests", extra={"error": str(error)})


def _listen(address: str) -> BoundedListener:
    return listen(*split_listen(address))


def _tls(config: CoordinatorConfig) -> ssl.SSLContext | None:
    if config.tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.tls.cert_file, config.tls.key_file, password=lambda: "")  # never prompt
    return context


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """Set `stop` on SIGTERM and SIGINT; restore the previous handlers afterwards."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
