"""Queries on a running engine: models, rules and queues."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.errors import RequestError
from bridge.domain.request import RequestState
from bridge.domain.rule import StrategySpec
from bridge.domain.times import HOUR, MINUTE, SECOND
from bridge.engine.api.queries import EngineQueries
from bridge.engine.api.views import ModelState, ModelView
from bridge.ports import DecisionFilter, QueueDepth, RequestFilter, StatusReport
from tests.support.world import QUERY_FAILED, A, Answer, B, C, World, group, rule

PLACE = "team/coordinator/0"


def queries(world: World) -> EngineQueries:
    return EngineQueries(
        world.engine, world.store, world.store, world.store, configured=lambda: [PLACE, "team/log/0"],
        why_not_ready=lambda: "", configuration=lambda: "yaml", now=lambda: world.now,
    )  # fmt: skip


def view(world: World, model: object = A) -> ModelView:
    return next(item for item in queries(world).models_by_name().models if item.model == model)


def test_a_model_shows_its_readings() -> None:
    """Value, limit, verdict and state of every rule that saw it."""
    world = World(group(rule(), rule("Errors", query="errors", limit=0.1)))
    world.say({A: 0.01}, signal="errors")
    world.tick({A: 0.7, B: 0.2})
    signals = [(item.rule, item.value, item.threshold, item.verdict, item.state) for item in view(world).signals]
    assert signals == [("Drifted", 0.7, 0.6, "breached", "firing"), ("Errors", 0.01, 0.1, "ok", "inactive")]
    assert [item.model for item in queries(world).models_by_name().models] == [A, B]


def test_a_forecasting_rule_has_the_time_of_a_crossing() -> None:
    """A falls by 0.01 an hour towards 0.5, B rises; a rule without a forecast has none."""
    decay = StrategySpec("decay", {"min": 0.5, "lead_time": "1h", "window": "64h", "min_coverage": 0.25})
    world = World(group(replace(rule(), strategy=decay), rule("Other", limit=2.0), interval=HOUR))
    for hour in range(40):
        world.tick({A: 1.0 - 0.01 * hour, B: 1.0 + 0.01 * hour})
    signals = {(item.rule, model): item.crossing for model in (A, B) for item in view(world, model).signals}
    crossing = signals.pop(("Drifted", A))
    assert crossing is not None
    assert (crossing.limit, crossing.confidence) == (0.5, 0.9)
    assert abs(crossing.earliest - world.now - 11 * HOUR) < 2 * HOUR
    assert crossing.earliest <= crossing.latest
    assert set(signals.values()) == {None}


@pytest.mark.parametrize(
    ("answers", "report", "state"),
    [
        (({A: 0.1},), "", "healthy"),
        (({A: 0.7},), "", "retrain_requested"),
        (({A: 0.7},), "accepted", "retrain_requested"),
        (({A: 0.7},), "running", "retraining"),
        (({A: 0.7},), "cancelled", "degraded"),
        (({A: float("nan")},), "", "no_data"),
        (({A: 0.1}, QUERY_FAILED), "", "no_data"),
        (({A: 0.7}, {A: 0.1}), "succeeded", "cooldown"),
        (({C: 0.7}, {C: 0.7, A: 0.8}), "", "held"),
    ],
)
def test_a_model_has_one_state(answers: tuple[Answer, ...], report: str, state: str) -> None:
    """The worst state wins."""
    world = World(group(rule(cooldown=MINUTE)))
    for answer in answers:
        world.tick(answer)
    if report:
        world.report(world.requests()[0].id, report)
    assert view(world).state == state
    counts = queries(world).model_counts()
    assert {item.value: count for item, count in counts.items() if count} == (
        {state: 1} if len(world.engine.table) == 1 else {"retrain_requested": 1, state: 1}
    )


def test_a_model_names_the_version_that_replaced_it() -> None:
    """Once its retraining succeeded with a new version; until then it names none."""
    world = World(group(rule(cooldown=MINUTE)))
    world.tick({A: 0.7})
    (record,) = world.requests()
    assert view(world).replaced_by == ""
    world.commands.report_status(StatusReport(record.id, RequestState.SUCCEEDED, world.now, new_version="8"))
    world.tick({A: 0.7})
    found = view(world)
    assert (found.replaced_by, found.recovery, found.state) == ("8", "", "replaced")


def test_models_are_filtered_by_the_rule_that_knows_them() -> None:
    """A rule that does not exist knows none."""
    world = World(group(rule(), rule("Errors", query="errors", limit=0.1)))
    world.say({A: 0.01}, signal="errors")
    world.tick({A: 0.7, B: 0.2})
    found = {name: queries(world).models_by_name(rule=name) for name in ("", "Drifted", "Errors", "Other")}
    assert {name: [item.model for item in page.models] for name, page in found.items()} == {
        "": [A, B], "Drifted": [A, B], "Errors": [A], "Other": [],
    }  # fmt: skip
    assert found["Errors"].total == 1


def test_only_the_unhealthy_can_be_requested() -> None:
    """A scrape of 100,000 models creates objects for the unhealthy ones only; healthy ones are counted."""
    world = World(group(rule()))
    world.tick({A: 0.7, B: 0.2})
    unhealthy = [state for state in ModelState if state is not ModelState.HEALTHY]
    assert [item.model for item in queries(world).model_page(states=unhealthy).models] == [A]
    counts = {item.value: count for item, count in queries(world).model_counts().items() if count}
    assert counts == {"healthy": 1, "retrain_requested": 1}


def test_a_model_has_the_start_of_its_alert_and_the_gate_of_its_request() -> None:
    """C is requested first, so A of the same pipeline is held; B is healthy."""
    world = World(group(rule()))
    world.tick({C: 0.7, B: 0.2})
    begins = world.now
    world.tick({C: 0.7, A: 0.8, B: 0.2})
    assert [(item.model, item.held, item.signals[0].since) for item in queries(world).models_by_name().models] == [
        (A, "in_flight", world.now), (C, "", begins), (B, "", 0),
    ]  # fmt: skip


def test_a_model_names_its_last_request() -> None:
    """Its instant, and the kind of event that led to it."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    assert (view(world).last_request_at, view(world).last_request_id) == (0, "")
    world.tick({A: 0.7})
    asked = view(world)
    assert (asked.last_request_at, asked.last_request_event) == (world.now, "drift")
    assert asked.last_request_id == world.requests()[0].id


