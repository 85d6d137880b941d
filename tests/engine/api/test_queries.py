"""What a running bridge says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.errors import UnknownRequestError
from bridge.domain.model import ModelKey
from bridge.domain.times import MINUTE, SECOND
from bridge.engine.api.queries import EngineQueries
from bridge.engine.api.views import ModelState, ModelView
from bridge.engine.delivery.open_alerts import OpenAlertIndex
from bridge.ports import DecisionFilter, Delivery, QueueDepth, RequestFilter, Result, StatusReport
from tests.support.world import QUERY_FAILED, A, B, C, FixedRoutes, World, group, rule

PLACE = "team/coordinator/0"


def queries(world: World) -> EngineQueries:
    return EngineQueries(
        world.engine, world.store, world.store, configured=lambda: [PLACE, "team/log/0"], why_not_ready=lambda: "",
        configuration=lambda: "yaml", now=lambda: world.now,
    )  # fmt: skip


def view(world: World, model: object = A) -> ModelView:
    return next(item for item in queries(world).models() if item.model == model)


def test_a_model_shows_its_readings() -> None:
    """Value, limit, verdict and state of every rule that saw it."""
    world = World(group(rule(), rule("Errors", query="errors", limit=0.1)))
    world.say({A: 0.01}, signal="errors")
    world.tick({A: 0.7, B: 0.2})
    signals = [(item.rule, item.value, item.threshold, item.verdict, item.state) for item in view(world).signals]
    assert signals == [("Drifted", 0.7, 0.6, "breached", "firing"), ("Errors", 0.01, 0.1, "ok", "inactive")]
    assert [item.model for item in queries(world).models()] == [A, B]


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
def test_a_model_has_one_state(answers: tuple, report: str, state: str) -> None:
    """The worst that is true of it."""
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


def test_only_the_unhealthy_can_be_asked_for() -> None:
    """A scrape of 100,000 models makes objects of those alone; the healthy ones are counted."""
    world = World(group(rule()))
    world.tick({A: 0.7, B: 0.2})
    assert [item.model for item in queries(world).models(unhealthy_only=True)] == [A]
    counts = {item.value: count for item, count in queries(world).model_counts().items() if count}
    assert counts == {"healthy": 1, "retrain_requested": 1}


def test_a_model_says_since_when_a_rule_is_active_and_what_holds_its_request() -> None:
    """C goes first, so that A of the same pipeline has to wait; B is well."""
    world = World(group(rule()))
    world.tick({C: 0.7, B: 0.2})
    begins = world.now
    world.tick({C: 0.7, A: 0.8, B: 0.2})
    assert [(item.model, item.held, item.signals[0].active_at) for item in queries(world).models()] == [
        (A, "in_flight", world.now), (C, "", begins), (B, "", 0),
    ]  # fmt: skip


def test_a_model_names_its_last_request() -> None:
    """When it was sent, and because of which kind of event."""
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


def test_rules_on_signals_say_how_many_models_they_know() -> None:
    """None before the first answer; a model that is gone for a while is known. Of expressions nothing is said."""
    world = World(group(rule(), rule("Plain", query="plain", limit=None)))
    assert queries(world).rule_models() == [("g", "Drifted", 0)]
    world.tick({A: 0.7, B: 0.2})
    world.tick({A: 0.7})
    assert queries(world).rule_models() == [("g", "Drifted", 2)]


def test_queues_and_requests_are_counted() -> None:
    """Destinations without rows are there too."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    asked = queries(world)
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


def test_commands_take_over_what_a_delivery_recorded() -> None:
    """Accepted by the coordinator: the engine knows at once."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    (claim,) = world.store.claim(PLACE, "w", world.now, 1000)
    world.store.settle(claim, Delivery(Result.DELIVERED, reference="run-1"), world.now, world.now)
    world.commands.settled(claim.notification.request.id)
    world.commands.settled("0" * 32)
    assert world.engine.book.requests[claim.notification.request.id].state == "accepted"


def test_a_report_on_an_unknown_request_is_an_error() -> None:
    """The coordinator speaks of something else."""
    world = World(group(rule()))
    with pytest.raises(UnknownRequestError, match="there is no request"):
        world.report("0" * 32, "running")


def test_a_report_carries_the_new_version_and_keeps_what_it_does_not_say() -> None:
    """Later reports may say less."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    id_ = world.requests()[0].id
    world.commands.report_status(
        StatusReport(id_, world.requests()[0].state.RUNNING, world.now, "training", "", "run-1")
    )
    world.commands.report_status(StatusReport(id_, world.requests()[0].state.SUCCEEDED, world.now, "", "8"))
    (record,) = world.requests()
    assert (record.message, record.new_version, record.reference, record.ended_at) == (
        "training", "8", "run-1", world.now,
    )  # fmt: skip


