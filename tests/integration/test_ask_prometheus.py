"""`check config --ask-prometheus`, with a real server: what no file can tell."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import responses

from bridge.authoring.check.online import ask_prometheus
from bridge.authoring.check.online_lint import doubts
from bridge.authoring.check.prometheus_facts import PrometheusFacts
from bridge.config.load import load
from bridge.domain.errors import Problem
from bridge.domain.model import ModelTable
from bridge.sources.prometheus import PrometheusConfig, PrometheusSource
from tests.support.remote_write import remote_write
from tests.support.servers import Prometheus, prometheus

NOW = int(time.time()) * 1000


def labels(name: str, version: str, **more: str) -> dict[str, str]:
    return {"__name__": name, "project": "shop", "pipeline": "ranking", "version": version, **more}


@pytest.fixture(scope="module")
def server() -> Iterator[Prometheus]:
    sample = [(NOW - 1000, 0.5)]
    with prometheus(flags=["--web.enable-remote-write-receiver"]) as running:
        remote_write(running.url, [
            (labels("model_drift_score", "7"), sample),
            (labels("model_drift_score", "8"), sample),
            (labels("model_latency_seconds", "7", instance="a"), sample),
            (labels("model_latency_seconds", "7", instance="b"), sample),
            ({"__name__": "model_errors", "project": "shop", "pipeline": "ranking"}, sample),
        ])  # fmt: skip
        yield running


def asked(
    folder: Path, url: str, *signals: str, expr: str = "", models: str = "version",
    group: Mapping[str, object] | None = None, more: Callable[..., list[Problem]] | None = None,
    shared: list[str] | None = None,
) -> list[str]:  # fmt: skip
    """What is said of rules on these expressions, without the file's name."""
    rules: list[dict[str, object]] = [
        {"retrain": f"R{index}", "signal": f"s{index}", "strategy": {"threshold": {"max": 0.6}}}
        for index in range(len(signals))
    ]
    rules += [{"retrain": "Plain", "expr": expr}] if expr else []
    group = group or {
        "name": "g",
        "query_offset": "0s",
        "signals": {f"s{index}": {"event": "custom", "expr": text} for index, text in enumerate(signals)},
        "rules": rules,
    }
    (folder / "rules.yml").write_text(json.dumps({"groups": [group]}))
    config: dict[str, object] = {
        "prometheus": {"url": url},
        "models": {"labels": {"version": models}},
        "rule_files": ["rules.yml"],
        "route": {"receiver": "team"},
        "receivers": [{"name": "team", "log_configs": [{}]}],
    }
    if shared is not None:
        config["gates"] = {"shared_cause": {"labels": shared}}
    (folder / "bridge.yml").write_text(json.dumps(config))
    found = ask_prometheus(folder / "bridge.yml", NOW, more)
    return [str(problem).partition(": ")[2] for problem in found]


def test_what_prometheus_answers_is_in_order(server: Prometheus, tmp_path: Path) -> None:
    """An expression that nothing fulfils just now, too: that is how it is while all is well."""
    assert asked(tmp_path, server.url, "model_drift_score", expr="model_drift_score > 0.9") == []


def test_an_unknown_metric_is_reported_with_what_may_be_meant(server: Prometheus, tmp_path: Path) -> None:
    """Of signals and of plain expressions."""
    found = asked(tmp_path, server.url, "max by (project) (model_drift_scor)", expr="modl_errors > 1")
    assert found == [
        "Plain: Prometheus has no metric 'modl_errors' (did you mean 'model_errors'?)",
        "R0: Prometheus has no metric 'model_drift_scor' (did you mean 'model_drift_score'?)",
    ]


def test_what_prometheus_or_the_mapping_refuses_is_reported(server: Prometheus, tmp_path: Path) -> None:
    """In the words that an evaluation would have."""
    first, second, third = asked(
        tmp_path, server.url, "model_latency_seconds", "model_drift_score + on () model_drift_score", "model_errors"
    )
    assert "R0: signal 's0': two series are the same model shop/ranking/7" in first
    assert second.startswith("R1: HTTP 422 execution: ")
    assert third == "R2: warning: signal 's2' has no sample for any model now [no-sample]"


