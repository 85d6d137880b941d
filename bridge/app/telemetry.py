"""Metrics and log lines from frozen reports; the core imports no metrics library."""

from __future__ import annotations

import logging
import platform
import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.app.model_metrics import CHOICES, PREFIX, model_lines
from bridge.domain.batch import EventKind
from bridge.domain.destination import Destination
from bridge.domain.errors import BridgeError, StoreError
from bridge.domain.request import Outcome, RecoveryVerdict
from bridge.domain.times import Duration, Timestamp, rfc3339
from bridge.engine.api.interface import Queries
from bridge.engine.evaluation.answers import Quality
from bridge.ports import AttemptReport, Result, RunState, TickReport

log = logging.getLogger(__name__)

DESTINATION_LABELS = ("receiver", "integration", "index")
OTHER = "other"
# Closed sets of label values; any other value of a plugin counts as OTHER, which bounds the number of series.
QUERY_REASONS = frozenset({
    "timeout", "bad_data", "execution", "network", "rate_limited", "unavailable", "unauthorized", "internal",
    "canceled", "not_prometheus", "duplicate_model", "limit", OTHER,
})  # fmt: skip
SKIP_REASONS = frozenset({"missing_label", "malformed", "histogram", OTHER})
DELIVERY_REASONS = frozenset({
    "network", "timeout", "tls", "credential", "http_4xx", "http_5xx", "redirect", "rate_limited", "unauthorized",
    "invalid_answer", "internal", "unknown_outcome", "conflict", "too_old", "too_large", OTHER,
})  # fmt: skip
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class TelemetrySettingsError(BridgeError):
    """Invalid value of --web.model-metrics."""


class _StateCollector(Collector):
    """Gauges that are computed at each scrape: queues, requests, groups."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self.now: Timestamp = 0

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._stored()
        requests = _family("requests", "Number of unfinished requests, and of undelivered ones, by state.", "state")
        for state, count in sorted(self._queries.request_counts().items()):
            requests.add_metric([state], count)
        last = _family("last_evaluation_timestamp_seconds", "Last evaluated slot of a group.", "group")
        interval = _family("evaluation_interval_seconds", "Evaluation interval of a group.", "group")
        for name, evaluated, every in self._queries.group_times():
            last.add_metric([name], evaluated / 1000)
            interval.add_metric([name], every / 1000)
        models = _family("rule_models", "Number of models of a rule on signals.", "group", "rule")
        for group, rule, count in self._queries.rule_models():
            models.add_metric([group, rule], count)
        unclear = _family("silences_unclear", "Number of active silences that cannot be interpreted.")
        unclear.add_metric([], self._queries.unclear_silences())
        causes = _family("shared_causes", "Number of present shared causes of breaches, by label.", "label")
        for label, count in self._queries.shared_causes().items():
            causes.add_metric([label], count)
        silent = _family(
            "rule_models_never_judged", "Number of models with values but without any verdict.", "group", "rule"
        )
        for group, rule, count in self._queries.never_judged():
            silent.add_metric([group, rule], count)
        yield from (requests, last, interval, models, unclear, causes, silent)

    def _stored(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges from the store, or none while it cannot be read: the other metrics stay available."""
        try:
            depths, missed = self._queries.queue_depths(), self._queries.last_missed()
            counts, overdue = self._queries.run_counts(), self._queries.overdue_runs()
            opinions_by_rule = self._queries.feedback()
        except StoreError as error:
            log.warning("cannot count the delivery queues", extra={"error": str(error)})
            return
        pending = _family("outbox_pending", "Number of waiting deliveries.", *DESTINATION_LABELS)
        age = _family("outbox_oldest_age_seconds", "Age of the oldest waiting delivery.", *DESTINATION_LABELS)
        dead = _family("outbox_dead", "Number of dead deliveries.", *DESTINATION_LABELS)
        for destination, depth in sorted(depths.items()):
            labels = Destination.parse(destination).labels
            pending.add_metric(labels, depth.pending)
            age.add_metric(labels, max(0, self.now - depth.oldest_at) / 1000 if depth.oldest_at else 0)
            dead.add_metric(labels, depth.dead)
        last = _family(
            "last_missed_episode_timestamp_seconds", "End of the last episode that the bridge missed while it was down."
        )
        last.add_metric([], missed / 1000)
        feedback = _family("requests_feedback", "Number of requests with feedback of operators.", "rule", "feedback")
        for rule, opinions in sorted(opinions_by_rule.items()):
            for opinion, count in opinions.items():
                feedback.add_metric([rule, opinion.value], count)
        yield from (pending, age, dead, last, feedback, *self._runs(counts, overdue))

    def _runs(self, counts: Mapping[tuple[str, RunState], int], late: Mapping[str, int]) -> Iterator[GaugeMetricFamily]:
        runs = _family("runs", "Number of runs that have not ended, by state.", *DESTINATION_LABELS, "state")
        for (destination, state), count in sorted(counts.items()):
            runs.add_metric([*Destination.parse(destination).labels, state.value], count)
        overdue = _family("runs_overdue", "Number of runs that have not started in time.", *DESTINATION_LABELS)
        for destination, count in sorted(late.items()):
            overdue.add_metric(Destination.parse(destination).labels, count)
        yield from (runs, overdue)


