"""Panel of what the requested retrainings were worth: `retrain-bridge report` as far as metrics can tell."""

from __future__ import annotations

from grafana.generator.panels import organize, query, rows
from grafana.generator.sdk import table
from grafana.generator.variables import MODEL, metric

WINDOW_HOURS = 6  # before and after a request, as in the report
RESOLUTION = "15m"


def worth(*, width: int = 12, height: int = 8) -> table.Panel:
    """Return a table of requests, results and effect by rule."""
    names = {
        "rule": "Rule", "Value #Requested": "Requested", "Value #Helped": "Helped",
        "Value #NotHelped": "Did not help", "Value #Effect": "Against siblings",
    }  # fmt: skip
    requested = _counted("decisions_total", 'outcome="requested"')
    return rows(
        "What retrainings were worth",
        f"Requests in the time range by rule, and how many helped. Against siblings: difference in differences "
        f"of the signal in units of its limit, {WINDOW_HOURS}h after a request less {WINDOW_HOURS}h before, less the "
        "same change of the pipelines of the project without a request; negative is an improvement where the limit is "
        "an upper one. It assumes that without the retraining the pipeline had changed as they did. "
        "`retrain-bridge report` adds intervals, cost and advice.",
        [
            query(f"{requested} > 0", ref="Requested", instant=True, rows=True),
            query(_judged("recovered", requested), ref="Helped", instant=True, rows=True),
            query(_judged("not_recovered", requested), ref="NotHelped", instant=True, rows=True),
            query(effect(), ref="Effect", instant=True, rows=True),
        ],
        steps=[("merge", {}), organize(names)], none="-", width=width, height=height,
        units={"Against siblings": "percentunit"}, sort=("Requested", True),
    )  # fmt: skip


def _counted(name: str, chosen: str) -> str:
    """Return a query for the increase of a counter in the time range, by rule."""
    return f"round(sum by (rule) (increase({metric(name, chosen)}[$__range])))"


def _judged(verdict: str, requested: str) -> str:
    """Return a query for the retrainings with a verdict; 0 for the other rules that requested one."""
    judged = _counted("retrainings_total", f'verdict="{verdict}"')
    return f"({judged} > 0) or 0 * ({requested} > 0)"


def _relative(offset: str = "") -> str:
    """Return a query for the signal in units of its limit, the highest of the pipeline's versions."""
    value, limit = (
        f"max by ({MODEL},rule) ({metric(name, model=True)}{offset})" for name in ("signal_value", "signal_threshold")
    )
    return f"max by (project,pipeline,rule) ({value} / {limit})"


def effect() -> str:
    """Return a query for the difference in differences of the signals by rule."""
    change = f"({_relative()} - {_relative(f' offset {WINDOW_HOURS}h')})"
    requested = metric("last_retrain_request_timestamp_seconds", model=True)
    treated = f"((time() - max by (project,pipeline) ({requested})) < {WINDOW_HOURS * 3600})"
    siblings = f"avg by (project,rule) ({change} unless on (project,pipeline) {treated})"
    differences = f"(({change} and on (project,pipeline) {treated}) - on (project,rule) group_left () {siblings})"
    return f"avg by (rule) (avg_over_time({differences}[$__range:{RESOLUTION}]))"