def test_a_label_that_no_series_has_is_reported(server: Prometheus, tmp_path: Path) -> None:
    """The mapping has a slip."""
    found = asked(tmp_path, server.url, "model_drift_score", models="verson")
    assert "R0: no series in Prometheus has the model label 'verson' (did you mean 'version'?)" in found


def test_a_server_that_is_away_is_one_problem(tmp_path: Path) -> None:
    """Not one for each expression."""
    (found,) = asked(tmp_path, "http://127.0.0.1:1", "a", "b")
    assert found.startswith("prometheus.url: ")
    assert found.endswith("Connection refused")


def test_conditions_and_signals_without_a_rule_are_queried_too(server: Prometheus, tmp_path: Path) -> None:
    """Every signal of the group, named by the rule that uses it, else by itself."""
    limit = {"threshold": {"max": 0.6}}
    signals = {"a": "model_drift_score", "b": "model_drift_scor", "c": "model_errors", "d": "modl_errors"}
    group = {
        "name": "g", "query_offset": "0s",
        "signals": {name: {"event": "custom", "expr": expr} for name, expr in signals.items()},
        "rules": [{"retrain": "Both", "all": [{"signal": name, "strategy": limit} for name in "abc"]}],
    }  # fmt: skip
    assert asked(tmp_path, server.url, group=group) == [
        "d: Prometheus has no metric 'modl_errors' (did you mean 'model_errors'?)",
        "Both: Prometheus has no metric 'model_drift_scor' (did you mean 'model_drift_score'?)",
        "Both: warning: signal 'c' has no sample for any model now [no-sample]",
    ]


CUSTOM = {"event": "custom"}


def doubted(
    folder: Path, url: str, expr: str, limit: str, signal: Mapping[str, object] = CUSTOM, for_: str = ""
) -> list[str]:
    """The lints that a Prometheus raises of one rule."""
    one = {"retrain": "R", "signal": "s", "strategy": {"threshold": json.loads(limit)}}
    timing = {"for": for_} if for_ else {}
    group = {"name": "g", "query_offset": "0s", "signals": {"s": {**signal, "expr": expr}}, "rules": [one | timing]}
    (folder / "rules.yml").write_text(json.dumps({"groups": [group]}))
    config = {
        "prometheus": {"url": url}, "rule_files": ["rules.yml"], "route": {"receiver": "team"},
        "receivers": [{"name": "team", "log_configs": [{}]}],
    }  # fmt: skip
    (folder / "bridge.yml").write_text(json.dumps(config))
    return [f"{problem.lint}: {problem.message}" for problem in ask_prometheus(folder / "bridge.yml", NOW, doubts)]


@pytest.fixture(scope="module")
def measured() -> Iterator[Prometheus]:
    """A day of drift between 0.2 and 0.4, a sample every ten minutes, and a model that nobody looks at."""
    times = range(NOW - 86_400_000, NOW, 600_000)
    points = [(at, 0.2 + 0.2 * (index % 2)) for index, at in enumerate(times)]
    with prometheus(flags=["--web.enable-remote-write-receiver"]) as running:
        for start in range(0, len(points), 3):  # no sample is an hour older than the newest
            buckets = [(labels("model_seconds_bucket", "7", le=le), points[start : start + 3]) for le in ("1", "+Inf")]
            remote_write(running.url, [(labels("model_drift_score", "7"), points[start : start + 3]), *buckets])
        remote_write(running.url, [(labels("other", "9"), [(NOW - 120_000, 1.0)])])
        yield running


EXPR = "last_over_time(model_drift_score[15m])"


def test_a_limit_is_held_against_what_was_measured(measured: Prometheus, tmp_path: Path) -> None:
    """Past it all day, or nowhere near it: most likely another unit."""
    alone = "uncovered-model: no rule has samples of shop/ranking/9"
    cases = {
        '{"max": 0.5}': [],
        '{"max": 0.3}': [],  # passed by some
        '{"min": 0.3}': [],
        '{"max": 0.1}': ["always-breached: s was never below 0.2 in the last 1d, but max is 0.1"],
        '{"min": 0.9}': ["always-breached: s was never above 0.4 in the last 1d, but min is 0.9"],
        '{"max": 200}': ["far-from-measured: s was never above 0.4 in the last 1d, but max is 200"],
    }
    for limit, expected in cases.items():
        assert doubted(tmp_path, measured.url, EXPR, limit) == [alone, *expected]


