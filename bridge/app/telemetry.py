"""Turns frozen reports into metrics and log lines; the core imports no metrics library."""

from __future__ import annotations

import logging
import math
import platform
import threading
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.domain.request import Outcome
from bridge.domain.times import Timestamp, rfc3339
from bridge.engine.views import ModelState, ModelView, Queries
from bridge.ports import AttemptReport, Result, TickReport

log = logging.getLogger(__name__)

PREFIX = "retrain_bridge_"
ALL_UP_TO = 1_000
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
MODEL_METRICS = ("auto", "all", "unhealthy", "none")


class _QueueCollector(Collector):
    """Gauges that are read when they are scraped: queues, requests, models, groups."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self.now: Timestamp = 0

    def collect(self) -> Iterator[GaugeMetricFamily]:
        places = ["receiver", "integration", "index"]
        pending = GaugeMetricFamily(PREFIX + "outbox_pending", "Deliveries that wait.", labels=places)
        age = GaugeMetricFamily(
            PREFIX + "outbox_oldest_age_seconds", "Age of the oldest delivery that waits.", labels=places
        )
        dead = GaugeMetricFamily(PREFIX + "outbox_dead", "Deliveries that were given up.", labels=places)
        for destination, depth in sorted(self._queries.queue_depths().items()):
            labels = destination.rsplit("/", 2)
            pending.add_metric(labels, depth.pending)
            age.add_metric(labels, max(0, self.now - depth.oldest_at) / 1000 if depth.oldest_at else 0)
            dead.add_metric(labels, depth.dead)
        requests = GaugeMetricFamily(PREFIX + "requests", "Open requests by state.", labels=["state"])
        for state, count in sorted(self._queries.request_counts().items()):
            requests.add_metric([state], count)
        last = GaugeMetricFamily(
            PREFIX + "last_evaluation_timestamp_seconds", "Slot of the last evaluation.", labels=["group"]
        )
        interval = GaugeMetricFamily(PREFIX + "evaluation_interval_seconds", "Interval of the group.", labels=["group"])
        for group in self._queries.groups():
            last.add_metric([group.name], group.last_evaluation / 1000)
            interval.add_metric([group.name], group.interval / 1000)
        yield from (pending, age, dead, requests, last, interval)


class Telemetry:
    """Metrics of one bridge, in a registry of their own. model_metrics: which models have series of their own."""

    def __init__(self, queries: Queries, model_metrics: str = "auto") -> None:
        self._queries = queries
        self._model_metrics = model_metrics
        self._lock = threading.Lock()
        self._said: dict[str, tuple[object, ...]] = {}
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._queues = _QueueCollector(queries)
        self._registry.register(self._queues)
        info = self._gauge("build_info", "Version of the bridge.", "version", "pythonversion")
        info.labels(__version__, platform.python_version()).set(1)
        self._fetched = self._counter("samples_fetched", "Series in the answers of the source.")
        self._skipped = self._counter("samples_skipped", "Series that were not used.", "reason")
        self._events = self._counter("events", "Samples that became events.", "event")
        self._decisions = self._counter("decisions", "Decisions by outcome.", "rule", "outcome")
        self._missed = self._counter("evaluations_missed", "Slots not evaluated on time.", "group")
        self._evaluated = self._histogram("evaluation_duration_seconds", "Time of one evaluation of a group.", "group")
        self._queried = self._histogram("query_duration_seconds", "Time of the queries of one signal.")
        self._query_failures = self._counter("query_failures", "Signals that were not answered.", "reason")
        places = ("receiver", "integration", "index")
        self._deliveries = self._counter("deliveries", "Deliveries that a receiver took.", *places)
        self._failures = self._counter("delivery_failures", "Attempts that failed, by reason.", *places, "reason")
        self._attempts = self._counter("delivery_requests", "HTTP attempts.", *places)
        self._delivered = self._histogram("delivery_duration_seconds", "Time of one attempt.", *places)
        self._reload_ok = self._gauge("config_last_reload_successful", "Whether the last reload was taken.")
        self._reload_at = self._gauge(
            "config_last_reload_success_timestamp_seconds", "When the configuration in force was loaded."
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(PREFIX + name, text, labels, registry=self._registry, buckets=_SECONDS)

    # ------------------------------------------------------------ reports

    def expect(self, rules: Iterable[str], groups: Iterable[str], destinations: Iterable[str]) -> None:
        """Make counters start at 0, else increase() would miss the first event."""
        for rule in rules:
            for outcome in Outcome:
                self._decisions.labels(rule, outcome.value)
        for group in groups:
            self._missed.labels(group)
        for destination in destinations:
            labels = destination.rsplit("/", 2)
            self._deliveries.labels(*labels)
            self._attempts.labels(*labels)

    def tick(self, report: TickReport) -> None:
        """One evaluation."""
        self._evaluated.labels(report.group).observe(report.seconds)
        self._missed.labels(report.group).inc(report.missed)
        for query in report.queries:
            self._queried.observe(query.seconds)
            self._fetched.inc(query.elements)
            for reason, count in query.skipped.items():
                self._skipped.labels(reason).inc(count)
            if query.error:
                self._query_failures.labels(query.error).inc()
        for event, count in report.events.items():
            self._events.labels(event).inc(count)
        for (rule, outcome), count in report.decisions.items():
            self._decisions.labels(rule, outcome).inc(count)
        self._say(report)

    def _say(self, report: TickReport) -> None:
        """One line for a tick in which something is new, else only for debugging."""
        fields = {
            "group": report.group,
            "slot": rfc3339(report.slot),
            "seconds": round(report.seconds, 4),
            "samples": sum(query.elements for query in report.queries),
            **{f"{rule}_{outcome}": count for (rule, outcome), count in report.decisions.items()},
        }
        if report.missed:
            fields["missed"] = report.missed
        news = tuple(sorted(report.errors.items()))
        worth = bool(report.decisions or report.missed) or news != self._said.get(report.group, ())
        self._said[report.group] = news
        log.log(logging.INFO if worth else logging.DEBUG, "evaluated", extra=fields)
        for rule, message in report.errors.items() if worth else ():
            log.warning("rule was not evaluated", extra={"rule": rule, "error": message})

    def attempt(self, report: AttemptReport) -> None:
        """One HTTP attempt of a delivery."""
        labels = report.destination.rsplit("/", 2)
        self._attempts.labels(*labels).inc()
        self._delivered.labels(*labels).observe(report.seconds)
        if report.delivery.result is not Result.DELIVERED:
            self._failures.labels(*labels, report.delivery.reason).inc()
        elif report.request_id:
            self._deliveries.labels(*labels).inc()

    def reload(self, *, ok: bool, at: Timestamp) -> None:
        """The configuration was read; `ok`: and put in force."""
        self._reload_ok.set(1 if ok else 0)
        if ok:
            self._reload_at.set(at / 1000)

    # ------------------------------------------------------------ exposition

    def render(self, now: Timestamp) -> bytes:
        """Everything in Prometheus' text format 0.0.4."""
        with self._lock:
            self._queues.now = now
            common: bytes = generate_latest(self._registry)
        return common + "".join(_model_lines(self._queries.models(), self._model_metrics)).encode()


