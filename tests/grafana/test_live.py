"""Every variable, query, annotation and link of the dashboards, on a real bridge's metrics in a real Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.bridge_story import Story, bridge_story
from tests.support.grafana import DashboardError, View, dashboards, panels, targets
from tests.support.servers import http

# Rightly empty in a story in which the bridge itself was well.
QUIET = frozenset({
    "Alerts on the bridge / A", "Failed queries, by reason / A", "Failed attempts / A",
    "Series fetched and skipped / B", "Runs / A", "Runs / B", "Runs in orchestrators / A",  # the story starts no run
    "What retrainings were worth / Effect",  # it takes hours: test_worth.py
    "Expected crossings / earliest", "Expected crossings / latest",  # and has no rule with `decay`
})  # fmt: skip
NAMES = ["decisions", "internals", "overview"]


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with bridge_story() as told:
        yield told


def views(story: Story, name: str) -> list[View]:
    """A dashboard while the request is held, and at the end."""
    board = dashboards()[name]
    return [View(board, story.source.url, story.begin, end) for end in (story.held, story.end)]


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_has_something_to_show(story: Story, name: str) -> None:
    """Numbers, not only NaN, at one instant of the story at least; with every label that its legend names."""
    seen = views(story, name)
    found = {title: any(view.shown(target) for view in seen) for title, target in targets(dashboards()[name])}
    assert len(found) >= 15
    assert {title for title, there in found.items() if not there} - QUIET == set()


def only(view: View, title: str) -> list[tuple[dict[str, str], list[float]]]:
    """The series of a panel's first target."""
    (target,) = [target for name, target in targets(view.board) if name in {f"{title} / A", f"{title} / Since"}]
    return view.shown(target)


def test_an_operator_on_call_finds_what_is_degraded_since_when_and_by_what(story: Story) -> None:
    """While the request is held: the model, its rule, since when, its gate."""
    during, after = views(story, "overview")
    ((labels, values),) = only(during, "Pending and firing rules")
    assert (labels["pipeline"], labels["rule"], labels["state"]) == ("ranking", "Drifted", "firing")
    assert story.begin < values[0] / 1000 < story.held
    ((held, _),) = only(during, "Held requests")
    assert (held["pipeline"], held["reason"]) == ("ranking", "paused")
    assert only(after, "Pending and firing rules") == only(after, "Held requests") == []


def test_the_timeline_shows_the_whole_story(story: Story) -> None:
    """Healthy, degraded, held, retrained, replaced: the codes of the states in this order."""
    _, after = views(story, "overview")
    found = {labels["pipeline"] + labels["version"]: codes for labels, codes in only(after, "State of each model")}
    assert set(found["search2"]) == {0}
    codes = found["ranking7"]
    passed = [code for code, before in zip(codes, [None, *codes], strict=False) if code != before]
    assert [code for code in passed if code in {0, 3, 4, 7}][:4] == [0, 3, 4, 7]
    assert passed[-1] == 8


def test_the_dashboard_shows_requests_and_their_results(story: Story) -> None:
    """One request in the log, at its own time; the one retraining that was judged did help."""
    _, after = views(story, "overview")
    ((labels, values),) = only(after, "Requested retrainings")
    assert (labels["pipeline"], labels["reason"]) == ("ranking", "drift")
    assert len(set(values)) == 1
    assert story.held <= values[0] / 1000 + 1
    assert [values for _, values in only(after, "Helped")] == [[1.0]]


@pytest.mark.parametrize("name", NAMES)
def test_a_request_is_one_mark_at_its_own_time(story: Story, name: str) -> None:
    """Not one for every scrape."""
    _, after = views(story, name)
    (annotation,) = after.board["annotations"]["list"]
    ((at, title),) = after.marks(annotation)
    assert title == "Retraining requested: shop/ranking/7"
    assert story.held - 1 <= at / 1000 <= story.end


