"""Panels shared by several dashboards."""

from __future__ import annotations

from typing import Any

from grafana.generator.links import RUN_LINK, model_links
from grafana.generator.panels import bars, coloured, lines, number, organize, query, rows, states
from grafana.generator.sdk import build, table, timeseries
from grafana.generator.variables import MODEL, OF_MODEL, metric

ROW_LINKS = model_links("__data.fields")
LIMITED = "By default, at most 1,000 models have series; the metric retrain_bridge_models_omitted counts the others."
SERIES_LINKS = model_links("__field.labels")
MODEL_COLUMNS = {name: name.capitalize() for name in ("project", "pipeline", "version")}
OUTCOMES = {
    "requested": "blue", "held": "purple", "joined": "light-blue", "withdrawn": "green", "judged": "green",
    "inconclusive": "#808080", "recorded": "#808080", "escalated": "red", "error": "red", "missed": "red",
    "expired": "red",
}  # fmt: skip
REQUESTS = {
    "held": "purple", "awaiting_approval": "light-purple", "requested": "light-blue", "accepted": "light-blue",
    "running": "blue", "undelivered": "red",
}  # fmt: skip
GATES = {
    "paused": "an operator paused it", "in_flight": "another retraining of the pipeline is running",
    "max_attempts": "retraining did not help; an operator decides", "cooldown": "the last retraining was too recent",
    "budget": "the budget is spent", "storm": "too many models at once",
    "weighing": "its siblings may follow", "not_the_model": "its siblings are unhealthy too",
    "silenced": "a silence matches it",
    "silences_unknown": "the active silences are unknown or cannot be interpreted", "muted": "its route is muted",
    "approval": "it requires approval",
}  # fmt: skip
OF_RULE = 'rule=~"$rule"'


def count_in_range(name: str, more: str) -> str:
    """Return a query for the increase of a counter in the dashboard's time range."""
    return f"sum(increase({metric(name, more)}[$__range]))"


def state_timeline(*, decisions: bool = True, height: int = 8) -> Any:
    """Return a timeline of the state of each model."""
    about = "State of each selected model over time: degraded, requested, in retraining, healthy again."
    links = model_links("__field.labels", decisions=decisions)
    return states("State of each model", about, links=links, height=height)


def active_rules(*, width: int = 14, decisions: bool = True) -> table.Panel:
    """Return a table of pending and firing rules, with start, value and limit."""
    active = f"max by ({MODEL},rule,state) ({metric('rule_active_timestamp_seconds', model=True)})"
    only_active = f"and on ({MODEL},rule) {active}"
    readings = [f"max by ({MODEL},rule) ({metric(name, model=True)})" for name in ("signal_value", "signal_threshold")]
    names = {
        **MODEL_COLUMNS, "rule": "Rule", "state": "State", "Value #Since": "Since", "Value #Signal": "Value",
        "Value #Limit": "Limit",
    }  # fmt: skip
    return rows(
        "Pending and firing rules",
        "Active rules of each model, with start, value and limit. A pending rule waits for its `for`. " + LIMITED,
        [
            query(f"{active} * 1000", ref="Since", instant=True, rows=True),
            query(f"{readings[0]} {only_active}", ref="Signal", instant=True, rows=True),
            query(f"{readings[1]} {only_active}", ref="Limit", instant=True, rows=True),
        ],
        steps=[("merge", {}), organize(names)], none="No rule is pending or firing", width=width,
        units={"Since": "dateTimeFromNow", "Value": "short", "Limit": "short"}, sort=("Since", False),
        links=model_links("__data.fields", decisions=decisions),
    )  # fmt: skip


def held_now(*, width: int = 10) -> table.Panel:
    """Return a table of held requests with their gates."""
    gates = " ".join(f"{gate}: {why}." for gate, why in GATES.items())
    return rows(
        "Held requests", f"Requests and the gate that holds each of them. {gates} {LIMITED}",
        [query(f"max by ({MODEL},reason) ({metric('model_held', model=True)})", instant=True, rows=True)],
        steps=[organize({**MODEL_COLUMNS, "reason": "Gate"}, hide=("Time", "Value"))],
        none="No request is held", width=width, links=ROW_LINKS,
    )  # fmt: skip


