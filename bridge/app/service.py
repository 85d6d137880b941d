"""The process: everything started in order, and stopped in reverse within five seconds."""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bridge.app import clock
from bridge.app.scheduler import Scheduler
from bridge.app.wiring import Bridge, Options
from bridge.config.load import BridgeConfig, load
from bridge.domain.times import HOUR, SECOND
from bridge.store.sql import SqlStore
from bridge.web.app import create_app
from bridge.web.server import Server
from bridge.web.settings import WebSettings, load_web_config

log = logging.getLogger(__name__)

DATABASE = "retrain-bridge.db"
POLL_INTERVAL = 5 * SECOND


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Where the store is and where the web server listens."""

    storage_path: Path
    storage_url_file: Path | None
    web: WebSettings


def open_store(options: ServeOptions) -> SqlStore:
    """The store that the command line names. Raises StoreError."""
    if options.storage_url_file is not None:
        return SqlStore.open_url(options.storage_url_file.read_text(encoding="utf-8").strip())
    return SqlStore.open_sqlite(options.storage_path / DATABASE)


def run_service(options: Options, serve: ServeOptions) -> int:
    """Run until SIGTERM or SIGINT; SIGHUP reloads. Raises ConfigError, StoreError and OSError at the start."""
    stop, hang_up = threading.Event(), threading.Event()
    config, web_config = load(options.config_file), load_web_config(serve.web.web_config_file)
    with ExitStack() as stack:
        _on_signals(stop, hang_up)
        store = open_store(serve)
        stack.callback(store.close)
        scheduler = Scheduler(lambda group: bridge.evaluate(group), workers=max(4, len(config.groups) + 2))
        bridge = Bridge(options, config, store, rescheduled=lambda new: scheduler.schedule(new.groups))
        stack.callback(bridge.stop)
        app = create_app(
            bridge.queries, bridge.commands, serve.web, bridge.telemetry.render, web_config, clock.now, bridge.secrets
        )
        server = Server(app, serve.web, web_config)
        server.start()
        stack.callback(server.stop, 1.0)
        bridge.start()
        _schedule(scheduler, bridge, config)
        stack.callback(scheduler.stop)
        log.info("retrain-bridge runs", extra={"address": server.address, "groups": len(config.groups)})
        _wait(stop, hang_up, bridge)
        log.info("stopping")
    return 0


def _schedule(scheduler: Scheduler, bridge: Bridge, config: BridgeConfig) -> None:
    scheduler.every(POLL_INTERVAL, "poll", bridge.poll)
    scheduler.every(HOUR, "prune", bridge.prune)
    scheduler.schedule(config.groups)
    scheduler.start()


def _wait(stop: threading.Event, hang_up: threading.Event, bridge: Bridge) -> None:
    """Sleep until a signal; the main thread does nothing else, so that signals are taken at once."""
    while not stop.wait(0.2):
        if hang_up.is_set():
            hang_up.clear()
            bridge.commands.reload()


def _on_signals(stop: threading.Event, hang_up: threading.Event) -> None:
    def on_stop(*_: object) -> None:
        if stop.is_set():  # asked twice: at once; nothing that was committed is lost
            os._exit(1)
        stop.set()

    signal.signal(signal.SIGTERM, on_stop)
    signal.signal(signal.SIGINT, on_stop)
    signal.signal(signal.SIGHUP, lambda *_: hang_up.set())
