"""Is the bridge itself well: evaluation, queries, deliveries, process."""

from __future__ import annotations

from grafana.generator.links import INTERNALS
from grafana.generator.making import made
from grafana.generator.panels import STATES, bad_above, lines, number, query, steps, words
from grafana.generator.sdk import build, dashboard, timeseries
from grafana.generator.variables import OF_JOB, metric

PLACE = "receiver,integration,index"
PLACE_LEGEND = "{{receiver}}/{{integration}}/{{index}}"
BEHIND = f"(time() - {metric('last_evaluation_timestamp_seconds')}) / {metric('evaluation_interval_seconds')}"


def _rate(name: str, by: str = "", more: str = "") -> str:
    total = f"sum by ({by})" if by else "sum"
    return f"{total} (rate({metric(name, more)}[$__rate_interval]))"


def _slowest(name: str, by: str) -> str:
    """The 95th percentile of a histogram."""
    inner = ",".join(filter(None, ["le", by]))
    return f"histogram_quantile(0.95, sum by ({inner}) (rate({metric(name + '_bucket')}[$__rate_interval])))"


def _now() -> list[object]:
    reloaded = {"0": ("refused: the former is in force", "red"), "1": ("in force", "green")}
    return [
        number("Intervals behind", "How late the latest group is, in its own intervals.", f"max({BEHIND})",
               limits=bad_above(2, 3), none="no bridge", decimals=1),
        number("Slots missed", "Slots of the time range that were not evaluated on time; history makes good for them.",
               f"round(sum(increase({metric('evaluations_missed_total')}[$__range])))", limits=bad_above(1)),
        number("Queries that failed", "Signals without an answer in the time range.",
               f"round(sum(increase({metric('query_failures_total')}[$__range])))", limits=bad_above(1)),
        number("Deliveries that wait", "Of all destinations.", f"sum({metric('outbox_pending')})",
               limits=bad_above(1, 100)),
        number("Deliveries given up", "retrain-bridge requests redrive queues them again.",
               f"sum({metric('outbox_dead')})", limits=steps((None, "green"), (1, "red"))),
        number("Configuration", "Whether the last reload was taken.", f"min({metric('config_last_reload_successful')})",
               mappings=[words(reloaded)], limits=steps((None, "red"), (1, "green"))),
    ]  # fmt: skip


def _evaluation() -> list[timeseries.Panel]:
    missed = f"sum by (group) (increase({metric('evaluations_missed_total')}[$__rate_interval]))"
    return [
        lines("Intervals behind, by group", "A group is evaluated once an interval; above 3 it is not.",
              [query(f"max by (group) ({BEHIND})", "{{group}}")], width=8),
        lines("Time of an evaluation", "95 % are faster. Above its interval, a group misses slots.",
              [query(_slowest("evaluation_duration_seconds", "group"), "{{group}}")], unit="s", width=8),
        lines("Slots missed, by group", "Over one rate interval.", [query(missed, "{{group}}")], width=8),
        lines("Events", "Samples that became events, by kind.",
              [query(_rate("events_total", "event"), "{{event}}")], unit="cps", width=8),
        _models(),
        lines("Configuration loaded", "Age of the configuration in force.",
              [query(f"time() - max by (instance) ({metric('config_last_reload_success_timestamp_seconds')})",
                     "{{instance}}")], unit="s", width=8),
    ]  # fmt: skip


def _models() -> timeseries.Panel:
    """In the colours that the states have everywhere."""
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
        lines("Time of the queries of a signal", "95 % are faster.",
              [query(_slowest("query_duration_seconds", ""), "95 %")], unit="s", width=8),
        lines("Signals without an answer", "By reason.",
              [query(f"{_rate('query_failures_total', 'reason')} > 0", "{{reason}}")], unit="cps", width=8,
              none="Every query was answered"),
        lines("Series in answers", "What was fetched, and what of it could not be used.", samples, unit="cps", width=8),
    ]  # fmt: skip


def _deliveries() -> list[timeseries.Panel]:
    return [
        lines("Deliveries that a receiver took", "By destination.",
              [query(_rate("deliveries_total", PLACE), PLACE_LEGEND)], unit="cps", width=8),
        lines("Attempts", "Re-sends of open alerts included.",
              [query(_rate("delivery_requests_total", PLACE), PLACE_LEGEND)], unit="cps", width=8),
        lines("Attempts that failed", "By destination and reason.",
              [query(f"{_rate('delivery_failures_total', f'{PLACE},reason')} > 0",
                     f"{PLACE_LEGEND}: {{{{reason}}}}")],
              unit="cps", width=8, none="No attempt failed"),
        lines("Time of an attempt", "95 % are faster.",
              [query(_slowest("delivery_duration_seconds", PLACE), PLACE_LEGEND)], unit="s", width=8),
        lines("Age of what waits longest", "By destination.",
              [query(f"max by ({PLACE}) ({metric('outbox_oldest_age_seconds')})", PLACE_LEGEND)], unit="s", width=8),
        lines("Queue", "What waits, and what was given up.",
              [query(f"sum by ({PLACE}) ({metric('outbox_pending')})", f"waits: {PLACE_LEGEND}", ref="A"),
               query(f"sum by ({PLACE}) ({metric('outbox_dead')})", f"given up: {PLACE_LEGEND}", ref="B")], width=8),
    ]  # fmt: skip


def _process() -> list[timeseries.Panel]:
    version = f"max by (instance,version,pythonversion) ({metric('build_info')})"
    return [
        lines("CPU", "Cores that the process uses.",
              [query(f"rate(process_cpu_seconds_total{{{OF_JOB}}}[$__rate_interval])", "{{instance}}")], width=6),
        lines("Memory", "Resident.", [query(f"process_resident_memory_bytes{{{OF_JOB}}}", "{{instance}}")],
              unit="bytes", width=6),
        lines("Open files", "And the most that the process may open.",
              [query(f"process_open_fds{{{OF_JOB}}}", "{{instance}}", ref="A"),
               query(f"process_max_fds{{{OF_JOB}}}", "most: {{instance}}", ref="B")], width=6),
        lines("Version", "What runs where; a gap is a bridge that is down.",
              [query(version, "{{instance}}: {{version}}, Python {{pythonversion}}")], width=6),
    ]  # fmt: skip


def internals() -> build.Dashboard:
    """The dashboard for the bridge's own troubles."""
    return made(
        INTERNALS, "Retrain Bridge / Internals", "Is the bridge itself well: evaluation, queries, deliveries, process.",
        [
            ("", False, _now()),
            ("Evaluation", False, _evaluation()),
            ("Queries", False, _queries()),
            ("Deliveries", False, _deliveries()),
            ("Process", True, _process()),
        ],
        since="now-6h",
    )  # fmt: skip
