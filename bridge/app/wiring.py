"""Builds the bridge in the order of a sample's path: source, engine, store, delivery, reports, server."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bridge.app import clock
from bridge.app.couriers import Couriers, Worker
from bridge.app.routing import Routes, build_sinks
from bridge.app.telemetry import Telemetry
from bridge.config.load import BridgeConfig, load
from bridge.domain.errors import ConfigError, StoreBusyError, StoreError
from bridge.domain.model import ModelTable
from bridge.domain.request import RequestRecord
from bridge.domain.times import DAY, SECOND, Duration, Timestamp
from bridge.engine.api.commands import EngineCommands
from bridge.engine.api.queries import EngineQueries
from bridge.engine.api.views import ReloadResult
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.engine.delivery.courier import Courier
from bridge.engine.delivery.open_alerts import OpenAlertIndex
from bridge.engine.delivery.resend import Resender, ResendSettings
from bridge.engine.engine import Engine
from bridge.engine.evaluation.expansion import External
from bridge.engine.evaluation.trail import Trails
from bridge.engine.requests.gates import unknown_silences
from bridge.net.redact import redact_url
from bridge.net.session import NetError
from bridge.ports import AlertSink, Sink, StatusSource, Store
from bridge.ports.request_alerts import Sender
from bridge.sinks.alertmanager import AlertmanagerConfig
from bridge.sinks.coordinator import CoordinatorSink
from bridge.sources.alertmanager_silences import AlertmanagerSilences, SilenceTarget
from bridge.sources.prometheus import PrometheusSource

log = logging.getLogger(__name__)

FIRST_SILENCES = 2.0  # seconds the start waits for them
_STORE_PROBLEM = "the store cannot be written: "
POLL_TIME = 4 * SECOND  # of one round of questions to the coordinators


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. retention in ms."""

    config_file: Path
    external_url: str = ""
    model_metrics: str = "auto"
    retention: Duration = 90 * DAY
    delivery: DeliverySettings = field(default_factory=DeliverySettings)