def test_for_is_held_against_the_time_between_samples(measured: Prometheus, tmp_path: Path) -> None:
    """Six an hour: `for: 5m` would be decided by one of them."""
    found = doubted(tmp_path, measured.url, EXPR, '{"max": 0.5}', for_="5m")
    told = "for (5m) is shorter than the time between two samples of model_drift_score (10m)"
    assert f"shorter-than-scrape: {told}" in found
    assert len(doubted(tmp_path, measured.url, EXPR, '{"max": 0.5}', for_="10m")) == 1


ALONE = "uncovered-model: no rule has samples of shop/ranking/9"


def test_a_condition_is_held_against_what_was_measured(measured: Prometheus, tmp_path: Path) -> None:
    """As the rule's own strategy is."""
    parts = [{"signal": "s", "strategy": {"threshold": {"max": limit}}} for limit in (0.5, 200)]
    group = {
        "name": "g", "query_offset": "0s", "signals": {"s": {"event": "custom", "expr": EXPR}},
        "rules": [{"retrain": "R", "any": parts}],
    }  # fmt: skip
    found = asked(tmp_path, measured.url, group=group, more=doubts)
    assert [text.partition("warning: ")[2] for text in found] == [
        f"{ALONE.partition(': ')[2]} (their series carry model labels) [uncovered-model]",
        "s was never above 0.4 in the last 1d, but max is 200 (check the unit) [far-from-measured]",
    ]


def test_a_rule_that_would_never_reach_a_verdict_is_reported(tmp_path: Path) -> None:
    """Histograms with 60 observations an hour, for two days: too few where nothing is added up."""
    hours = [(NOW - hour * 3_600_000, 60.0 + hour % 2) for hour in range(50, -1, -1)]
    with prometheus(flags=["--web.enable-remote-write-receiver"]) as running:
        for start in range(0, len(hours), 3):
            part = hours[start : start + 3]
            half = [(at, count / 2) for at, count in part]
            buckets = {"1": half, "+Inf": part}
            remote_write(running.url, [(labels("sizes_bucket", "7", le=le), buckets[le]) for le in buckets])
        signal = {"event": "custom", "buckets": "last_over_time(sizes_bucket[1h])"}
        signal["reference"] = f"{signal['buckets']} * 1"
        rule: dict[str, object] = {"retrain": "R", "signal": "s", "strategy": "chi_square"}
        group = {"name": "g", "query_offset": "0s", "interval": "1h", "signals": {"s": signal}, "rules": [rule]}
        never = "R: warning: chi_square would never have evaluated shop/ranking/7, although s has samples"
        found = asked(tmp_path, running.url, group=group, more=doubts)
        assert [line.partition(" (see docs/runbooks/")[0] for line in found if "never" in line] == [never], found
        rule["strategy"] = {"chi_square": {"n_min": 50}}
        assert not [line for line in asked(tmp_path, running.url, group=group, more=doubts) if "never" in line]


def test_a_lower_limit_far_below_all_is_reported(measured: Prometheus, tmp_path: Path) -> None:
    """`min: 0.9` for an accuracy in percent."""
    told = "far-from-measured: s was never below 20 in the last 1d, but min is 0.3"
    assert doubted(tmp_path, measured.url, f"100 * {EXPR}", '{"min": 0.3}') == [ALONE, told]
    assert doubted(tmp_path, measured.url, f"100 * {EXPR}", '{"min": 0.5}') == [ALONE]


def test_a_latency_of_another_size_is_reported(measured: Prometheus, tmp_path: Path) -> None:
    """Whatever the limit is."""
    cases = [
        ("milliseconds", EXPR, "unit-of-values: s was never above 0.4 milliseconds in the last 1d"),
        ("seconds", f"1000 * {EXPR}", "unit-of-values: s was never below 200 seconds in the last 1d"),
    ]
    for unit, expr, told in cases:
        assert told in doubted(tmp_path, measured.url, expr, '{"max": 2}', {"event": "latency", "unit": unit})
    assert doubted(tmp_path, measured.url, EXPR, '{"max": 2}', {"event": "latency", "unit": "seconds"}) == [ALONE]


