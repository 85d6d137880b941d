"""Dashboard of the bridge's internals: evaluation, queries, deliveries, process."""

from __future__ import annotations

from grafana.generator.links import INTERNALS
from grafana.generator.making import made
from grafana.generator.panels import STATES, bad_above, lines, number, query, steps, words
from grafana.generator.sdk import build, dashboard, timeseries
from grafana.generator.variables import OF_JOB, metric

DESTINATION = "receiver,integration,index"
DESTINATION_LEGEND = "{{receiver}}/{{integration}}/{{index}}"
BEHIND = f"(time() - {metric('last_evaluation_timestamp_seconds')}) / {metric('evaluation_interval_seconds')}"


def _rate(name: str, by: str = "", more: str = "") -> str:
    total = f"sum by ({by})" if by else "sum"
    return f"{total} (rate({metric(name, more)}[$__rate_interval]))"


def _slowest(name: str, by: str) -> str:
    """Return a query for the 95th percentile of a histogram."""
    inner = ",".join(filter(None, ["le", by]))
    return f"histogram_quantile(0.95, sum by ({inner}) (rate({metric(name + '_bucket')}[$__rate_interval])))"


def _now() -> list[object]:
    reloaded = {"0": ("reload failed", "red"), "1": ("up to date", "green")}
    return [
        number("Intervals behind", "Delay of the most delayed group, in multiples of its interval.", f"max({BEHIND})",
               limits=bad_above(2, 3), none="no bridge", decimals=1),
        number("Missed slots", "Slots that were not evaluated on time; they are caught up from history.",
               f"round(sum(increase({metric('evaluations_missed_total')}[$__range])))", limits=bad_above(1)),
        number("Failed queries", "Signals without an answer in the time range.",
               f"round(sum(increase({metric('query_failures_total')}[$__range])))", limits=bad_above(1)),
        number("Waiting deliveries", "All destinations.", f"sum({metric('outbox_pending')})",
               limits=bad_above(1, 100)),
        number("Dead deliveries", "retrain-bridge requests redrive queues them again.",
               f"sum({metric('outbox_dead')})", limits=steps((None, "green"), (1, "red"))),
        number("Configuration", "Whether the last reload succeeded.", f"min({metric('config_last_reload_successful')})",
               mappings=[words(reloaded)], limits=steps((None, "red"), (1, "green"))),
    ]  # fmt: skip


def _evaluation() -> list[timeseries.Panel]:
    missed = f"sum by (group) (increase({metric('evaluations_missed_total')}[$__rate_interval]))"
    return [
        lines("Intervals behind, by group", "Time since the last evaluation. Above 3, a group is not being evaluated.",
              [query(f"max by (group) ({BEHIND})", "{{group}}")], width=8),
        lines("Evaluation duration", "95th percentile. Above its interval, a group misses slots.",
              [query(_slowest("evaluation_duration_seconds", "group"), "{{group}}")], unit="s", width=8),
        lines("Missed slots, by group", "Per rate interval.", [query(missed, "{{group}}")], width=8),
        lines("Events", "Samples that became events, by kind.",
              [query(_rate("events_total", "event"), "{{event}}")], unit="cps", width=8),
        _models(),
        lines("Configuration age", "Time since the configuration in force was loaded.",
              [query(f"time() - max by (instance) ({metric('config_last_reload_success_timestamp_seconds')})",
                     "{{instance}}")], unit="s", width=8),
    ]  # fmt: skip


def _models() -> timeseries.Panel:
    """Return a panel of the models by state, in the colours of the states."""
    panel = lines("Models", "By state.", [query(f"sum by (state) ({metric('models')}) > 0", "{{state}}")], width=8)
    for state, color in STATES:
        fixed = {"mode": "fixed", "fixedColor": color}
        panel = panel.override_by_name(state, [dashboard.DynamicConfigValue(id_val="color", value=fixed)])
    return panel


