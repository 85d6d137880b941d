"""Panels that more than one dashboard has."""

from __future__ import annotations

from typing import Any

from grafana.generator.links import model_links
from grafana.generator.panels import bars, lines, number, organize, query, rows, states
from grafana.generator.sdk import build, table, timeseries
from grafana.generator.variables import MODEL, OF_MODEL, metric

ROW_LINKS = model_links("__data.fields")
SERIES_LINKS = model_links("__field.labels")
MODEL_COLUMNS = {name: name for name in ("project", "pipeline", "version")}
GATES = {
    "paused": "a person paused it", "in_flight": "another retraining of the pipeline runs",
    "max_attempts": "retraining did not help; a person decides", "cooldown": "the last retraining is too fresh",
    "budget": "the budget is used up", "storm": "too many models at once", "silenced": "a silence covers it",
    "silences_unknown": "what is silenced is not known, or not understood", "muted": "its route is muted now",
    "approval": "it needs a person's approval",
}  # fmt: skip
OF_RULE = 'rule=~"$rule"'


def count_in_range(name: str, more: str) -> str:
    """How often a counter went up in the dashboard's time range."""
    return f"sum(increase({metric(name, more)}[$__range]))"


def state_timeline(*, decisions: bool = True, height: int = 8) -> Any:
    """Which models were in which state, since when."""
    about = "The one state of each chosen model over time: since when it is degraded, asked for, retrained, well again."
    links = model_links("__field.labels", decisions=decisions)
    return states("State of each model", about, links=links, height=height)


def active_rules(*, width: int = 14, decisions: bool = True) -> table.Panel:
    """Which rules are pending or firing, since when, and how far over their limit."""
    active = f"max by ({MODEL},rule,state) ({metric('rule_active_timestamp_seconds', model=True)})"
    keep = f"and on ({MODEL},rule) {active}"
    readings = [f"max by ({MODEL},rule) ({metric(name, model=True)})" for name in ("signal_value", "signal_threshold")]
    names = {
        **MODEL_COLUMNS, "rule": "rule", "state": "rule is", "Value #Since": "since", "Value #Signal": "signal",
        "Value #Limit": "limit",
    }  # fmt: skip
    return rows(
        "Rules that are breached now",
        "By which signal a model is degraded, since when, and what it reads. A pending rule waits for its `for`.",
        [
            query(f"{active} * 1000", ref="Since", instant=True, rows=True),
            query(f"{readings[0]} {keep}", ref="Signal", instant=True, rows=True),
            query(f"{readings[1]} {keep}", ref="Limit", instant=True, rows=True),
        ],
        steps=[("merge", {}), organize(names)], none="No rule is breached", width=width,
        units={"since": "dateTimeFromNow", "signal": "short", "limit": "short"}, sort=("since", False),
        links=model_links("__data.fields", decisions=decisions),
    )  # fmt: skip


def held_now(*, width: int = 10) -> table.Panel:
    """What holds which request."""
    gates = " ".join(f"{gate}: {why}." for gate, why in GATES.items())
    return rows(
        "Requests that are held now", f"The gate that a request waits at. {gates}",
        [query(f"max by ({MODEL},reason) ({metric('model_held', model=True)})", instant=True, rows=True)],
        steps=[organize({**MODEL_COLUMNS, "reason": "held by"}, hide=("Time", "Value"))],
        none="Nothing is held", width=width, links=ROW_LINKS,
    )  # fmt: skip


def request_log(*, width: int = 12, height: int = 8, limit: int = 100) -> table.Panel:
    """One row for each request that was sent in the time range, the latest first."""
    asked = metric("last_retrain_request_timestamp_seconds", model=True)
    columns = ("Value", *MODEL_COLUMNS, "reason")
    fields = {name: {"aggregations": [], "operation": "groupby"} for name in columns}
    return rows(
        "Retrainings that were asked for", "Each request of the time range: when it was sent, for what kind of event.",
        [query(f"max by ({MODEL},reason) ({asked}) * 1000", rows=True)],
        steps=[
            ("groupBy", {"fields": fields}),
            ("sortBy", {"fields": {}, "sort": [{"field": "Value", "desc": True}]}),
            ("limit", {"limitField": limit}),
            organize({"Value": "asked at", **MODEL_COLUMNS, "reason": "because of"}, hide=()),
        ],
        units={"asked at": "dateTimeAsIso"}, none="No retraining was asked for", width=width, height=height,
        links=ROW_LINKS,
    )  # fmt: skip


def decided(more: str = "", *, width: int = 12) -> timeseries.Panel:
    """Decisions over time by outcome."""
    counted = metric("decisions_total", ",".join(filter(None, ['outcome!="none"', more])))
    return bars(
        "Decisions by outcome",
        "What became of the events: how many decisions there were in the time of each bar.",
        [query(f"sum by (outcome) ({counted}) - sum by (outcome) ({counted} offset $__interval) > 0", "{{outcome}}")],
        width=width,
    )  # fmt: skip


def verdicts(more: str = "", *, width: int = 12, height: int = 8) -> table.Panel:
    """By rule: retrainings after which the model was well again, or was not."""
    judged = metric("retrainings_total", more)
    matrix = {"columnField": "verdict", "rowField": "rule", "valueField": "Value", "emptyValue": "zero"}
    return rows(
        "Did it help?", "Retrainings of the time range by rule, and whether the model was well again after them.",
        [query(f"round(sum by (rule,verdict) (increase({judged}[$__range])))", instant=True, rows=True)],
        steps=[("groupingToMatrix", matrix), organize({"rule\\verdict": "rule"}, hide=())],
        none="No retraining was judged", width=width, height=height,
    )  # fmt: skip


def helped(more: str = "", *, width: int = 4) -> Any:
    """The share of retrainings after which the model was well again."""
    good, every = (count_in_range("retrainings_total", ",".join(filter(None, [one, more])))
                   for one in ('verdict="recovered"', ""))  # fmt: skip
    return number(
        "Helped", "Of those judged in the time range, the share after which the model was well again.",
        f"{good} / ({every} > 0)", unit="percentunit", none="none judged", width=width,
    )  # fmt: skip


def in_range(title: str, about: str, outcome: str, more: str = "", *, width: int = 4) -> Any:
    """How many decisions of an outcome there were in the time range."""
    chosen = ",".join(filter(None, [f'outcome="{outcome}"', more]))
    return number(title, about, f"round({count_in_range('decisions_total', chosen)})", width=width)


def distance(*, width: int = 24, links: list[build.DashboardLink] | None = None) -> timeseries.Panel:
    """Signals of all units in one panel, as multiples of their limits."""
    value, limit = (
        f"max by ({MODEL},rule) ({metric(name, model=True)})" for name in ("signal_value", "signal_threshold")
    )
    return lines(
        "Signals as a share of their limits",
        "100 % is the limit. Rules that fire below a limit are well above 100 %; rules without a limit are not here.",
        [query(f"{value} / {limit}", "{{project}}/{{pipeline}}/{{version}}: {{rule}}")], unit="percentunit",
        width=width, links=SERIES_LINKS if links is None else links,
    )  # fmt: skip


def reading(name: str) -> str:
    """What the chosen rules read, or their limits."""
    return f"max by ({MODEL},rule) (retrain_bridge_{name}{{{OF_MODEL},{OF_RULE}}})"