def test_what_waits_is_tried_at_once() -> None:
    """Through the command."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    (claim,) = world.store.claim(PLACE, "w", world.now, 1000)
    world.store.settle(claim, Delivery(Result.RETRY), world.now, world.now + 60_000)
    assert world.commands.retry(claim.notification.request.id) == 1
    assert world.store.next_due(PLACE) == world.now


def test_redriving_queues_the_dead_again() -> None:
    """Through the command."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    (claim,) = world.store.claim(PLACE, "w", world.now, 1000)
    world.store.settle(claim, Delivery(Result.DEAD), world.now, world.now)
    assert world.commands.redrive(claim.notification.request.id) == 1


# ---------------------------------------------------------------- reminders

AM = "team/alertmanager/0"


def reminded(world: World, since: int = 0) -> list[tuple]:
    found = OpenAlertIndex(world.engine, world.routes).open_alerts(AM, since)
    return [(item.request.model, item.ends_at, item.held) for item in found]


def test_an_alertmanager_is_reminded_of_what_is_open() -> None:
    """While the episode is open, then for a while of its end, then no more."""
    world = World(group(rule()), routes=FixedRoutes((AM,), reporting=False))
    world.tick({A: 0.7, B: 0.1})
    assert reminded(world) == [(A, 0, None)]
    world.tick({A: 0.1})
    ended = world.now
    assert reminded(world, since=ended) == [(A, ended, None)]
    assert reminded(world, since=ended + 1) == []


def test_held_requests_are_reminded_of_as_held() -> None:
    """People see what waits, and for what."""
    world = World(group(rule()), routes=FixedRoutes((AM,), reporting=False))
    world.tick({A: 0.7})
    world.tick({A: 0.7, C: 0.8})
    assert reminded(world) == [(A, 0, None), (C, 0, "in_flight")]


def test_an_alert_of_an_earlier_attempt_ends_with_it() -> None:
    """Attempt 2 has its own alert."""
    world = World(group(rule()), routes=FixedRoutes((AM,)))
    world.tick({A: 0.7})
    world.report(world.requests()[0].id, "failed")
    failed = world.now
    world.tick({A: 0.7})
    assert reminded(world) == [(A, failed, None), (A, 0, None)]


def test_reminders_carry_the_present_value() -> None:
    """Annotations may change, labels never."""
    world = World(group(rule(annotations={"summary": "{{ $value }}"})), routes=FixedRoutes((AM,)))
    world.tick({A: 0.7})
    world.tick({A: 0.95})
    (item,) = OpenAlertIndex(world.engine, world.routes).open_alerts(AM, 0)
    assert item.annotations == {"summary": "0.95"}


@pytest.mark.parametrize("expression", [False, True])
def test_a_reminder_of_which_nothing_changed_is_the_same_object(*, expression: bool) -> None:
    """Also of an `expr` rule, whose threshold is NaN: at 10,000 open alerts making them anew is the cost of a tick."""
    watched = rule(annotations={"summary": "{{ $value }}"})
    if expression:
        watched = replace(watched, strategy=None)
    world = World(group(watched), routes=FixedRoutes((AM,), reporting=False))
    world.tick({A: 0.7, B: 0.8})
    reminders = OpenAlertIndex(world.engine, world.routes)
    one, two = reminders.open_alerts(AM, 0)
    world.tick({A: 0.7, B: 0.9})
    same, changed = reminders.open_alerts(AM, 0)
    assert same is one
    assert (two.annotations, changed.annotations) == ({"summary": "0.8"}, {"summary": "0.9"})


def test_a_reminder_follows_its_limit_its_labels_its_request_and_its_rule() -> None:
    """What was made of any of them is made anew when it is another one."""
    texts = {"summary": "{{ $threshold }} {{ $labels.host }}"}
    world = World(group(rule(annotations=texts)), routes=FixedRoutes((AM,), reporting=False))
    world.tick({A: 0.7})
    reminders, run = OpenAlertIndex(world.engine, world.routes), world.engine.runs()["Drifted"]
    slot = world.engine.table.row(A)
    found = [reminders.open_alerts(AM, 0)[0].annotations]
    run.staged.threshold[slot] = 0.5
    found.append(reminders.open_alerts(AM, 0)[0].annotations)
    run.series[slot] = {"host": "h2"}
    found.append(reminders.open_alerts(AM, 0)[0].annotations)
    assert found == [{"summary": "0.6 "}, {"summary": "0.5 "}, {"summary": "0.5 h2"}]
    (record,) = world.requests()
    world.engine.book.put_request(replace(record, delivered_at=77))
    assert reminders.open_alerts(AM, 0)[0].delivered_at == 77
    world.reconfigure(group(rule(annotations={"summary": "new"})))
    assert reminders.open_alerts(AM, 0)[0].annotations == {"summary": "new"}


