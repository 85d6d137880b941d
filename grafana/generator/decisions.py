"""One model or some: what was read, decided, asked for and held, and whether it helped."""

from __future__ import annotations

from grafana.generator import shared
from grafana.generator.links import DECISIONS, model_links
from grafana.generator.making import made
from grafana.generator.panels import lines, query, timeline, words
from grafana.generator.sdk import build, dashboard, statetimeline, timeseries
from grafana.generator.variables import MODEL, metric

_LINKS = model_links("__field.labels", decisions=False)


def _signals() -> timeseries.Panel:
    legend = "{{project}}/{{pipeline}}/{{version}}: {{rule}}"
    panel = lines(
        "Signals and their limits",
        "What the rules read (solid) and the limits (dashed), in the signal's own unit: choose rules of one unit.",
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
        "What held it", "While a request waits: the gate that holds it.",
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
        "By which rule", "A rule is pending until its breach has lasted for its `for`, then it fires.",
        [query(expr, "{{project}}/{{pipeline}}/{{version}}: {{rule}}")],
        mappings=[words({"1": ("pending", "yellow"), "2": ("firing", "orange")})], links=_LINKS,
    )  # fmt: skip


def decisions() -> build.Dashboard:
    """The dashboard of one incident."""
    counts = [
        shared.in_range("Asked for", "Requests that were sent.", "requested", shared.OF_RULE),
        shared.in_range("Held", "Times that a gate began to hold a request.", "held", shared.OF_RULE),
        shared.in_range("Joined", "Rules that found a request of another rule open.", "joined", shared.OF_RULE),
        shared.in_range("Withdrawn", "Well again before it was sent, or taken back.", "withdrawn", shared.OF_RULE),
        shared.in_range(
            "Recorded", "Would have been asked for: dry run, or a shadow rule.", "recorded", shared.OF_RULE
        ),
        shared.helped(shared.OF_RULE),
    ]
    open_requests = lines(
        "Requests that are not over", "All pipelines together, by state.",
        [query(f"sum by (state) ({metric('requests')})", "{{state}}")],
    )  # fmt: skip
    return made(
        DECISIONS, "Retrain Bridge / Decisions", "What was read, decided, asked for and held, and whether it helped.",
        [
            ("In this time range", False, counts),
            ("Models and rules", False, [
                shared.state_timeline(decisions=False, height=7), _rules_over_time(), _held(),
            ]),
            ("Signals", False, [_signals()]),
            ("Decisions", False, [shared.decided(shared.OF_RULE), shared.request_log(), open_requests,
                                  shared.verdicts(shared.OF_RULE)]),
        ],
        since="now-24h", rule=True,
    )  # fmt: skip
