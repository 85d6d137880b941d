"""Process of the daemon: start in order, and stop in reverse within five seconds."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bridge.app import clock
from bridge.app.config_watch import ConfigWatch
from bridge.app.memory import collect_rarely, keep_large_buffers
from bridge.app.scheduler import Scheduler
from bridge.app.wiring import Bridge, Options
from bridge.config.load import BridgeConfig, load
from bridge.domain.errors import StoreError
from bridge.domain.times import HOUR, SECOND, Duration
from bridge.net.files import read_text
from bridge.net.signals import wait_for_signal
from bridge.store.sql import SqlStore
from bridge.web.app import create_app
from bridge.web.http.server import Server
from bridge.web.http.settings import WebSettings, load_web_config

log = logging.getLogger(__name__)

DATABASE = "retrain-bridge.db"
POLL_INTERVAL = 5 * SECOND
SILENCES_INTERVAL = 15 * SECOND
STORE_INTERVAL = 5 * SECOND
SERVER_LIMIT = 1.0  # seconds that the web server may take to stop
QUERIES_LIMIT = 0.3  # seconds to wait for queries under way at the end


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Options of the store, the web server and the reload.

    storage_url_file: file with a database URL, None = SQLite.
    auto_reload: time between two looks for changed configuration files, in ms; 0 = reload on request only.
    """

    storage_path: Path
    storage_url_file: Path | None
    web: WebSettings
    auto_reload: Duration = 0


def open_store(options: ServeOptions) -> SqlStore:
    """Open the store of the command line. Raises StoreError."""
    if options.storage_url_file is not None:
        try:
            url = read_text(options.storage_url_file).strip()
        except OSError as error:
            raise StoreError(f"cannot read --storage.url-file {options.storage_url_file}: {error.strerror}") from None
        return SqlStore.open_url(url)
    return SqlStore.open_sqlite(options.storage_path / DATABASE)


def run_service(options: Options, serve: ServeOptions) -> int:
    """Run until SIGTERM or SIGINT (0), or until another bridge has the database (1); SIGHUP reloads.

    Raises ConfigError, StoreError and OSError at the start.
    """
    keep_large_buffers()
    signals = Signals()
    watch = ConfigWatch(options.config_file, lambda: bridge.commands.reload())  # before the files are loaded
    config, web_config = load(options.config_file), load_web_config(serve.web.web_config_file)
    with ExitStack() as stack:
        _on_signals(signals)
        store = open_store(serve)
        stack.callback(store.close)
        workers = max(4, len(config.groups) + 2)
        scheduler = Scheduler(lambda group: bridge.evaluate(group), workers=workers, lead=clock.lead)
        bridge = Bridge(
            options, config, store, rescheduled=lambda new: scheduler.schedule(new.groups), taken=signals.give_up
        )
        stack.callback(bridge.stop)
        app = create_app(
            bridge.queries,
            bridge.commands,
            serve.web,
            bridge.telemetry.render,
            web_config,
            clock.now,
            bridge.statuses.secrets,
        )
        server = Server(app, serve.web, web_config)
        server.start()
        stack.callback(server.stop, SERVER_LIMIT)
        bridge.start()
        collect_rarely()
        _schedule(scheduler, bridge, config)
        if serve.auto_reload:
            scheduler.every(serve.auto_reload, "configuration", watch.check)
        stack.callback(scheduler.stop)
        log.info("retrain-bridge started", extra={"address": server.address, "groups": len(config.groups)})
        _wait(signals, bridge)
        log.info("stopping")
    _leave(signals.code)
    return signals.code


def _leave(code: int) -> None:
    """Exit even if a query still waits for its answer; its slot is evaluated after the next start."""
    deadline = time.monotonic() + QUERIES_LIMIT
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]
    for thread in workers:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in workers):
        logging.shutdown()
        os._exit(code)


def _schedule(scheduler: Scheduler, bridge: Bridge, config: BridgeConfig) -> None:
    scheduler.every(POLL_INTERVAL, "poll", bridge.statuses.poll)
    scheduler.every(HOUR, "prune", bridge.prune)
    scheduler.every(STORE_INTERVAL, "store", bridge.store_watch.check)
    scheduler.every(SILENCES_INTERVAL, "silences", bridge.silences.fetch)
    scheduler.schedule(config.groups)
    scheduler.start()


def _wait(signals: Signals, bridge: Bridge) -> None:
    """Wait for signals; the main thread does nothing else, so that it handles them at once."""
    while not signals.stop:
        wait_for_signal(signals.came)
        signals.came.clear()
        if signals.hang_up and not signals.stop:
            signals.hang_up = False
            bridge.commands.reload()


@dataclass(slots=True)
class Signals:
    """Signals received by the process.

    came: set on each signal.
    stop: True after SIGTERM or SIGINT.
    hang_up: True after SIGHUP, until the reload.
    code: the exit code.
    """

    came: threading.Event = field(default_factory=threading.Event)
    stop: bool = False
    hang_up: bool = False
    code: int = 0

    def give_up(self) -> None:
        """Stop with exit code 1, because another process has the database."""
        self.stop, self.code = True, 1
        self.came.set()


def _on_signals(signals: Signals) -> None:
    def on_stop(*_: object) -> None:
        if signals.stop:  # second signal: exit at once; nothing that was committed is lost
            os._exit(1)
        signals.stop = True
        signals.came.set()

    def on_hang_up(*_: object) -> None:
        signals.hang_up = True
        signals.came.set()

    signal.signal(signal.SIGTERM, on_stop)
    signal.signal(signal.SIGINT, on_stop)
    signal.signal(signal.SIGHUP, on_hang_up)