def test_rules_show_their_alerts_and_health() -> None:
    """Pending and firing ones, with values and rendered annotations; an error when the query failed."""
    world = World(
        group(rule(for_=10 * SECOND, annotations={"summary": "at {{ $value }}"}, labels={"severity": "page"}))
    )
    world.tick({A: 0.7, B: 0.2})
    (found,) = queries(world).groups()[0].rules
    (alert,) = found.alerts
    assert (found.state, found.health, found.models, found.strategy) == ("pending", "ok", 2, "threshold")
    assert (alert.state, alert.active_at, alert.annotations) == ("pending", world.now, {"summary": "at 0.7"})
    assert alert.labels == {
        "project": "shop", "pipeline": "ranking", "version": "7", "severity": "page",
        "alertname": "Drifted",
    }  # fmt: skip
    world.tick(QUERY_FAILED)
    (found,) = queries(world).groups()[0].rules
    assert (found.health, found.last_error, found.state) == ("err", "HTTP 503 from the source", "pending")


def test_a_group_that_was_never_evaluated_is_unknown() -> None:
    """Nothing is claimed."""
    (found,) = queries(World(group(rule()))).groups()
    assert (found.last_evaluation, found.rules[0].health, found.rules[0].state) == (0, "unknown", "inactive")


def test_rules_on_signals_count_their_models() -> None:
    """None before the first answer; an absent model still counts. Rules on expressions are left out."""
    world = World(group(rule(), rule("Plain", query="plain", limit=None)))
    assert queries(world).rule_models() == [("g", "Drifted", 0)]
    world.tick({A: 0.7, B: 0.2})
    world.tick({A: 0.7})
    assert queries(world).rule_models() == [("g", "Drifted", 2)]


def test_queues_and_requests_are_counted() -> None:
    """Empty queues are included."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    asked = queries(world)
    assert asked.destinations() == {PLACE, "team/log/0"}
    assert asked.queue_depths() == {PLACE: QueueDepth(1, world.now, 0), "team/log/0": QueueDepth(0, 0, 0)}
    assert asked.request_counts() == {
        "held": 0,
        "requested": 1,
        "accepted": 0,
        "running": 0,
        "awaiting_approval": 0,
        "undelivered": 0,
    }
    assert (asked.ready(), asked.configuration()) == ((True, ""), "yaml")
    (record,) = asked.requests(RequestFilter())
    assert asked.request(record.id) == record
    assert [item.destination for item in asked.deliveries(record.id)] == [PLACE]
    assert len(asked.pending_deliveries()) == len(asked.decisions(DecisionFilter())) == 1


def test_the_name_of_a_metric_is_no_label_of_its_alert() -> None:
    """As in Prometheus: the other labels of the series are those of an `expr` rule's alert."""
    world = World(group(rule(limit=None)))
    world.source.series = b'{"__name__":"model_drift","instance":"i1"}'
    world.tick({A: 0.7})
    (view,) = (alert for found in queries(world).groups() for one in found.rules for alert in one.alerts)
    assert view.labels == {"alertname": "Drifted", "instance": "i1", **A.labels()}


def test_few_alerts_of_a_rule_are_made_when_few_are_wanted() -> None:
    """They are still counted."""
    world = World(group(rule()))
    world.tick({A: 0.7, B: 0.7, C: 0.1})
    for most, shown in ((None, 2), (1, 1), (0, 0)):
        (found,) = queries(world).groups(alerts=most)[0].rules
        assert (len(found.alerts), found.firing, found.pending, found.models) == (shown, 2, 0, 3)


def test_an_instant_in_the_future_is_not_explained() -> None:
    """Prometheus would answer with what it has now, as if it were known."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    with pytest.raises(RequestError, match="is in the future"):
        queries(world).explain(A, at=10_000_000_000_000)