def test_the_end_of_an_episode_is_told_while_its_retraining_still_runs() -> None:
    """The request, its rule and its numbers are what they were at the last reminder; its episode is not."""
    world = World(group(rule(), rule("Errors", query="errors", limit=0.1)), routes=FixedRoutes((AM,)))
    for drift, errors in ((0.7, 0.01), (0.7, 0.5), (0.1, 0.5)):
        world.say({A: errors}, signal="errors")
        world.tick({A: drift})
    reminders = OpenAlertIndex(world.engine, world.routes)
    assert [item.ends_at for item in reminders.open_alerts(AM, 0)] == [0]
    before = world.requests()
    world.say({A: 0.01}, signal="errors")
    world.tick({A: 0.1})
    assert [item.ends_at for item in reminders.open_alerts(AM, 0)] == [world.now]
    assert world.requests() == before


def test_an_alert_that_was_reminded_of_ends_with_its_attempt_and_its_episode() -> None:
    """What is kept of an earlier reminder never outlives what it says."""
    world = World(group(rule()), routes=FixedRoutes((AM,)))
    world.tick({A: 0.7})
    reminders = OpenAlertIndex(world.engine, world.routes)
    reminders.open_alerts(AM, 0)
    world.report(world.requests()[0].id, "failed")
    failed = world.now
    assert [item.ends_at for item in reminders.open_alerts(AM, 0)] == [0]
    world.tick({A: 0.7})
    assert [item.ends_at for item in reminders.open_alerts(AM, 0)] == [failed, 0]
    world.tick({A: 0.1})
    assert [item.ends_at for item in reminders.open_alerts(AM, 0)] == [world.now, world.now]
    assert reminders.open_alerts(AM, world.now + 1) == []


def test_other_destinations_are_not_reminded() -> None:
    """Each Alertmanager has its own requests."""
    world = World(group(rule()), routes=FixedRoutes((AM,)))
    world.tick({A: 0.7})
    assert OpenAlertIndex(world.engine, world.routes).open_alerts("team/alertmanager/1", 0) == []


def test_the_name_of_a_metric_is_no_label_of_its_alert() -> None:
    """As in Prometheus: the other labels of the series are those of an `expr` rule's alert."""
    world = World(group(rule(limit=None)))
    world.source.series = b'{"__name__":"model_drift","instance":"i1"}'
    world.tick({A: 0.7})
    (view,) = (alert for found in queries(world).groups() for one in found.rules for alert in one.alerts)
    assert view.labels == {"alertname": "Drifted", "instance": "i1", **A.labels()}


def test_a_page_of_models_has_the_worst_first_and_then_by_name() -> None:
    """Whatever the order in which they were seen; the total counts those of other pages."""
    world = World(group(rule()))
    world.tick({C: 0.1, B: 0.7, A: 0.2})
    asked = queries(world)
    whole = asked.model_page()
    assert [item.model for item in whole.models] == [B, A, C]
    assert [item.model for item in asked.model_page(offset=1, limit=1).models] == [A]
    assert [asked.model_page(offset=start, limit=2).total for start in (0, 2, 4)] == [3, 3, 3]
    assert whole.models[1].signals == view(world, A).signals


def test_models_are_found_by_words_of_their_name_and_by_state() -> None:
    """Every word has to be in it, in any order, in any case; new models are found at once."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    asked = queries(world)
    assert asked.model_page(text="nothing").total == 0
    new = ModelKey("Bank", "Fraud", "2024-Q1")
    world.tick({A: 0.1, new: 0.9})
    assert [item.model for item in asked.model_page(text="q1  BANK").models] == [new]
    assert [item.model for item in asked.model_page(text="fraud/2024").models] == [new]
    assert asked.model_page(text="bank shop").total == 0
    assert [item.model for item in asked.model_page(states=[ModelState.HEALTHY]).models] == [A]
    assert asked.model_page(text="bank", states=[ModelState.HEALTHY]).total == 0


def test_one_model_is_as_it_is_among_all() -> None:
    """And one that no rule has seen is none."""
    world = World(group(rule()))
    world.tick({A: 0.7, B: 0.1})
    assert queries(world).model(A) == view(world, A)
    assert queries(world).model(C) is None


def test_few_alerts_of_a_rule_are_made_when_few_are_wanted() -> None:
    """They are counted all the same."""
    world = World(group(rule()))
    world.tick({A: 0.7, B: 0.7, C: 0.1})
    for most, shown in ((None, 2), (1, 1), (0, 0)):
        (found,) = queries(world).groups(alerts=most)[0].rules
        assert (len(found.alerts), found.firing, found.pending, found.models) == (shown, 2, 0, 3)
