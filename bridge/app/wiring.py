"""Construction of the bridge: source, engine, store, delivery and telemetry."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bridge.app import clock
from bridge.app.adapters import Adapters, build_adapters, silence_targets
from bridge.app.config_changes import ConfigChanges
from bridge.app.couriers import Couriers
from bridge.app.routing import Routes
from bridge.app.silence_fetching import SilenceCreator, SilenceFetcher
from bridge.app.status_polling import StatusPoller
from bridge.app.store_watch import Readiness, StoreWatch
from bridge.app.telemetry import Telemetry
from bridge.app.workers import build_workers, warn_of_unserved
from bridge.config.load import BridgeConfig, load
from bridge.domain.errors import ConfigError, StoreError
from bridge.domain.model import ModelTable
from bridge.domain.times import DAY, Duration, Timestamp
from bridge.engine.access import EngineSettings
from bridge.engine.api.commands import EngineCommands
from bridge.engine.api.queries import EngineQueries
from bridge.engine.api.signal_history import SignalHistories
from bridge.engine.api.views import ReloadResult
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.engine.delivery.open_alerts import OpenAlertIndex
from bridge.engine.engine import Engine
from bridge.engine.evaluation.expansion import External
from bridge.engine.evaluation.trail import Trails
from bridge.engine.requests.gates import unknown_silences
from bridge.net.redact import redact_url
from bridge.ports import Store
from bridge.web.upstream import Upstream

log = logging.getLogger(__name__)

DELIVERIES_LIMIT = 3.0  # seconds that deliveries in progress may take at the end


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command line. retention: in ms. replica: name of this replica of a fleet, "" without one."""

    config_file: Path
    external_url: str = ""
    model_metrics: str = "auto"
    retention: Duration = 90 * DAY
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    replica: str = ""


class Bridge:
    """The parts of the bridge below the scheduler and the web server.

    rescheduled: called with the configuration that a reload applied.
    taken: called when another bridge has the database.
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
        self._rescheduled = rescheduled
        self._store = store
        self._readiness = Readiness()
        table = ModelTable()
        self._adapters = build_adapters(config, table, options.external_url, store)
        self._config_changes = ConfigChanges(store, options.replica)
        self._engine = engine = Engine(self._adapters.source, store, table, trails=Trails())
        self.queries = EngineQueries(
            engine,
            store,
            store,
            store,
            configured=lambda: list(self._adapters.sinks),
            why_not_ready=lambda: self._readiness.problem,
            configuration=lambda: self._adapters.config.redacted(),
            now=clock.now,
            prometheus_url=lambda server: redact_url(self._adapters.config.servers[server].url),
            silent=lambda: self._adapters.silences.failing(),
            changes=self._config_changes.latest,
        )
        self.commands = EngineCommands(
            engine, store, store, store, configured=lambda: self._adapters.sinks, reload=self.reload,
            wake=lambda: self._couriers.wake(), now=clock.now,
        )  # fmt: skip
        self.telemetry = Telemetry(self.queries, options.model_metrics, options.external_url, clock.lead)
        self.store_watch = StoreWatch(store, engine, self.telemetry, self._readiness, taken)
        self.silences = SilenceFetcher(lambda: self._adapters)
        self.statuses = StatusPoller(engine, self.commands, lambda: self._adapters.sinks)
        clock.watch(self.telemetry.clock_set)
        engine.start(clock.now())
        self._couriers = self._apply(self._adapters)
        clock.not_before(max((last for _, last, _ in self.queries.group_times()), default=0))
        self.telemetry.reload(ok=True, at=clock.now())
        self._config_changes.started(config, clock.now())
        warn_of_unserved(store, self._adapters.sinks)

    def upstream(self) -> Upstream:
        """Return Prometheus and Alertmanager as the pages and the API use them."""

        def url() -> str:
            address = self._adapters.config.prometheus.url
            return "" if urlsplit(address).username or urlsplit(address).query else address

        return Upstream(SignalHistories(self._engine, clock.now), SilenceCreator(lambda: self._adapters), url)

    def _apply(self, adapters: Adapters) -> Couriers:
        """Apply rules, routes and receivers; return couriers that are not started yet."""
        config = adapters.config
        routes = Routes(config.route, adapters.sinks, config.global_.external_labels)
        settings = EngineSettings(
            routes,
            config.gates,
            catch_up_limit=config.global_.catch_up_limit,
            retire_after=config.retire_after,
            dry_run=config.dry_run,
            silences=adapters.silences.snapshot if silence_targets(config) else unknown_silences,
            external=External(config.global_.external_labels, self.options.external_url),
        )
        self._engine.configure(config.groups, settings, source=adapters.source)
        self._adapters = adapters
        rules = {rule.name: group.name for group in config.groups for rule in group.rules}
        self.telemetry.expect(rules, [group.name for group in config.groups], adapters.sinks)
        self.telemetry.expect_servers(config.servers)
        workers = build_workers(
            adapters,
            OpenAlertIndex(self._engine, routes),
            self._store,
            self.options.delivery,
            self.options.external_url,
            report=self.telemetry.attempt,
            settled=self.commands.settled,
        )
        return Couriers(workers, clock.now)

    def start(self) -> None:
        """Start delivering, and report ready."""
        self.silences.fetch_first()
        self._couriers.start()
        self._readiness.problem = ""

    def evaluate(self, group: str) -> None:
        """Evaluate a group, report to telemetry, and wake the couriers if there is something to send."""
        generation = self._engine.generation
        try:
            evaluation = self._engine.evaluate(group, clock.now())
        except StoreError as error:
            fields = {"group": group, "error": str(error)}
            log.error("evaluation was not stored; it will be repeated", extra=fields)  # noqa: TRY400 - no traceback
            self.store_watch.failed(error)
            return
        self.store_watch.succeeded()
        if evaluation is not None:
            self.telemetry.tick(evaluation.report)
        if (evaluation is not None and evaluation.report.queued) or self._engine.generation != generation:
            self._couriers.wake()

    def prune(self) -> None:
        """Delete rows that are older than the retention."""
        self.store_watch.prune(self.options.retention)

    def reload(self) -> ReloadResult:
        """Load the files and apply them; on an error keep the present configuration and return the reason."""
        at: Timestamp = clock.now()
        old = self._adapters
        try:
            config, known = load(self.options.config_file), old.silences.snapshot()
            adapters = build_adapters(config, self._engine.table, self.options.external_url, self._store, known)
        except (ConfigError, OSError) as error:
            self.telemetry.reload(ok=False, at=at)
            self._config_changes.refused(str(error), at)
            log.error("configuration was not reloaded", extra={"error": str(error)})  # noqa: TRY400 - says it all
            return ReloadResult(ok=False, message=str(error))
        self._couriers.stop(4.0)
        self._couriers = self._apply(adapters)
        self._couriers.start()
        old.close()
        self.silences.fetch()
        self._rescheduled(config)
        self.telemetry.reload(ok=True, at=at)
        self._config_changes.applied(config, at)
        warn_of_unserved(self._store, adapters.sinks)
        log.info("configuration reloaded", extra={"file": str(self.options.config_file)})
        return ReloadResult(ok=True)

    def stop(self) -> None:
        """Stop delivering; attempts in progress get DELIVERIES_LIMIT, later ones repeat when their lease ends."""
        self._readiness.problem = "stopping"
        self._engine.close()
        self._couriers.stop(DELIVERIES_LIMIT)
        self._adapters.close()