def request_log(*, width: int = 12, height: int = 8, limit: int = 100) -> table.Panel:
    """Return a table of the requests sent in the time range, latest first."""
    requested_at = metric("last_retrain_request_timestamp_seconds", model=True)
    columns = ("Value", *MODEL_COLUMNS, "reason")
    fields = {name: {"aggregations": [], "operation": "groupby"} for name in columns}
    return rows(
        "Requested retrainings", "Requests sent in the time range, with time and kind of event.",
        [query(f"max by ({MODEL},reason) ({requested_at}) * 1000", rows=True)],
        steps=[
            ("groupBy", {"fields": fields}),
            ("sortBy", {"fields": {}, "sort": [{"field": "Value", "desc": True}]}),
            ("limit", {"limitField": limit}),
            organize({"Value": "Requested at", **MODEL_COLUMNS, "reason": "Reason"}, hide=()),
        ],
        units={"Requested at": "dateTimeAsIso"}, none="No retraining was requested", width=width, height=height,
        links=ROW_LINKS,
    )  # fmt: skip


def last_runs(*, width: int = 12, height: int = 8) -> table.Panel:
    """Return a table of the runs that the last requests started, with links to the orchestrator."""
    return rows(
        "Runs in orchestrators", "The run of the last request of each model; click to open it in the orchestrator.",
        [query(f"max by ({MODEL},run_url) ({metric('last_run_info', model=True)})", instant=True, rows=True)],
        steps=[organize({**MODEL_COLUMNS, "run_url": "run"}, hide=("Time", "Value"))],
        none="No run is known", width=width, height=height, links=[RUN_LINK, *ROW_LINKS],
    )  # fmt: skip


def decided(more: str = "", *, width: int = 12) -> timeseries.Panel:
    """Return a panel of decisions over time by outcome."""
    counted = metric("decisions_total", ",".join(filter(None, ['outcome!="none"', more])))
    panel = bars(
        "Decisions by outcome",
        "Number of decisions per bar, by outcome.",
        [query(f"sum by (outcome) ({counted}) - sum by (outcome) ({counted} offset $__interval) > 0", "{{outcome}}")],
        width=width,
    )  # fmt: skip
    return coloured(panel, OUTCOMES)


def verdicts(more: str = "", *, width: int = 12, height: int = 8) -> table.Panel:
    """Return a table of recovery verdicts by rule."""
    judged = metric("retrainings_total", more)
    matrix = {"columnField": "verdict", "rowField": "rule", "valueField": "Value", "emptyValue": "zero"}
    return rows(
        "Did it help?", "Retrainings in the time range, by rule and by whether the model recovered.",
        [query(f"round(sum by (rule,verdict) (increase({judged}[$__range])))", instant=True, rows=True)],
        steps=[("groupingToMatrix", matrix), organize(
            {"rule\\verdict": "Rule", "recovered": "Recovered", "not_recovered": "Not recovered",
             "inconclusive": "Inconclusive"}, hide=(),
        )],
        none="No recovery verdict yet", width=width, height=height,
    )  # fmt: skip


def helped(more: str = "", *, width: int = 4) -> Any:
    """Return the share of retrainings after which the model recovered."""
    good, every = (count_in_range("retrainings_total", ",".join(filter(None, [one, more])))
                   for one in ('verdict="recovered"', ""))  # fmt: skip
    return number(
        "Helped", "Share of retrainings with a verdict in the time range after which the model recovered.",
        f"{good} / ({every} > 0)", unit="percentunit", none="no verdict", width=width,
    )  # fmt: skip


def in_range(title: str, about: str, outcome: str, more: str = "", *, width: int = 4) -> Any:
    """Return the number of decisions with an outcome in the time range."""
    chosen = ",".join(filter(None, [f'outcome="{outcome}"', more]))
    return number(title, about, f"round({count_in_range('decisions_total', chosen)})", width=width)


def distance(*, width: int = 24, links: list[build.DashboardLink] | None = None) -> timeseries.Panel:
    """Return a panel of signals as multiples of their limits, whatever their unit."""
    value, limit = (
        f"max by ({MODEL},rule) ({metric(name, model=True)})" for name in ("signal_value", "signal_threshold")
    )
    return lines(
        "Signals relative to their limits",
        "The limit is 100 %; rules that fire below a limit are healthy above it. Rules without a limit are not shown.",
        [query(f"{value} / {limit}", "{{project}}/{{pipeline}}/{{version}}: {{rule}}")], unit="percentunit",
        width=width, links=SERIES_LINKS if links is None else links,
    )  # fmt: skip


def reading(name: str) -> str:
    """Return a query for the values or the limits of the selected rules."""
    return f"max by ({MODEL},rule) (retrain_bridge_{name}{{{OF_MODEL},{OF_RULE}}})"
