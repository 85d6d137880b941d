"""Dashboard of decisions: signals, decisions, requests, gates and recovery of the selected models."""

from __future__ import annotations

from grafana.generator import shared
from grafana.generator.links import DECISIONS, model_links
from grafana.generator.making import made
from grafana.generator.panels import coloured, lines, organize, query, rows, timeline, words
from grafana.generator.sdk import build, dashboard, statetimeline, table, timeseries
from grafana.generator.variables import MODEL, metric

_LINKS = model_links("__field.labels", decisions=False)


def _signals() -> timeseries.Panel:
    legend = "{{project}}/{{pipeline}}/{{version}}: {{rule}}"
    panel = lines(
        "Signals and their limits",
        "Values (solid) and limits (dashed) of the rules, in the unit of the signal. Select rules with the same unit.",
        [
            query(shared.reading("signal_value"), legend, ref="Signal"),
            query(shared.reading("signal_threshold"), f"limit of {legend}", ref="Limit"),
        ],
        width=24, height=9, links=_LINKS,
    )  # fmt: skip
    dashed = {"fill": "dash", "dash": [8, 8]}
    return panel.override_by_query("Limit", [
        dashboard.DynamicConfigValue(id_val="custom.lineStyle", value=dashed),
        dashboard.DynamicConfigValue(id_val="custom.fillOpacity", value=0),
        dashboard.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": "red"}),
        dashboard.DynamicConfigValue(
            id_val="custom.hideFrom", value={"legend": True, "tooltip": False, "viz": False}
        ),
    ])  # fmt: skip


def _held() -> statetimeline.Panel:
    return timeline(
        "Gates", "Gate that holds the request, while one does.",
        [query(f"max by ({MODEL},reason) ({metric('model_held', model=True)})",
               "{{project}}/{{pipeline}}/{{version}}: {{reason}}")],
        mappings=[words({"1": ("held", "purple")})], links=_LINKS,
    )  # fmt: skip


def _rules_over_time() -> statetimeline.Panel:
    active = metric("rule_active_timestamp_seconds", model=True)
    states = {"pending": 1, "firing": 2}
    expr = " or ".join(
        f'max by ({MODEL},rule) (0 * {active[:-1]},state="{state}",{shared.OF_RULE}}} + {code})'
        for state, code in states.items()
    )
    return timeline(
        "Rules", "A rule is pending until its breach has lasted for its `for`, then it fires.",
        [query(expr, "{{project}}/{{pipeline}}/{{version}}: {{rule}}")],
        mappings=[words({"1": ("pending", "yellow"), "2": ("firing", "orange")})], links=_LINKS,
    )  # fmt: skip


def _crossings() -> table.Panel:
    """Return a table of values that are expected to cross their limits, with both bounds of the time."""
    bounds = [
        query(f"max by ({MODEL},rule) ({_crossing(bound)}) * 1000", ref=bound, instant=True, rows=True)
        for bound in ("earliest", "latest")
    ]
    names = {**shared.MODEL_COLUMNS, "rule": "rule", "Value #earliest": "earliest", "Value #latest": "latest"}
    return rows(
        "Expected crossings", "When the trend of a value is expected to cross its limit (strategy decay).", bounds,
        steps=[("merge", {}), organize(names)], none="No crossing is expected", width=24,
        units={"earliest": "dateTimeAsIso", "latest": "dateTimeAsIso"}, sort=("latest", False),
        links=model_links("__data.fields", decisions=False),
    )  # fmt: skip


def _crossing(bound: str) -> str:
    return metric("signal_crossing_timestamp_seconds", f'bound="{bound}",{shared.OF_RULE}', model=True)


def decisions() -> build.Dashboard:
    """Return the dashboard for one incident."""
    counts = [
        shared.in_range("Requested", "Requests sent.", "requested", shared.OF_RULE),
        shared.in_range("Held", "Requests that a gate started to hold.", "held", shared.OF_RULE),
        shared.in_range("Joined", "Rules that fired while another rule's episode was open.", "joined", shared.OF_RULE),
        shared.in_range(
            "Withdrawn",
            "Requests withdrawn before they were sent: the model recovered, or an operator withdrew them.",
            "withdrawn",
            shared.OF_RULE,
        ),
        shared.in_range(
            "Recorded", "Requests of dry runs and shadow rules, which are not sent.", "recorded", shared.OF_RULE
        ),
        shared.helped(shared.OF_RULE),
    ]
    open_requests = coloured(lines(
        "Unfinished requests", "All pipelines, by state.",
        [query(f"sum by (state) ({metric('requests')})", "{{state}}")],
    ), shared.REQUESTS)  # fmt: skip
    return made(
        DECISIONS, "Retrain Bridge / Decisions",
        "Signals, decisions, requests, gates and recovery of the selected models.",
        [
            ("Counts in the time range", False, counts),
            ("Models and rules", False, [
                shared.state_timeline(decisions=False, height=7), _rules_over_time(), _held(),
            ]),
            ("Signals", False, [_signals(), _crossings()]),
            ("Decisions", False, [shared.decided(shared.OF_RULE), shared.request_log(), open_requests,
                                  shared.verdicts(shared.OF_RULE)]),
        ],
        since="now-24h", rule=True,
    )  # fmt: skip
