"""Process of the daemon: start in order, and stop in reverse within five seconds."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.app import clock
from bridge.app.config_watch import ConfigWatch
from bridge.app.memory import exclude_start, keep_large_buffers
from bridge.app.scheduler import Scheduler
from bridge.app.wiring import Bridge, Options
from bridge.config.load import BridgeConfig, load
from bridge.domain.errors import ConfigError, StoreError
from bridge.domain.times import HOUR, SECOND, Duration
from bridge.net.files import read_text
from bridge.net.signals import wait_for_signal
from bridge.store.leases import Fence, FleetState
from bridge.store.sql import SqlStore
from bridge.web.http.server import Server
from bridge.web.http.settings import WebConfig, WebSettings, load_web_config
from bridge.web.http.starting import create_starting_app
from bridge.web.http.switch import Switch

if TYPE_CHECKING:  # these import FastAPI, which takes a quarter of the start and is not needed to evaluate
    from fastapi import FastAPI

    from bridge.app.fleet import Fleet, FleetOptions

log = logging.getLogger(__name__)

DATABASE = "retrain-bridge.db"
POLL_INTERVAL = 5 * SECOND
SILENCES_INTERVAL = 15 * SECOND
STORE_INTERVAL = 5 * SECOND
TAKE_OVER_LEASES = 2  # a take-over ends within so many leases
SERVER_LIMIT = 1.0  # seconds that the web server may take to stop
WORKERS = ("ThreadPoolExecutor", "AnyIO worker thread")  # names of threads with queries, and with password checks
WORKERS_LIMIT = 0.3  # seconds to wait for them at the end


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Options of the store, the web server and the reload.

    storage_url_file: file with a database URL, None = SQLite.
    auto_reload: time between two looks for changed configuration files, in ms; 0 = reload on request only.
    fleet: this process is one of several replicas on a PostgreSQL database; None = it is alone.
    """

    storage_path: Path
    storage_url_file: Path | None
    web: WebSettings
    auto_reload: Duration = 0
    fleet: FleetOptions | None = None


def open_store(options: ServeOptions) -> SqlStore:
    """Open the store of the command line. Raises StoreError."""
    if options.storage_url_file is not None:
        return SqlStore.open_url(_url_of(options.storage_url_file))
    return SqlStore.open_sqlite(options.storage_path / DATABASE)


def _url_of(file: Path) -> str:
    try:
        return read_text(file).strip()
    except OSError as error:
        raise StoreError(f"cannot read --storage.url-file {file}: {error.strerror}") from None


def run_service(options: Options, serve: ServeOptions) -> int:
    """Run until SIGTERM or SIGINT (0), or until another bridge has the database (1); SIGHUP reloads.

    Raises ConfigError, StoreError and OSError at the start.
    """
    keep_large_buffers()
    signals = Signals()
    watch = ConfigWatch(options.config_file)  # before the files are loaded
    config, web_config = load(options.config_file), load_web_config(serve.web.web_config_file)
    with ExitStack() as stack:
        _on_signals(signals)
        if serve.fleet is not None:
            _run_replica(stack, signals, options, serve, serve.fleet, web_config)
        else:
            store = open_store(serve)
            stack.callback(store.close)
            _run_alone(stack, signals, options, serve, Loaded(config, web_config, watch), store)
        log.info("stopping")
    _leave(signals.code)
    return signals.code


@dataclass(frozen=True, slots=True)
class Loaded:
    """Configuration at the start of an evaluation, and the watch over its files."""

    config: BridgeConfig
    web_config: WebConfig
    watch: ConfigWatch


def _run_alone(
    stack: ExitStack, signals: Signals, options: Options, serve: ServeOptions, loaded: Loaded, store: SqlStore
) -> None:
    """Evaluate and serve until a signal; this process alone uses the database."""
    switch = Switch(create_starting_app(serve.web, loaded.web_config))
    server = Server(switch, serve.web, loaded.web_config)
    server.start()
    stack.callback(server.stop, SERVER_LIMIT)

    def publish(app: FastAPI) -> str:
        switch.app = app
        stack.callback(server.stop, SERVER_LIMIT)  # before the bridge
        return server.address

    bridge, _ = _start(stack, options, serve, loaded, store, Hooks(publish, signals.give_up))
    _wait(signals, bridge, lambda: False)