class Bridge:
    """Everything below the scheduler and the web server, put together; `reload` exchanges what a file can change.

    rescheduled: told the configuration that a reload put in force. taken: told when another bridge has the database.
    """

    def __init__(
        self,
        options: Options,
        config: BridgeConfig,
        store: Store,
        *,
        rescheduled: Callable[[BridgeConfig], None],
        taken: Callable[[], None] = lambda: None,
    ) -> None:
        self.options = options
        self.config = config
        self.store = store
        self._rescheduled = rescheduled
        self._taken = taken
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._problem = "starting"
        self._polled = -1
        self.table = ModelTable()
        self.source = self._build_source(config)
        self.silences = AlertmanagerSilences(silence_targets(config), config.base_dir)
        self.engine = Engine(self.source, store, self.table)
        self.engine.trails = Trails()
        self.queries = EngineQueries(
            self.engine, store, store,
            configured=lambda: list(self.sinks), why_not_ready=lambda: self._problem,
            configuration=lambda: self.config.redacted(), now=clock.now,
            prometheus_url=lambda: redact_url(self.config.prometheus.url), silent=lambda: self.silences.failing(),
        )  # fmt: skip
        self.commands = EngineCommands(
            self.engine, store, store, reload=self.reload, wake=lambda: self.couriers.wake(), now=clock.now
        )
        self.telemetry = Telemetry(self.queries, options.model_metrics, options.external_url, clock.lead)
        clock.watch(self.telemetry.clock_set)
        self.engine.start(clock.now())
        self.sinks: dict[str, Sink] = {}
        self.couriers = self._put_in_force(config, build_sinks(config, options.external_url))
        clock.not_before(max((last for _, last, _ in self.queries.group_times()), default=0))
        self.telemetry.reload(ok=True, at=clock.now())
        self._tell_unserved()

    # ------------------------------------------------------------ building

    def _build_source(self, config: BridgeConfig) -> PrometheusSource:
        timeout = config.global_.query_timeout / 1000
        return PrometheusSource(config.prometheus, self.table, config.base_dir, timeout=timeout)

    def _put_in_force(self, config: BridgeConfig, built: dict[str, Sink]) -> Couriers:
        """Rules, routes and receivers of `config`; its couriers are not started yet."""
        routes = Routes(config.route, built, config.global_.external_labels)
        limit = config.global_.catch_up_limit
        external = External(config.global_.external_labels, self.options.external_url)
        self.engine.configure(config.groups, routes, config.gates, catch_up_limit=limit, external=external)
        self.engine.retire_after, self.engine.dry_run = config.retire_after, config.dry_run
        self.engine.silences = self.silences.snapshot if silence_targets(config) else unknown_silences
        self.sinks = built
        rules = {rule.name: group.name for group in config.groups for rule in group.rules}
        self.telemetry.expect(rules, [group.name for group in config.groups], built)
        return Couriers(self._workers(built, OpenAlertIndex(self.engine, routes), config), clock.now)

    def _tell_unserved(self) -> None:
        """Name the destinations that something waits for though no receiver has them any more."""
        try:
            depths = self.store.depths()
        except StoreError:
            return  # it is told by whoever needs the store
        for place, depth in depths.items():
            if depth.pending and place not in self.sinks:
                fields = {"destination": place, "pending": depth.pending}
                log.warning("deliveries wait for a destination that is not configured any more", extra=fields)

    def _workers(self, built: Mapping[str, Sink], reminders: OpenAlertIndex, config: BridgeConfig) -> dict[str, Worker]:
        """A courier for every destination, and for every Alertmanager a refresher beside it."""
        workers: dict[str, Worker] = {}
        sender = Sender(self.options.external_url, config.global_.external_labels)
        refresh, rng = ResendSettings(resend_delay=config.global_.resend_delay), random.SystemRandom()
        for place, sink in built.items():
            settings = self._settings_of(sink)
            workers[place] = Courier(
                place, sink, self.store, self._worker, settings, self.telemetry.attempt, self.commands.settled, rng
            )
            if isinstance(sink, AlertSink):
                workers[f"{place} refresh"] = Resender(
                    place, sink, reminders, self.store, sender, settings, refresh, rng, self.telemetry.attempt
                )
        return workers

    def _settings_of(self, sink: Sink) -> DeliverySettings:
        """A lease outlives the attempt that it covers."""
        common = self.options.delivery
        deadline = getattr(sink, "attempt_deadline", common.attempt_deadline)
        lease = max(common.lease, 2 * deadline)
        return replace(common, attempt_deadline=deadline, lease=lease, rate=getattr(sink, "rate", None))

    def start(self) -> None:
        """Start delivering, and be ready."""
        self._first_silences()
        self.couriers.start()
        self._problem = ""

    # ------------------------------------------------------------ at work

    def evaluate(self, group: str) -> None:
        """One tick of a group: its report goes to telemetry, new work wakes the couriers."""
        generation = self.engine.generation
        try:
            report = self.engine.evaluate(group, clock.now())
        except StoreError as error:
            log.exception("tick was not stored; it is evaluated again", extra={"group": group, "error": str(error)})
            self._store_fails(error)
            return
        self._store_works()
        if report is not None:
            self.telemetry.tick(report)
        if (report is not None and report.queued) or self.engine.generation != generation:
            self.couriers.wake()

    def watch_store(self) -> None:
        """See that the database is still ours and can be written to, and load it anew if it may have changed."""
        try:
            self.store.check()
            self.engine.recover(clock.now())
        except StoreError as error:
            self._store_fails(error)
        else:
            self._store_works()

    def _store_fails(self, error: StoreError) -> None:
        self.telemetry.store(works=False)
        problem = f"{_STORE_PROBLEM}{error}"
        if self._problem != problem and (not self._problem or self._problem.startswith(_STORE_PROBLEM)):
            log.error("the store cannot be used", extra={"error": str(error)})
            self._problem = problem
        if isinstance(error, StoreBusyError):
            log.critical("another bridge uses the database; this one ends", extra={"error": str(error)})
            self._taken()

    def _store_works(self) -> None:
        self.telemetry.store(works=True)
        if self._problem.startswith(_STORE_PROBLEM):
            self._problem = ""
            log.info("the store can be used again")

    def poll(self) -> None:
        """Ask the coordinators what became of the requests that they took; a slow one is gone on with the next time."""
        reporting = {place: sink for place, sink in self.sinks.items() if isinstance(sink, StatusSource)}
        if not reporting:
            return
        wanted = [
            (record.id, reporting[place])
            for record in self._in_flight()
            for place in record.destinations
            if place in reporting
        ]
        ends = clock.now() + POLL_TIME
        for _ in range(len(wanted)):
            self._polled = (self._polled + 1) % len(wanted)
            request_id, sink = wanted[self._polled]
            report = sink.status(request_id, clock.now())
            if report is not None:
                self.commands.report_status(report)
            if clock.now() > ends:
                break

    def secrets(self) -> list[str]:
        """What coordinators sign their status reports with; a file that cannot be read gives none and is logged."""
        found: list[str] = []
        for place, sink in self.sinks.items():
            if isinstance(sink, CoordinatorSink):
                try:
                    found += sink.secrets()
                except NetError as error:
                    log.warning("secret cannot be read", extra={"destination": place, "error": str(error)})
        return found

    def _in_flight(self) -> list[RequestRecord]:
        with self.engine.lock:
            return [record for record in self.engine.book.requests.values() if record.state.in_flight]

    def fetch_silences(self) -> None:
        """Ask the Alertmanagers what is silenced."""
        if silence_targets(self.config):
            self.silences.fetch(clock.now())

    def _first_silences(self) -> None:
        """Known before the first tick where they come soon; the start waits for no Alertmanager that hangs."""
        first = threading.Thread(target=self.fetch_silences, name="first silences", daemon=True)
        first.start()
        first.join(FIRST_SILENCES)

    def prune(self) -> None:
        """Forget what is older than the retention."""
        rows = self.store.prune(clock.now() - self.options.retention)
        log.info("pruned", extra={"rows": rows})

    # ------------------------------------------------------------ reload and stop

    def reload(self) -> ReloadResult:
        """Put the files as they are now in force, or keep what is and say why."""
        at: Timestamp = clock.now()
        try:
            config = load(self.options.config_file)
            source, built = self._build_source(config), build_sinks(config, self.options.external_url)
            known = self.silences.snapshot()
            silences = AlertmanagerSilences(silence_targets(config), config.base_dir, known=known)
        except (ConfigError, OSError) as error:
            self.telemetry.reload(ok=False, at=at)
            log.error("configuration was not reloaded", extra={"error": str(error)})  # noqa: TRY400 - says it all
            return ReloadResult(ok=False, message=str(error))
        self.couriers.stop(4.0)
        old_sinks, old_source, old_silences = self.sinks, self.source, self.silences
        self.silences = silences
        self.engine.source = self.source = source
        self.config = config
        self.couriers = self._put_in_force(config, built)
        self.couriers.start()
        close_all(old_sinks)
        old_source.close()
        old_silences.close()
        self.fetch_silences()
        self._rescheduled(config)
        self.telemetry.reload(ok=True, at=at)
        self._tell_unserved()
        log.info("configuration reloaded", extra={"file": str(self.options.config_file)})
        return ReloadResult(ok=True)

    def stop(self) -> None:
        """Stop delivering; what is under way gets 3 seconds, its lease repeats it."""
        self._problem = "stopping"
        self.engine.close()
        self.couriers.stop(3.0)
        close_all(self.sinks)
        self.source.close()
        self.silences.close()


def silence_targets(config: BridgeConfig) -> list[SilenceTarget]:
    """The Alertmanagers of all receivers: what is silenced there holds requests back."""
    return [
        SilenceTarget(entry.url, entry.http_config)
        for entries in config.receivers.values()
        for _, entry in entries
        if isinstance(entry, AlertmanagerConfig)
    ]


def close_all(built: dict[str, Sink]) -> None:
    """Close the sinks' sessions."""
    for sink in built.values():
        sink.close()
