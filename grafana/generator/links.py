"""Links between the dashboards and to the web interface of the bridge."""

from __future__ import annotations

from grafana.generator.sdk import build, dashboard

TAG = "retrain-bridge"
OVERVIEW, DECISIONS, INTERNALS = "retrain-bridge-overview", "retrain-bridge-decisions", "retrain-bridge-internals"
BRIDGE = "${bridge:raw}"
_SAME_TIME = "${__url_time_range}"


def _model(prefix: str) -> dict[str, str]:
    """Return variables for the clicked model; prefix: "__field.labels" for series, "__data.fields" for table rows."""
    return {name: f"${{{prefix}.{name}:percentencode}}" for name in ("project", "pipeline", "version")}


def _link(title: str, url: str, *, outside: bool = False) -> build.DashboardLink:
    return build.DashboardLink(title).url(url).target_blank(outside)


RUN_LINK = _link("Run in the orchestrator", "${__data.fields.run:raw}", outside=True)


def model_links(prefix: str, *, decisions: bool = True) -> list[build.DashboardLink]:
    """Return links from a model to its decisions and to its pages in the web interface."""
    model = _model(prefix)
    query = "&".join(f"{name}={value}" for name, value in model.items())
    found = [
        _link("Model in the web interface", f"{BRIDGE}/model?{query}", outside=True),
        _link("Requests in the web interface", f"{BRIDGE}/requests?{query}", outside=True),
    ]
    if decisions:
        chosen = "&".join(f"var-{name}={value}" for name, value in model.items())
        same = "var-datasource=${datasource}&${job:queryparam}"
        found.insert(0, _link("Decisions on this model", f"/d/{DECISIONS}?{same}&{chosen}&{_SAME_TIME}"))
    return found


def dashboard_links() -> list[build.DashboardLink]:
    """Return the links at the top of each dashboard: other dashboards, with time and variables, and web interface."""
    others = build.DashboardLink("Retrain Bridge").type(dashboard.DashboardLinkType.DASHBOARDS).tags([TAG])
    page = build.DashboardLink("Web interface of the bridge").type(dashboard.DashboardLinkType.LINK).url(f"{BRIDGE}/")
    return [
        others.as_dropdown(True).include_vars(True).keep_time(True).icon("external link"),
        page.icon("external link").target_blank(True).tooltip("Models, decisions, rules, requests, deliveries"),
    ]