def _run_replica(
    stack: ExitStack, signals: Signals, options: Options, serve: ServeOptions, about: FleetOptions, web: WebConfig
) -> None:
    """Serve as a standby, and evaluate whenever this replica has the lease, until a signal."""
    from bridge.app.fleet import Fleet  # noqa: PLC0415 - see above
    from bridge.app.forwarding import Forwarder  # noqa: PLC0415 - see above
    from bridge.web.standby import create_standby_app  # noqa: PLC0415 - see above

    if serve.storage_url_file is None:
        raise StoreError("--fleet needs PostgreSQL: name a file with its URL in --storage.url-file")
    url, watch = _url_of(serve.storage_url_file), ConfigWatch(options.config_file)
    fleet = Fleet(url, about, watch.digest, lambda: load(options.config_file), signals.came.set)
    patience = TAKE_OVER_LEASES * about.lease / SECOND
    forward = Forwarder(about.address.rstrip("/"), lambda: fleet.owner_address, about.http_config_file, patience)
    standby = create_standby_app(serve.web, web, fleet.metrics.render, forward)
    switch = Switch(standby)
    server = Server(switch, serve.web, web)
    server.start()
    stack.callback(server.stop, SERVER_LIMIT)
    fleet.start()
    stack.callback(fleet.stop)
    log.info("retrain-bridge started as a standby", extra={"address": server.address, "replica": fleet.id})
    while not signals.stop:
        fence = fleet.fence
        if fence is None:
            wait_for_signal(signals.came)
            signals.came.clear()
            continue
        try:
            with ExitStack() as owning:
                try:
                    _own(owning, signals, options, serve, fleet, fence, switch, web)
                finally:
                    switch.app = standby
        except (ConfigError, StoreError) as error:
            log.error("this replica cannot be the owner", extra={"error": str(error)})  # noqa: TRY400 - says it all
            fleet.hand_over(fence, str(error))


def _own(
    owning: ExitStack, signals: Signals, options: Options, serve: ServeOptions, fleet: Fleet, fence: Fence,
    switch: Switch, web: WebConfig,
) -> None:  # fmt: skip
    """Evaluate and deliver while the fence is this replica's. Raises ConfigError and StoreError at the start."""

    def publish(app: FastAPI) -> str:
        switch.app = app
        return ""

    watch = ConfigWatch(options.config_file)
    loaded = Loaded(load(options.config_file), web, watch)
    store = SqlStore.open_fleet(_url_of(serve.storage_url_file or Path()), fence, fleet.idle_limit)
    owning.callback(store.close)
    hooks = Hooks(
        publish,
        lambda: fleet.lose(fence, "another replica has taken over"),
        fleet.reloaded,
        fleet.metrics.render,
        lambda: fleet.state,
    )
    bridge, scheduler = _start(owning, replace(options, replica=fleet.id), serve, loaded, store, hooks)
    scheduler.every(fleet.check_interval, "lease", fleet.check)
    _wait(signals, bridge, lambda: fleet.fence is not fence)


@dataclass(frozen=True, slots=True)
class Hooks:
    """Differences between a process that is alone and the owner of a fleet.

    publish: serves the application, and returns its address.
    taken: called when another process has the database.
    reloaded: called when a reload was applied.
    metrics: returns further metrics.
    fleet: returns the fleet's state, None without one.
    """

    publish: Callable[[FastAPI], str]
    taken: Callable[[], None]
    reloaded: Callable[[], None] = lambda: None
    metrics: Callable[[], bytes] = bytes
    fleet: Callable[[], FleetState | None] = lambda: None


def _start(
    stack: ExitStack, options: Options, serve: ServeOptions, loaded: Loaded, store: SqlStore, hooks: Hooks
) -> tuple[Bridge, Scheduler]:
    """Start evaluating, delivering and serving; `stack` ends it."""
    config = loaded.config
    workers = max(4, len(config.groups) + 2)
    scheduler = Scheduler(
        lambda group: bridge.evaluate(group), workers=workers, lead=clock.lead, offset=clock.offset
    )  # fmt: skip

    def rescheduled(new: BridgeConfig) -> None:
        scheduler.schedule(new.groups)
        hooks.reloaded()

    bridge = Bridge(options, config, store, rescheduled=rescheduled, taken=hooks.taken)
    stack.callback(bridge.stop)
    bridge.start()
    stack.callback(scheduler.stop)
    _schedule(scheduler, bridge, config)
    if serve.auto_reload:
        scheduler.every(
            serve.auto_reload, "configuration", lambda: loaded.watch.check(bridge.commands.reload)
        )  # fmt: skip
    address = hooks.publish(_create_app(bridge, serve, loaded, hooks))  # after the first evaluation has started
    exclude_start()
    log.info("retrain-bridge started", extra={"address": address, "groups": len(config.groups)})
    return bridge, scheduler


def _create_app(bridge: Bridge, serve: ServeOptions, loaded: Loaded, hooks: Hooks) -> FastAPI:
    from bridge.web.app import create_app  # noqa: PLC0415 - see above

    return create_app(
        bridge.queries,
        bridge.commands,
        serve.web,
        lambda now: bridge.telemetry.render(now) + hooks.metrics(),
        loaded.web_config,
        clock.now,
        bridge.statuses.secrets,
        hooks.fleet,
        bridge.upstream(),
    )


def _leave(code: int) -> None:
    """Exit even if a query still waits for its answer; its slot is evaluated after the next start.

    A thread that compares a password aborts the process if the interpreter ends meanwhile: bcrypt is written in Rust.
    """
    deadline = time.monotonic() + WORKERS_LIMIT
    workers = [thread for thread in threading.enumerate() if thread.name.startswith(WORKERS)]
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


def _wait(signals: Signals, bridge: Bridge, lost: Callable[[], bool]) -> None:
    """Wait for signals, or until `lost`; the main thread does nothing else, so that it handles them at once."""
    while not signals.stop and not lost():
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
