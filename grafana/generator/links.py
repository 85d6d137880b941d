"""Where the dashboards lead: to each other, and to the page of the bridge."""

from __future__ import annotations

from grafana.generator.sdk import build, dashboard

TAG = "retrain-bridge"
OVERVIEW, DECISIONS, INTERNALS = "retrain-bridge-overview", "retrain-bridge-decisions", "retrain-bridge-internals"
BRIDGE = "${bridge:raw}"
_SAME_TIME = "${__url_time_range}"


def _model(prefix: str) -> dict[str, str]:
    """The model that was clicked on. prefix: "__field.labels" of a series, "__data.fields" of a table's row."""
    return {name: f"${{{prefix}.{name}:percentencode}}" for name in ("project", "pipeline", "version")}


def _link(title: str, url: str, *, outside: bool = False) -> build.DashboardLink:
    return build.DashboardLink(title).url(url).target_blank(outside)


def model_links(prefix: str, *, decisions: bool = True) -> list[build.DashboardLink]:
    """From a model to its decisions, and to the page of the bridge that explains it."""
    model = _model(prefix)
    asked = "&".join(f"{name}={value}" for name, value in model.items())
    found = [
        _link("Explained by the bridge", f"{BRIDGE}/model?{asked}", outside=True),
        _link("Its requests, by the bridge", f"{BRIDGE}/requests?{asked}", outside=True),
    ]
    if decisions:
        chosen = "&".join(f"var-{name}={value}" for name, value in model.items())
        same = "var-datasource=${datasource}&${job:queryparam}"
        found.insert(0, _link("Decisions on this model", f"/d/{DECISIONS}?{same}&{chosen}&{_SAME_TIME}"))
    return found


def dashboard_links() -> list[build.DashboardLink]:
    """At the top of each dashboard: the other ones, with time and choices kept, and the page of the bridge."""
    others = build.DashboardLink("Retrain Bridge").type(dashboard.DashboardLinkType.DASHBOARDS).tags([TAG])
    page = build.DashboardLink("Page of the bridge").type(dashboard.DashboardLinkType.LINK).url(f"{BRIDGE}/")
    return [
        others.as_dropdown(True).include_vars(True).keep_time(True).icon("external link"),
        page.icon("external link").target_blank(True).tooltip("Models, decisions, rules, requests, deliveries"),
    ]