def test_a_selector_that_fits_nothing_is_reported(measured: Prometheus, tmp_path: Path) -> None:
    """Of a known metric, in a part of an expression that gives numbers all the same."""
    expr = f'{EXPR} or model_drift_score{{pipeline="rankin"}}'
    told = 'no-series: no series matches model_drift_score{pipeline="rankin"} in the last 1d'
    assert doubted(tmp_path, measured.url, expr, '{"max": 0.5}') == [ALONE, told]


def test_a_range_without_samples_is_reported(measured: Prometheus, tmp_path: Path) -> None:
    """A sample every ten minutes, and five minutes looked at."""
    expr = "avg_over_time(model_drift_score[5m]) or " + EXPR
    told = "empty-windows: the range [5m] is shorter than the time between two samples of model_drift_score (10m)"
    assert doubted(tmp_path, measured.url, expr, '{"max": 0.5}') == [ALONE, told]


def test_a_histogram_of_few_scrapes_is_reported(measured: Prometheus, tmp_path: Path) -> None:
    """Six an hour: what `increase` makes of half an hour is in good part made up."""
    for window, doubtful in (("30m", True), ("40m", False)):
        buckets = "sum by (project, pipeline, version, le) (increase(model_seconds_bucket[$window]))"
        signal = {"event": "custom", "window": window, "buckets": buckets, "reference": "model_seconds_bucket"}
        one = {"retrain": "R", "signal": "s", "strategy": {"chi_square": {}}}
        group = {"name": "g", "query_offset": "0s", "signals": {"s": signal}, "rules": [one]}
        found = [text for text in asked(tmp_path, measured.url, group=group, more=doubts) if "uncovered" not in text]
        told = "the range [30m] of model_seconds_bucket holds fewer than 4 scrapes, 10m apart"
        assert [told in text for text in found] == ([True] if doubtful else [])


def test_a_model_that_is_well_is_covered_by_a_plain_expression(measured: Prometheus, tmp_path: Path) -> None:
    """Its answer is empty while all is well; its selectors are not."""
    drift = "last_over_time(model_drift_score[1h]) > 5"
    group: dict[str, object] = {"name": "g", "query_offset": "0s", "rules": [{"retrain": "R", "expr": drift}]}
    (found,) = asked(tmp_path, measured.url, group=group, more=doubts)
    assert "no rule has samples of shop/ranking/9" in found
    group["rules"] = [{"retrain": "R", "expr": f"{drift} or other > 5"}]
    assert asked(tmp_path, measured.url, group=group, more=doubts) == []


def test_nothing_is_unseenof_what_cannot_be_queried(tmp_path: Path) -> None:
    """A server that went away after the errors were looked for."""
    group = {"name": "g", "rules": [{"retrain": "R", "expr": "up > 5", "for": "5m"}],
             "signals": {"s": {"event": "custom", "expr": "up"}}}  # fmt: skip
    asked(tmp_path, "http://127.0.0.1:1", group=group)
    config = load(tmp_path / "bridge.yml")
    source = PrometheusSource(config.prometheus, ModelTable(), tmp_path, timeout=60)
    assert doubts(config, source, NOW) == []
    source.close()


def test_the_time_between_samples_is_that_of_the_samples(server: Prometheus, tmp_path: Path) -> None:
    """Also of a series that began a few minutes ago, and of one with holes."""
    every = [(NOW - 240_000 + at, 1.0) for at in range(0, 240_000, 5_000) if not 60_000 < at < 90_000]
    remote_write(server.url, [(labels("young", "7"), every), (labels("young", "8"), every[::4])])
    source = PrometheusSource(PrometheusConfig(url=server.url), ModelTable(), tmp_path)
    facts = PrometheusFacts(source, NOW)
    assert (facts.spacing("young"), facts.spacing("model_drift_score"), facts.spacing("none")) == (5_000, 0, 0)
    source.close()


def test_the_absence_of_an_unknown_metric_may_be_looked_for(server: Prometheus, tmp_path: Path) -> None:
    """Only where the expression asks for it."""
    assert asked(tmp_path, server.url, expr='absent(gone{project="shop",pipeline="ranking",version="7"})') == []
    (found,) = asked(tmp_path, server.url, expr="absent(gone) and gone_too")
    assert found == "Plain: Prometheus has no metric 'gone_too'"
    expr = "absent(gone) or gone_too > 5 or model_drift_score > 5"
    unseen = [text for text in asked(tmp_path, server.url, expr=expr, more=doubts) if "no-series" in text]
    assert unseen == []