class Telemetry:
    """Metrics of one bridge, in their own registry.

    model_metrics: models with their own series (one of CHOICES). external_url: URL of the web interface. lead: how far
    the bridge's clock is ahead of the wall clock, in ms. Raises TelemetrySettingsError.
    """

    def __init__(
        self, queries: Queries, model_metrics: str = "auto", external_url: str = "",
        lead: Callable[[], Duration] = lambda: 0,
    ) -> None:  # fmt: skip
        if model_metrics not in CHOICES:
            raise TelemetrySettingsError(
                f"--web.model-metrics must be one of {', '.join(CHOICES)}, not {model_metrics!r}"
            )
        self._queries = queries
        self._model_metrics = model_metrics
        self._lock = threading.Lock()
        self._errors: dict[str, dict[str, str]] = {}
        disable_created_metrics()  # type: ignore[no-untyped-call]  # an unused second series for every counter
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._state = _StateCollector(queries)
        self._registry.register(self._state)
        self._define_evaluation()
        self._define_delivery()
        self._store = self._gauge("store_usable", "Whether the last write to the store, or its last check, succeeded.")
        self._store.set(1)
        info = self._gauge("build_info", "Version of the bridge; always 1.", "version", "pythonversion")
        info.labels(__version__, platform.python_version()).set(1)
        web = self._gauge("web_info", "URL of the web interface; always 1.", "external_url")
        web.labels(external_url.rstrip("/")).set(1)
        ahead = self._gauge("clock_lead_seconds", "How far slots are ahead of a wall clock that was set back.")
        ahead.set_function(lambda: lead() / 1000)
        self._clock_steps = self._counter("clock_steps", "Steps of the wall clock, by direction.", "direction")
        for direction in ("back", "forward"):
            self._clock_steps.labels(direction)
        self._reload_ok = self._gauge(
            "config_last_reload_successful", "Whether the last configuration reload succeeded."
        )
        self._reload_at = self._gauge(
            "config_last_reload_success_timestamp_seconds", "Time at which the configuration in force was loaded."
        )

    def _define_evaluation(self) -> None:
        self._fetched = self._counter("samples_fetched", "Series in the source's answers.")
        self._skipped = self._counter("samples_skipped", "Series that were not used, by reason.", "reason")
        self._events = self._counter("events", "Samples that became events, by kind.", "event")
        self._decisions = self._counter("decisions", "Decisions by rule and outcome.", "rule", "outcome")
        self._retrainings = self._counter(
            "retrainings", "Successful retrainings, by rule and recovery verdict.", "rule", "verdict"
        )
        self._answers = self._counter(
            "rule_answers", "Evaluations of a rule, by the completeness of its answers.", "group", "rule", "answer"
        )
        self._missed = self._counter("evaluations_missed", "Slots that were not evaluated on time.", "group")
        self._evaluated = self._histogram(
            "evaluation_duration_seconds", "Duration of one evaluation of a group.", "group"
        )
        self._queried = self._histogram("query_duration_seconds", "Duration of the queries of one signal.")
        self._server_queries = self._counter(
            "server_queries", "Queries of signals, by Prometheus server and result.", "server", "result"
        )
        self._query_failures = self._counter("query_failures", "Signals without an answer, by reason.", "reason")
        for counter, words in (
            (self._skipped, SKIP_REASONS), (self._query_failures, QUERY_REASONS), (self._events, EventKind),
        ):  # fmt: skip
            for word in words:
                counter.labels(str(word))

    def _define_delivery(self) -> None:
        self._deliveries = self._counter("deliveries", "Deliveries that a receiver acknowledged.", *DESTINATION_LABELS)
        self._failures = self._counter(
            "delivery_failures", "Failed delivery attempts, by reason.", *DESTINATION_LABELS, "reason"
        )
        self._attempts = self._counter(
            "delivery_requests", "Delivery attempts, including resends of open alerts.", *DESTINATION_LABELS
        )
        self._delivered = self._histogram(
            "delivery_duration_seconds", "Duration of one delivery attempt.", *DESTINATION_LABELS
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(PREFIX + name, text, labels, registry=self._registry, buckets=_SECONDS)

    # ------------------------------------------------------------ reports

    def expect_servers(self, servers: Iterable[str]) -> None:
        """Initialise the counters of Prometheus servers at 0."""
        for server in servers:
            for result in ("success", "failure"):
                self._server_queries.labels(server, result)

    def expect(self, rules: Mapping[str, str], groups: Iterable[str], destinations: Iterable[str]) -> None:
        """Initialise counters at 0, or increase() would miss the first event. rules: group by rule name."""
        for rule, group in rules.items():
            for quality in Quality:
                self._answers.labels(group, rule, quality.value)
            for outcome in Outcome:
                self._decisions.labels(rule, outcome.value)
            for verdict in RecoveryVerdict:
                self._retrainings.labels(rule, verdict.value)
        for group in groups:
            self._missed.labels(group)
            self._evaluated.labels(group)
        for destination in destinations:
            labels = Destination.parse(destination).labels
            for counter in (self._deliveries, self._attempts, self._delivered):
                counter.labels(*labels)
            for reason in DELIVERY_REASONS:
                self._failures.labels(*labels, reason)

    def tick(self, report: TickReport) -> None:
        """Record one evaluation."""
        self._evaluated.labels(report.group).observe(report.seconds)
        self._missed.labels(report.group).inc(report.missed)
        for query in report.queries:
            self._queried.observe(query.seconds)
            self._server_queries.labels(query.server, "failure" if query.error else "success").inc()
            self._fetched.inc(query.elements)
            for reason, count in query.skipped.items():
                self._skipped.labels(_known(reason, SKIP_REASONS)).inc(count)
            if query.error:
                self._query_failures.labels(_known(query.error, QUERY_REASONS)).inc()
        for rule, quality in report.answers.items():
            self._answers.labels(report.group, rule, quality).inc()
        for event, count in report.events.items():
            self._events.labels(event).inc(count)
        for (rule, outcome), count in report.decisions.items():
            self._decisions.labels(rule, outcome).inc(count)
        for (rule, verdict), count in report.verdicts.items():
            self._retrainings.labels(rule, verdict).inc(count)
        self._log(report)

    def _log(self, report: TickReport) -> None:
        """Log a tick at level info if something changed, otherwise at debug; log new errors as warnings."""
        outcomes = Tally[str]()
        for (_, outcome), count in report.decisions.items():
            outcomes[outcome] += count
        before = self._errors.get(report.group, {})
        self._errors[report.group] = dict(report.errors)
        new = {rule: text for rule, text in report.errors.items() if before.get(rule) != text}
        repaired = sorted(before.keys() - report.errors.keys())
        changed = bool(outcomes or report.missed or new or repaired)
        fields: dict[str, object] = {
            "group": report.group, "slot": rfc3339(report.slot), "seconds": round(report.seconds, 4),
            "samples": sum(query.elements for query in report.queries), **outcomes,
        }  # fmt: skip
        more = {"missed_slots": report.missed, "repaired": " ".join(repaired)}
        fields |= {name: value for name, value in more.items() if value}
        log.log(logging.INFO if changed else logging.DEBUG, "evaluated", extra=fields)
        for rule, text in new.items():
            log.warning(
                "rule was not evaluated",
                extra={"group": report.group, "rule": rule, "slot": fields["slot"], "error": text},
            )

    def attempt(self, report: AttemptReport) -> None:
        """Record one attempt of a delivery, or of a resend (`request_id` "")."""
        labels = Destination.parse(report.destination).labels
        self._attempts.labels(*labels).inc()
        self._delivered.labels(*labels).observe(report.seconds)
        if report.delivery.result is not Result.DELIVERED:
            self._failures.labels(*labels, _known(report.delivery.reason, DELIVERY_REASONS)).inc()
        elif report.request_id:
            self._deliveries.labels(*labels).inc()

    def reload(self, *, ok: bool, at: Timestamp) -> None:
        """Record a configuration reload; ok: whether it succeeded."""
        self._reload_ok.set(1 if ok else 0)
        if ok:
            self._reload_at.set(at / 1000)

    def clock_set(self, step: Duration) -> None:
        """Record a step of the wall clock in ms; negative: back."""
        self._clock_steps.labels("back" if step < 0 else "forward").inc()

    def store(self, *, works: bool) -> None:
        """Record whether the last write to the store, or its last check, succeeded."""
        self._store.set(int(works))

    # ------------------------------------------------------------ exposition

    def render(self, now: Timestamp) -> bytes:
        """Return all metrics in Prometheus' text format 0.0.4."""
        with self._lock:
            self._state.now = now
            common: bytes = generate_latest(self._registry)
        text = "".join(model_lines(self._queries, self._model_metrics))
        return common + text.encode("utf-8", "replace")


def _family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, labels=labels)


def _known(word: str, words: frozenset[str]) -> str:
    return word if word in words else OTHER