def _queries() -> list[timeseries.Panel]:
    samples = [
        query(_rate("samples_fetched_total"), "fetched", ref="A"),
        query(f"{_rate('samples_skipped_total', 'reason')} > 0", "skipped: {{reason}}", ref="B"),
    ]
    return [
        lines("Query duration", "95th percentile of the queries of one signal.",
              [query(_slowest("query_duration_seconds", ""), "95 %")], unit="s", width=8),
        lines("Failed queries, by reason", "Signals without an answer.",
              [query(f"{_rate('query_failures_total', 'reason')} > 0", "{{reason}}")], unit="cps", width=8,
              none="No query failed"),
        lines("Series fetched and skipped", "Series in the answers, and unusable ones by reason.", samples,
              unit="cps", width=8),
    ]  # fmt: skip


def _deliveries() -> list[timeseries.Panel]:
    return [
        lines("Successful deliveries", "By destination.",
              [query(_rate("deliveries_total", DESTINATION), DESTINATION_LEGEND)], unit="cps", width=8),
        lines("Delivery attempts", "By destination, including resends of open alerts.",
              [query(_rate("delivery_requests_total", DESTINATION), DESTINATION_LEGEND)], unit="cps", width=8),
        lines("Failed attempts", "By destination and reason.",
              [query(f"{_rate('delivery_failures_total', f'{DESTINATION},reason')} > 0",
                     f"{DESTINATION_LEGEND}: {{{{reason}}}}")],
              unit="cps", width=8, none="No attempt failed"),
        lines("Attempt duration", "95th percentile, by destination.",
              [query(_slowest("delivery_duration_seconds", DESTINATION), DESTINATION_LEGEND)], unit="s", width=8),
        lines("Oldest waiting delivery", "Age, by destination.",
              [query(f"max by ({DESTINATION}) ({metric('outbox_oldest_age_seconds')})", DESTINATION_LEGEND)],
              unit="s", width=8),
        lines("Queue", "Waiting and dead deliveries, by destination.",
              [query(f"sum by ({DESTINATION}) ({metric('outbox_pending')})", f"waiting: {DESTINATION_LEGEND}", ref="A"),
               query(f"sum by ({DESTINATION}) ({metric('outbox_dead')})", f"dead: {DESTINATION_LEGEND}", ref="B")],
              width=8),
        lines("Runs", "Runs in orchestrators that have not ended, by state; overdue: not started in time.",
              [query(f"sum by (receiver,state) ({metric('runs')})", "{{receiver}}: {{state}}", ref="A"),
               query(f"sum by (receiver) ({metric('runs_overdue')})", "{{receiver}}: overdue", ref="B")], width=24),
    ]  # fmt: skip


def _process() -> list[timeseries.Panel]:
    version = f"max by (instance,version,pythonversion) ({metric('build_info')})"
    return [
        lines("CPU", "CPU cores used by the process.",
              [query(f"rate(process_cpu_seconds_total{{{OF_JOB}}}[$__rate_interval])", "{{instance}}")], width=6),
        lines("Memory", "Resident memory of the process.",
              [query(f"process_resident_memory_bytes{{{OF_JOB}}}", "{{instance}}")],
              unit="bytes", width=6),
        lines("Open files", "Open file descriptors and their limit.",
              [query(f"process_open_fds{{{OF_JOB}}}", "{{instance}}", ref="A"),
               query(f"process_max_fds{{{OF_JOB}}}", "limit: {{instance}}", ref="B")], width=6),
        lines("Version", "Version of each instance; a gap means that it was down.",
              [query(version, "{{instance}}: {{version}}, Python {{pythonversion}}")], width=6),
    ]  # fmt: skip


def internals() -> build.Dashboard:
    """Return the dashboard of the bridge's internals."""
    return made(
        INTERNALS, "Retrain Bridge / Internals",
        "Health of the bridge itself: evaluation, queries, deliveries, process.",
        [
            ("", False, _now()),
            ("Evaluation", False, _evaluation()),
            ("Queries", False, _queries()),
            ("Deliveries", False, _deliveries()),
            ("Process", True, _process()),
        ],
        since="now-6h",
    )  # fmt: skip
