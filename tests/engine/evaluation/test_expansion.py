"""Templates of rules at work: annotations, labels that are frozen, and queries within a budget."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import pytest

from bridge.domain.errors import SourceError
from bridge.domain.rule import Group, RuleKind
from bridge.engine.api.queries import rule_views
from bridge.engine.delivery.alert_rules import firing
from bridge.engine.evaluation import expansion
from bridge.engine.evaluation.expansion import TemplateQueries
from bridge.ports import Sample
from bridge.templates.errors import CallError
from tests.support.world import QUERY_FAILED, START, A, World, group, rule


def texts(annotation: str, series: bytes = b'{"__name__":"m","instance":"i1"}', **results: Any) -> str:
    """The annotation of the request of a firing rule."""
    world = World(group(rule(limit=None, annotations={"text": annotation})))
    world.source.series, world.source.results = series, results
    world.tick({A: 0.7})
    return world.requests()[0].request.annotations["text"]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("{{ $labels }}", "map[__name__:m instance:i1 pipeline:ranking project:shop version:7]"),
        ("{{ .ExternalLabels.cluster }} {{ externalURL }}", "eu http://bridge/x"),
        ("{{ if gt $value 0.6 }}high{{ else }}low{{ end }}", "high"),
        ("{{ $value }}{{ $threshold }}", "0.7"),
    ],
)
def test_an_annotation_is_expanded_as_in_prometheus(annotation: str, expected: str) -> None:
    assert texts(annotation) == expected


def test_an_error_in_a_template_never_loses_the_request() -> None:
    text = texts('{{ template "nowhere" }}')
    assert text.startswith("<error expanding template: error executing template __alert_Drifted:")


def test_a_defect_of_the_template_engine_never_loses_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise KeyError("x")

    monkeypatch.setattr("bridge.templates.alert.AlertTemplate.expand_or_tell", broken)
    assert texts("{{ if $value }}{{ end }}") == "<error expanding template: KeyError: 'x'>"


def test_a_query_reads_at_the_slot_and_each_expression_once() -> None:
    world = World(group(rule(limit=None, annotations={"a": '{{ query "up" | first | value }}'}), offset=5_000))
    world.source.results = {"up": [Sample({}, 3.0)]}
    world.tick({A: 0.7})
    assert world.requests()[0].request.annotations == {"a": "3"}
    assert [view.alerts[0].annotations for view in rule_views(world.engine)] == [{"a": "3"}]
    assert world.source.evaluated == [("up", world.now)]


def test_a_query_that_fails_shows_why_and_is_not_repeated_in_the_slot() -> None:
    assert "error calling query: HTTP 503 from the source" in texts('{{ query "up" }}', up=QUERY_FAILED)


def test_queries_have_a_budget_of_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def evaluate(expr: str, at: int, server: str) -> list[Sample]:
        asked.append(expr)
        return []

    monkeypatch.setattr(expansion, "MOST_QUERIES", 3)
    queries = TemplateQueries(evaluate)
    for number in range(3):
        assert queries(f"m{number}", START) == []
    with pytest.raises(CallError, match="more than 3 queries"):
        queries("m3", START)
    assert queries("m3", START + 1) == []
    monkeypatch.setattr(expansion, "MOST_SECONDS", 0.0)
    with pytest.raises(CallError, match="took more than"):
        queries("m4", START + 1)
    assert len(asked) == 4


def test_results_that_are_too_many_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "MOST_SECONDS", inf)
    asked: list[str] = []

    def evaluate(expr: str, at: int, server: str) -> list[Sample]:
        asked.append(expr)
        return [Sample({}, 1.0)] * 60_000

    queries = TemplateQueries(evaluate)
    for expr in ("a", "b", "a", "a"):
        queries(expr, START)
    assert asked == ["a", "b", "a"]


# ------------------------------------------------------------ labels


ALERT = group(rule(limit=None, kind=RuleKind.ALERT, labels={"severity": "page", "how": '{{ printf "%.1f" $value }}'}))


def notified(world: World) -> dict[str, str]:
    (run,) = world.state.groups["g"].runs
    (alert,) = firing(run, 10_000)
    return dict(alert.labels)


@pytest.mark.parametrize("restarted", [False, True])
def test_an_alert_carries_the_labels_of_the_slot_in_which_it_began(restarted: bool) -> None:
    """Whatever the series and the value are later, and after a restart too: labels are identity in Alertmanager."""
    world = World(ALERT)
    world.source.series = b'{"__name__":"m","feature":"age"}'
    world.tick({A: 0.71})
    expected = {"severity": "page", "how": "0.7", "feature": "age", "alertname": "Drifted", **A.labels()}
    assert notified(world) == expected
    if restarted:
        world.restart()
        assert notified(world) == expected
    world.source.series = b'{"feature":"income"}'
    world.tick({A: 0.95})
    assert notified(world) == expected
    assert [dict(alert.labels) for view in rule_views(world.engine) for alert in view.alerts] == [expected]
    world.tick({})
    world.tick({A: 0.95})
    assert notified(world) == {**expected, "feature": "income", "how": "0.9"}


def test_stored_labels_are_dropped_with_the_alert() -> None:
    world = World(ALERT)
    world.tick({A: 0.7})
    assert [chunk.rule for chunk in world.store.load(0).state] == ["Drifted#labels"]
    world.tick({})
    assert world.store.load(0).state == []
    world.tick({A: 0.7})
    world.reconfigure(Group("g", 10_000, {}, (), fixed_phase=0))
    world.tick()
    assert world.store.load(0).state == []


def test_a_request_carries_the_labels_of_the_series() -> None:
    """The rule's are over them; the model's are added by the notification; later attempts have the same ones."""
    world = World(group(rule(limit=None, labels={"instance": "mine", "empty": "{{ $labels.nowhere }}"})))
    world.source.series = b'{"__name__":"m","instance":"i1","feature":"age"}'
    world.tick({A: 0.7})
    (record,) = world.requests()
    assert record.request.labels == {"instance": "mine", "feature": "age"}
    world.source.series = b'{"feature":"income"}'
    world.report(record.id, "failed")
    world.restart()
    world.tick({A: 0.7})
    assert [item.request.labels for item in world.requests()] == [record.request.labels] * 2


def test_a_rule_on_a_signal_carries_its_own_labels_only() -> None:
    world = World(group(rule(labels={"severity": "page"})))
    world.tick({A: 0.7})
    assert world.requests()[0].request.labels == {"severity": "page"}
    ((view,),) = ([alert.labels for alert in item.alerts] for item in rule_views(world.engine))
    assert view == {"severity": "page", "alertname": "Drifted", **A.labels()}


def test_labels_of_a_series_never_make_a_request_too_large() -> None:
    world = World(group(rule(limit=None)))
    world.source.series = b'{"a":"' + b"x" * 15_000 + b'","b":"' + b"y" * 9_000 + b'"}'
    world.tick({A: 0.7})
    assert [*world.requests()[0].request.labels] == ["a"]


def test_a_rule_that_shares_its_name_is_distinguished() -> None:
    """By its unique name; the alerts have the name as written."""
    tiers = (
        replace(rule(f'Drifted{{tier="{tier}"}}', limit=limit, kind=RuleKind.ALERT), alert_name="Drifted")
        for tier, limit in (("1", 0.3), ("2", 0.6))
    )
    world = World(group(*tiers))
    world.tick({A: 0.5})
    assert [[alert.labels["alertname"] for alert in view.alerts] for view in rule_views(world.engine)] == [
        ["Drifted"], [],
    ]  # fmt: skip


def test_the_source_may_refuse_for_good() -> None:
    error = SourceError("parse error", reason="bad_data", transient=False)
    assert "parse error" in texts('{{ query "up" }}', up=error)