def test_what_only_the_parser_refuses_is_a_warning(server: Prometheus, tmp_path: Path) -> None:
    """The server has the last word, and is asked for every expression that the parser refuses."""
    (error,) = asked(tmp_path, server.url, expr="rat(model_drift_score[5m]) > 1")
    assert error == "groups[0].rules[0].expr: unknown function 'rat' (did you mean 'rate'?)"


def test_an_expression_that_the_server_takes_is_a_warning(tmp_path: Path) -> None:
    """Such as MetricsQL."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        base = "http://metrics.test/api/v1"
        for path in ("/labels", "/label/__name__/values"):
            mocked.get(base + path, json={"status": "success", "data": ["x"]})
        mocked.get(f"{base}/query", json={"status": "success", "data": {"resultType": "vector", "result": []}})
        (warning,) = asked(tmp_path, "http://metrics.test", expr="median(x) > 1")
    assert warning == (
        "groups[0].rules[0].expr: warning: unknown function 'median'; the server accepts the expression "
        "(set prometheus.flavor) [promql-syntax]"
    )


@pytest.mark.parametrize(
    ("suffix", "cause"),
    [
        ("/graph", "{url}/graph is the address of a page: remove /graph"),
        ("/prefix", "{url}/prefix: is it the right server, and is its path prefix in the url"),
    ],
)
def test_a_wrong_address_gets_its_likely_cause(server: Prometheus, tmp_path: Path, suffix: str, cause: str) -> None:
    """In one problem, without Python's bytes."""
    (found,) = asked(tmp_path, server.url + suffix, "model_drift_score")
    assert found.startswith("prometheus.url: HTTP 404: 404 page not found")
    assert cause.format(url=server.url) in found
    assert "b'" not in found


def test_a_missing_tenant_is_reported(tmp_path: Path) -> None:
    """As Mimir answers."""
    with responses.RequestsMock() as mocked:
        mocked.get("http://mimir.test/prometheus/api/v1/label/__name__/values", status=401, body="no org id\n")
        (found,) = asked(tmp_path, "http://mimir.test/prometheus", "x")
    tenant = "http://mimir.test/prometheus has tenants: set flavor: mimir and tenant: NAME"
    assert found == f"prometheus.url: HTTP 401: no org id ({tenant})"


def test_labels_under_which_models_are_siblings_are_found(server: Prometheus, tmp_path: Path) -> None:
    """Only those whose values several models share; a configured label must be on a signal."""
    placed = [
        ({"__name__": "placed", "project": "p", "pipeline": f"m{number}", "version": "1", "pod": f"pod{number}",
          "node": f"n{number % 2}"}, [(NOW - 1000, 0.5)])
        for number in range(6)
    ]  # fmt: skip
    remote_write(server.url, placed)
    found = [text for text in asked(tmp_path, server.url, "placed", more=doubts) if "[sibling-labels]" in text]
    (told,) = found
    assert "models have label values in common: node (2 values with 3 models or more)" in told
    assert "gates: {shared_cause: {labels: [node]}}" in told
    by_node = "max by (project, pipeline, version, node) (placed)"
    ok = asked(tmp_path, server.url, by_node, more=doubts, shared=["node", "project"])
    assert [text for text in ok if "[sibling-labels]" in text] == []
    lost = asked(tmp_path, server.url, "max by (project, pipeline, version) (placed)", more=doubts, shared=["node"])
    (told,) = [text for text in lost if "[sibling-labels]" in text]
    assert "no signal of a rule has the label 'node', so it makes no models siblings" in told


def test_the_models_of_an_fdr_are_counted(server: Prometheus, tmp_path: Path) -> None:
    """One of the two would need twice the evidence at which its test ends."""
    counts = {"event": "inference_error", "errors": "0 * model_drift_score", "total": "100 * model_drift_score"}
    rule = {"retrain": "R", "signal": "s", "strategy": {"error_e_process": {"p0": 0.01, "alpha": 0.05}}, "fdr": 0.05}
    group = {"name": "g", "query_offset": "0s", "signals": {"s": counts}, "rules": [rule]}
    (found,) = [text for text in asked(tmp_path, server.url, group=group, more=doubts) if "[alpha-too-large]" in text]
    assert "no model is breached unless 2 fail together; s has 2 models (for one model to be breached alone" in found