def test_the_links_to_the_bridge_lead_to_its_pages(story: Story) -> None:
    """Of dashboards, series and rows: each answers 200."""
    model = dict(zip(("project", "pipeline", "version"), ("shop", "ranking", "7"), strict=True))
    urls = set()
    for name in NAMES:
        view = views(story, name)[1]
        view.values |= {f"{prefix}.{key}": value for prefix in ("__field.labels", "__data.fields")
                        for key, value in model.items()}  # fmt: skip
        view.values |= {"bridge:raw": view.values["bridge"], "__data.fields.run": "https://prefect.example/runs/1"}
        urls |= set(view.links())
    ours = sorted(url for url in urls if url.startswith(story.process.url))
    asked = "project=shop&pipeline=ranking&version=7"
    assert ours == [f"{story.process.url}/{page}" for page in ("", f"model?{asked}", f"requests?{asked}")]
    told = [http("GET", url) for url in ours]
    assert [status for status, _ in told] == [200, 200, 200]
    assert all("shop/ranking/7" in page for _, page in told)
    inside = sorted(url for url in urls if url.startswith("/d/"))
    assert [url.partition("?")[0] for url in inside] == ["/d/retrain-bridge-decisions"]
    assert "var-project=shop&var-pipeline=ranking&var-version=7" in inside[0]


def test_the_shipped_rules_see_the_retraining_that_runs_and_nothing_wrong(story: Story) -> None:
    """ModelRetrainInProgress while it ran, with its model; no alert about a bridge that is well."""
    source, seconds = story.source, int(story.end - story.begin) + 1
    fired = source.query(f'max_over_time(ALERTS{{alertstate="firing"}}[{seconds}s])', story.end)
    assert [(item["metric"]["alertname"], item["metric"]["pipeline"], item["metric"]["version"]) for item in fired] == [
        ("ModelRetrainInProgress", "ranking", "7")
    ]
    assert source.query('ALERTS{alertname="ModelRetrainInProgress"}', story.end) == []


@pytest.mark.parametrize(
    "expr",
    [
        '{__name__=~".+_build_info", version!=""}',
        '{__name__=~".+_config_last_reload_successful"} == 1',
        'time() - {__name__=~".+_config_last_reload_success_timestamp_seconds"} < 600',
        "process_open_fds / process_max_fds < 0.8",
        "changes(process_start_time_seconds[10m]) == 0",
        "rate(process_cpu_seconds_total[10s]) < 4",
        "process_resident_memory_bytes < 1e9",
        "up == 1",
    ],
)
def test_common_alerts_on_all_tools_work_for_the_bridge(story: Story, expr: str) -> None:
    """It names its metrics as Prometheus' own tools do."""
    found = story.source.query(expr, story.end)
    assert "retrain-bridge" in {item["metric"]["job"] for item in found}


# ---------------------------------------------------------------- that these tests can fail


def test_a_metric_that_does_not_exist_would_be_found(story: Story) -> None:
    """No series is no data."""
    view = views(story, "overview")[1]
    assert view.shown({"expr": "sum(retrain_bridge_modles)", "instant": True}) == []


def test_numbers_that_are_none_would_be_found(story: Story) -> None:
    """A panel of nothing but NaN is empty."""
    view = views(story, "overview")[1]
    assert view.series({"expr": "retrain_bridge_models * NaN"}) != []
    assert view.shown({"expr": "retrain_bridge_models * NaN"}) == []


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"expr": 'up{job=~"$jobs"}'}, r"undefined variable \$jobs"),
        ({"expr": "sum(up"}, "parse error"),
        ({"expr": "sum by (state) (retrain_bridge_models)", "legendFormat": "{{stat}}"}, "no label 'stat'"),
        ({"expr": "rate(retrain_bridge_events_total[$__interval])", "legendFormat": "{{rule}}"}, "no label 'rule'"),
    ],
)
def test_a_query_that_a_server_would_refuse_or_draw_wrongly_is_found(
    story: Story, target: dict[str, str], message: str
) -> None:
    """Variables that are not there, syntax, labels that were summed away."""
    view = views(story, "overview")[1]
    view.step = 5
    view.values["__interval"] = "5s"
    with pytest.raises(DashboardError, match=message):
        view.shown(target)


def test_a_variable_without_values_would_be_found(story: Story) -> None:
    """It filters by a label that is not there."""
    board = dashboards()["overview"]
    variable = next(item for item in board["templating"]["list"] if item["name"] == "pipeline")
    variable["query"]["query"] = "label_values(retrain_bridge_model_info, pipelines)"
    with pytest.raises(DashboardError, match="variable pipeline has no values"):
        View(board, story.source.url, story.begin, story.end)


def test_every_panel_is_checked() -> None:
    """Each has a query of its own."""
    for board in dashboards().values():
        assert [panel["title"] for panel in panels(board) if not panel["targets"]] == []