def _escape(value: str) -> str:
    return value.translate(_ESCAPES)


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())


def _header(name: str, text: str) -> str:
    return f"# HELP {PREFIX}{name} {text}\n# TYPE {PREFIX}{name} gauge\n"


def _model_lines(models: list[ModelView], which: str) -> Iterator[str]:
    """Totals by state, and the series of single models, written straight from the views: objects would cost 210 MB."""
    counts = dict.fromkeys(ModelState, 0)
    for view in models:
        counts[view.state] += 1
    yield _header("models", "Models by state.")
    for state, count in counts.items():
        yield f'{PREFIX}models{{state="{state.value}"}} {count}\n'
    shown = [view for view in models if _is_shown(view, which, len(models))]
    named = [(view, _labels(view.model.labels())) for view in shown]
    yield _header("model_info", "A model that the bridge knows.")
    yield from (f"{PREFIX}model_info{{{labels}}} 1\n" for _, labels in named)
    yield _header("model_state", "The present state of a model.")
    yield from (f'{PREFIX}model_state{{{labels},state="{view.state.value}"}} 1\n' for view, labels in named)
    yield _header("signal_value", "What a rule last read, in the signal's unit.")
    for view, labels in named:
        for signal in view.signals:
            yield f'{PREFIX}signal_value{{{labels},rule="{_escape(signal.rule)}"}} {_number(signal.value)}\n'
    yield _header("signal_threshold", "The limit that the value is compared with, in the signal's unit.")
    for view, labels in named:
        for signal in view.signals:
            if not math.isnan(signal.threshold):
                rule = _escape(signal.rule)
                yield f'{PREFIX}signal_threshold{{{labels},rule="{rule}"}} {_number(signal.threshold)}\n'
    yield _header("last_retrain_request_timestamp_seconds", "When a retraining was last asked for, and by which event.")
    for view, labels in named:
        if view.last_request_at:
            name = f"{PREFIX}last_retrain_request_timestamp_seconds"
            event = _escape(view.last_request_event)
            yield f'{name}{{{labels},reason="{event}"}} {_number(view.last_request_at / 1000)}\n'


def _is_shown(view: ModelView, which: str, count: int) -> bool:
    if which == "none":
        return False
    return which == "all" or (which == "auto" and count <= ALL_UP_TO) or view.state is not ModelState.HEALTHY
