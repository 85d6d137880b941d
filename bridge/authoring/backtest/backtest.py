"""Backtest of rules: the live engine with its life cycle and gates, fed by range queries. Nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from bridge.authoring.backtest import progress as resuming
from bridge.authoring.backtest.progress import BacktestError, meaning
from bridge.authoring.backtest.recording import Recorder
from bridge.authoring.backtest.results import Results
from bridge.config.load import load, load_rules
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.route import Route
from bridge.domain.rule import DEFAULT_SERVER, Gates, Group
from bridge.domain.times import DAY, HOUR, Duration, Timestamp
from bridge.engine.access import RETIRE_AFTER
from bridge.engine.replay.replay import NoDestinations, Replay
from bridge.ports import MetricSource, TickChanges
from bridge.sources.config import PrometheusConfig, url_of_flag
from bridge.sources.patience import PROBE, Report
from bridge.sources.servers import PrometheusServers

PARTS = 50
PATIENCE = 20  # consecutive slots without any answer before the backtest stops


@dataclass(frozen=True, slots=True)
class Plan:
    """Rules and gates to replay, as the live bridge would have them.

    servers: Prometheus servers by name.
    timeout: of a query, in seconds.
    """

    groups: tuple[Group, ...]
    servers: Mapping[str, PrometheusConfig]
    gates: Gates = field(default_factory=Gates)
    route: Route | None = None
    external_labels: Mapping[str, str] = field(default_factory=dict)
    retire_after: Duration = RETIRE_AFTER
    base_dir: Path = Path()
    timeout: float = 30.0

    def require_server(self, at: Timestamp) -> None:
        """Check that every server that the rules query answers. Raises SourceError."""
        with closing(self.source(ModelTable())) as source:
            for name in dict.fromkeys(query.server for group in self.groups for query in group.queries.values()):
                try:
                    source.evaluate(PROBE, at, name)
                except SourceError as error:
                    error.query = error.when = ""  # of the user's files none failed
                    raise

    def at_step(self, step: Duration) -> Plan:
        """Return the plan with every group evaluated at `step` instead of its own interval."""
        return replace(self, groups=tuple(replace(group, interval=step) for group in self.groups))

    def source(self, table: ModelTable, report: Report | None = None) -> PrometheusServers:
        """Return the Prometheus servers to query. report: notified of failed queries."""
        return PrometheusServers(self.servers, table, self.base_dir, timeout=self.timeout, report=report)


def of_config(path: Path, url: str = "") -> Plan:
    """Return the plan of a bridge.yml, with `url` instead of its Prometheus servers if given. Raises ConfigError."""
    config = load(path)
    changed = {"url": _server(url).url} if url else {}
    servers = {name: server.model_copy(update=changed) for name, server in config.servers.items()}
    return Plan(
        config.groups, servers, config.gates, config.route, config.global_.external_labels, config.retire_after,
        config.base_dir, config.global_.query_timeout / 1000,
    )  # fmt: skip


def of_rules(paths: Sequence[Path], url: str) -> Plan:
    """Return the plan of rule files alone, with the defaults of an empty bridge.yml. Raises ConfigError."""
    groups = load_rules(paths)
    named = {query.server for group in groups for query in group.queries.values()}
    return Plan(groups, dict.fromkeys({DEFAULT_SERVER, *named}, _server(url)))


def _server(url: str) -> PrometheusConfig:
    return PrometheusConfig(url=url_of_flag("--prometheus.url", url))


@dataclass(slots=True)
class Backtest:
    """Backtest over [since, until].

    folder: where to save progress, None = nowhere.
    asked: the range as the user wrote it.
    charts: record signals for charts, in `recorder`.
    takes: called with the changes of every evaluated slot.
    """

    plan: Plan
    source: MetricSource
    table: ModelTable
    since: Timestamp
    until: Timestamp
    folder: Path | None = None
    asked: tuple[str, str] = ("", "")
    charts: bool = False
    recorder: Recorder | None = None
    takes: Callable[[TickChanges], None] = lambda _changes: None
    _silent: int = 0

    def run(
        self, progress: Callable[[Timestamp], None] = lambda _at: None, stop: Callable[[], bool] = lambda: False
    ) -> Results:
        """Replay the range, or the rest of it. Raises BacktestError, also when Prometheus stops answering.

        stop: asked after each part; True ends the replay there, and `until` of the results is its end.
        """
        saved = resuming.read(self.folder, self._meaning) if self.folder is not None else None
        results = saved.results if saved else Results.of(self.plan.groups, self.since, self.until)
        replay = self._replay(results, saved)
        if self.charts:
            intervals = {rule.name: group.interval for group in self.plan.groups for rule in group.rules}
            self.recorder = Recorder(self.since, self.until, self.table, intervals, saved.charts if saved else None)
        try:
            for begins, ends in parts(self.since, self.until):
                if saved is None or ends > saved.done:
                    self._part(replay, results, begins, ends)
                progress(ends)
                if stop():
                    results.until = ends
                    break
        finally:
            replay.close()
        return results

    def _part(self, replay: Replay, results: Results, begins: Timestamp, ends: Timestamp) -> None:
        passed = replay.passed
        for evaluation in replay.walk(begins, ends, end=self.until):
            report = evaluation.report
            results.count(evaluation)
            if self.recorder is not None:
                self.recorder.take(evaluation.evaluations)
            unanswered = bool(report.queries) and all(item.error for item in report.queries)
            self._silent = self._silent + 1 if unanswered else 0
            if self._silent >= PATIENCE:
                raise BacktestError(f"no answer for {PATIENCE} consecutive slots: {report.queries[-1].message}")
        results.slots += replay.passed - passed
        results.note_unjudged(replay.all_rules())
        if self.folder is not None and not self._silent:  # otherwise the server may be down
            resuming.write(self.folder, self._progress(replay, results, ends))

    @property
    def _meaning(self) -> str:
        plan = self.plan
        return meaning(
            plan.groups, plan.gates, plan.route, dict(plan.external_labels), plan.retire_after,
            [server.url for server in plan.servers.values()],
            self.since, self.until, self.charts,
        )  # fmt: skip

    def _progress(self, replay: Replay, results: Results, done: Timestamp) -> resuming.Progress:
        charts = None if self.recorder is None else self.recorder.recording()
        return resuming.progress(self._meaning, self.asked, done, results, replay.checkpoint(), charts)

    def _replay(self, results: Results, saved: resuming.Progress | None) -> Replay:
        plan = self.plan

        def take(changes: TickChanges) -> None:
            results.take(changes)
            self.takes(changes)

        return Replay(
            self.source, self.table, plan.groups, take, gates=plan.gates, retire_after=plan.retire_after,
            routing=NoDestinations(plan.route, plan.external_labels), resumed=saved.engine if saved else None,
            thorough=self.charts,
        )  # fmt: skip


def parts(since: Timestamp, until: Timestamp) -> list[tuple[Timestamp, Timestamp]]:
    """Split [since, until] into parts of an hour to a day, both ends inclusive."""
    length = min(DAY, max(HOUR, (until - since) // PARTS))
    return [(begins, min(begins + length - 1, until)) for begins in range(since, until + 1, length)]
