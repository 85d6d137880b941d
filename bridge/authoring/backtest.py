"""Rules over history: the live engine, fed from range queries, with its life cycle and its gates. Nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bridge.authoring.results import Results
from bridge.config.load import load, load_rules
from bridge.domain.errors import BridgeError, ConfigError, Problem
from bridge.domain.model import ModelTable
from bridge.domain.route import Route
from bridge.domain.rule import Gates, Group
from bridge.domain.times import DAY, HOUR, Duration, Timestamp
from bridge.engine.replay import NoDestinations, Replay
from bridge.engine.tick import RETIRE_AFTER
from bridge.ports import MetricSource, TickReport
from bridge.sources.config import PrometheusConfig
from bridge.sources.prometheus import PrometheusSource

PARTS = 50
PATIENCE = 20  # slots in a row without any answer


class BacktestError(BridgeError):
    """A backtest cannot go on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is replayed: rules and gates as the live bridge would have them. timeout in seconds."""

    groups: tuple[Group, ...]
    prometheus: PrometheusConfig
    gates: Gates = field(default_factory=Gates)
    route: Route | None = None
    external_labels: Mapping[str, str] = field(default_factory=dict)
    retire_after: Duration = RETIRE_AFTER
    base_dir: Path = Path()
    timeout: float = 30.0

    def at_step(self, step: Duration) -> Plan:
        """Every group evaluated at `step` instead of its own interval."""
        return replace(self, groups=tuple(replace(group, interval=step) for group in self.groups))

    def source(self, table: ModelTable) -> PrometheusSource:
        """The server that it asks."""
        return PrometheusSource(self.prometheus, table, self.base_dir, timeout=self.timeout)


def of_config(path: Path, url: str = "") -> Plan:
    """As `path` configures the bridge; `url` instead of its Prometheus. Raises ConfigError."""
    config = load(path)
    server = config.prometheus.model_copy(update={"url": _server(url).url}) if url else config.prometheus
    return Plan(
        config.groups, server, config.gates, config.route, config.global_.external_labels, config.retire_after,
        config.base_dir, config.global_.query_timeout / 1000,
    )  # fmt: skip


def of_rules(paths: Sequence[Path], url: str) -> Plan:
    """Rule files by themselves, with the defaults of an empty bridge.yml. Raises ConfigError."""
    return Plan(load_rules(paths), _server(url))


def _server(url: str) -> PrometheusConfig:
    try:
        return PrometheusConfig(url=url)
    except ValueError as error:
        raise ConfigError([Problem("--prometheus.url", 0, "", str(error).splitlines()[2].strip())]) from None


@dataclass(slots=True)
class Backtest:
    """One run over [since, until]. heard: told of every slot's report after it was taken."""

    plan: Plan
    source: MetricSource
    table: ModelTable
    since: Timestamp
    until: Timestamp
    heard: Callable[[Replay, TickReport], None] = lambda _replay, _report: None

    def run(self, progress: Callable[[Timestamp], None] = lambda _at: None) -> Results:
        """Replay all of it. Raises BacktestError when nothing is answered any more."""
        results = Results.of(self.plan.groups, self.since, self.until)
        replay = self._replay(results)
        silent = 0
        try:
            for begins, ends in parts(self.since, self.until):
                for report in replay.walk(begins, ends, end=self.until):
                    results.count(report)
                    self.heard(replay, report)
                    silent = silent + 1 if report.queries and all(item.error for item in report.queries) else 0
                    if silent >= PATIENCE:
                        raise BacktestError(
                            f"{PATIENCE} slots in a row without an answer: {report.queries[-1].message}"
                        )
                progress(ends)
        finally:
            replay.close()
        return results

    def _replay(self, results: Results) -> Replay:
        plan = self.plan
        return Replay(
            self.source, self.table, plan.groups, results.take, gates=plan.gates, retire_after=plan.retire_after,
            routing=NoDestinations(plan.route, plan.external_labels),
        )  # fmt: skip


def parts(since: Timestamp, until: Timestamp) -> list[tuple[Timestamp, Timestamp]]:
    """[since, until] in parts of an hour to a day, both ends inclusive."""
    length = min(DAY, max(HOUR, (until - since) // PARTS))
    return [(begins, min(begins + length - 1, until)) for begins in range(since, until + 1, length)]
