"""Resending of open alerts to an Alertmanager, on a simulated clock."""

from __future__ import annotations

import gc
import logging
import weakref
from dataclasses import replace
from itertools import pairwise

import pytest

from bridge.domain.model import ModelKey
from bridge.domain.request import HoldReason
from bridge.domain.shared_cause import SharedCause
from bridge.domain.times import HOUR, MINUTE, SECOND
from bridge.engine.delivery.resend import OpenAlert, Resender, ResendSettings
from bridge.ports import Alert, Breaker, Delivery, DeliveryState, Result
from bridge.ports.request_alerts import FiringAlert
from tests.support.notifications import REQUEST, T0, firing, numbered
from tests.support.resending import OK, PLACE, Bench

DOWN = Delivery(Result.RETRY, "network", answer="connection refused")


def due(refresher: Resender, now: int) -> list[Alert]:
    """Return the alerts to post; their number is known before they are made."""
    count, alerts = refresher.due(now)
    found = list(alerts)
    assert len(found) == count
    return found


class Texts(dict[str, str]):
    """Annotations whose end can be seen."""


OPEN = OpenAlert(REQUEST, T0, interval=30 * SECOND)


def test_an_open_request_is_posted_every_minute_and_ends_four_intervals_ahead() -> None:
    """After three lost resends in a row Alertmanager has not resolved an open alert."""
    bench = Bench([OPEN])
    bench.run(bench.refresher(), 3 * MINUTE)
    assert bench.instants == [0, 60_000, 120_000, 180_000]
    alert = bench.posts[1][1][0]
    assert (alert.starts_at, alert.ends_at) == (T0, T0 + 60_000 + 240_000)
    assert alert.labels == {
        "alertname": "ModelRetrainRequested",
        "project": "shop",
        "pipeline": "ranking",
        "version": "7",
        "rule": "DriftHigh",
        "retrain_request_id": REQUEST.id,
        "severity": "page",
        "cluster": "eu1",
    }
    assert alert.annotations["summary"] == "Retraining requested for shop/ranking/7"
    assert alert.annotations["description"] == "drift 0.702 is above 0.6 (rule DriftHigh, attempt 1)."
    assert alert.annotations["runbook"] == "https://wiki.example/drift"
    assert alert.generator_url == f"http://bridge.example/requests/{REQUEST.id}"


def test_a_slow_rule_is_kept_alive_for_four_of_its_own_intervals() -> None:
    """A rule that is evaluated every 10 minutes must not expire between two evaluations."""
    bench = Bench([OpenAlert(REQUEST, T0, interval=10 * MINUTE)])
    assert due(bench.refresher(), T0)[0].ends_at == T0 + 40 * MINUTE


def test_alerts_are_made_as_they_are_read() -> None:
    """A sink that fails early does not need the others; those that were made are reused by the next post."""
    requests = [replace(OPEN, request=numbered(number)) for number in range(5)]
    refresher = Bench(requests).refresher()
    count, alerts = refresher.due(T0)
    first = [next(alerts), next(alerts)]
    assert (count, len(refresher._made)) == (5, 2)
    again = due(refresher, T0 + MINUTE)
    assert [item.labels is before.labels for item, before in zip(again, first, strict=False)] == [True, True]
    assert len(refresher._made) == len(again) == 5


def test_nothing_open_posts_nothing() -> None:
    """No empty POST every minute; the next step is a minute away."""
    bench = Bench()
    assert bench.refresher().step(bench.clock) == T0 + MINUTE
    assert bench.posts == []


def test_an_ended_episode_is_sent_for_fifteen_minutes() -> None:
    """Resolved at the episode's end, repeated 15 minutes so that no restart misses it, then silent."""
    bench = Bench([OpenAlert(REQUEST, T0 - HOUR, ends_at=T0, delivered_at=T0 - HOUR)])
    refresher = bench.refresher()
    assert [alert.ends_at for alert in due(refresher, T0 + 15 * MINUTE)] == [T0]
    assert due(refresher, T0 + 15 * MINUTE + 1) == []


def test_the_engine_is_requested_what_ended_long_enough_ago() -> None:
    """The window covers the fifteen minutes and the settling time."""
    bench = Bench()
    bench.refresher().step(bench.clock)
    assert bench.asked == [(PLACE, T0 - 17 * MINUTE)]


def test_an_episode_that_ended_before_its_delivery_fires_long_enough_to_be_notified() -> None:
    """Alertmanager sends nothing for an alert that is resolved within group_wait: it stays firing for two minutes."""
    bench = Bench([OpenAlert(REQUEST, T0 - HOUR, ends_at=T0 - MINUTE, delivered_at=T0)])
    refresher = bench.refresher()
    assert due(refresher, T0 + MINUTE)[0].ends_at == T0 + 5 * MINUTE
    assert due(refresher, T0 + 2 * MINUTE)[0].ends_at == T0 + 2 * MINUTE


def test_the_end_of_a_request_that_was_never_delivered_is_not_posted() -> None:
    """Its first post is still in the outbox, and must be firing."""
    bench = Bench([OpenAlert(REQUEST, T0 - HOUR, ends_at=T0)])
    assert due(bench.refresher(), T0) == []


def test_a_held_request_reports_it_until_it_is_released() -> None:
    """ModelRetrainHeld with reason and expected end; when the gate opens it ends and the request's own begins."""
    waiting = OpenAlert(REQUEST, T0, held=HoldReason.COOLDOWN, held_until=T0 + HOUR)
    bench = Bench([waiting])
    refresher = bench.refresher()
    alert = due(refresher, T0)[0]
    assert alert.labels["alertname"] == "ModelRetrainHeld"
    assert alert.labels["retrain_request_id"] == REQUEST.id
    assert alert.annotations["reason"] == "cooldown"
    assert alert.annotations["until"] == "2023-11-14T23:13:20.000Z"
    assert alert.annotations["summary"] == "Retraining of shop/ranking/7 is held: cooldown"
    bench.known = [OPEN]
    after = due(refresher, T0 + MINUTE)
    assert [(item.labels["alertname"], item.ends_at - T0) for item in after] == [
        ("ModelRetrainRequested", 300_000),
        ("ModelRetrainHeld", 60_000),
    ]
    later = due(refresher, T0 + 16 * MINUTE)
    assert [(item.labels["alertname"], item.ends_at - T0) for item in later] == [
        ("ModelRetrainRequested", 1_200_000),
        ("ModelRetrainHeld", 60_000),
    ]
    assert [item.labels["alertname"] for item in due(refresher, T0 + 16 * MINUTE + 1)] == ["ModelRetrainRequested"]


def test_what_was_released_before_the_first_step_is_resolved_by_it() -> None:
    """A resender that starts anew does not know what the previous one posted: every name it may have used ends."""
    bench = Bench([replace(OPEN, released_at=T0 - MINUTE)])
    refresher = bench.refresher()
    names = ["ModelRetrainHeld", "ModelRetrainAwaitingApproval", "ModelRetrainEscalated"]
    for now in (T0, T0 + 14 * MINUTE):
        sent, *ended = due(refresher, now)
        assert sent.labels["alertname"] == "ModelRetrainRequested"
        assert [(item.labels["alertname"], item.ends_at) for item in ended] == [(name, T0 - MINUTE) for name in names]
    assert ended[0].labels == {**sent.labels, "alertname": "ModelRetrainHeld"}
    assert ended[0].annotations["summary"] == "Retraining of shop/ranking/7 is no longer held"
    assert len(due(refresher, T0 + 14 * MINUTE + 1)) == 1


@pytest.mark.parametrize("released_at", [0, T0 - 15 * MINUTE - 1])
def test_a_request_that_was_not_held_or_long_ago_has_no_held_alert_to_resolve(released_at: int) -> None:
    """Alertmanager has forgotten it."""
    assert len(due(Bench([replace(OPEN, released_at=released_at)]).refresher(), T0)) == 1


def test_what_is_released_between_two_steps_resolves_only_what_was_posted() -> None:
    """The resender remembers the name."""
    bench = Bench([replace(OPEN, held=HoldReason.APPROVAL)])
    refresher = bench.refresher()
    due(refresher, T0)
    bench.known = [replace(OPEN, released_at=T0 + MINUTE)]
    names = [item.labels["alertname"] for item in due(refresher, T0 + MINUTE)]
    assert names == ["ModelRetrainRequested", "ModelRetrainAwaitingApproval"]


def test_a_request_that_is_held_again_is_not_reported_to_be_released() -> None:
    """Held, released, held: only the present state is posted."""
    waiting = OpenAlert(REQUEST, T0, held=HoldReason.IN_FLIGHT)
    bench = Bench([waiting])
    refresher = bench.refresher()
    due(refresher, T0)
    bench.known = []
    due(refresher, T0 + MINUTE)
    bench.known = [waiting]
    assert [item.ends_at - T0 for item in due(refresher, T0 + 2 * MINUTE)] == [360_000]
    assert due(refresher, T0 + 2 * MINUTE)[0].annotations["until"] == ""


def test_failures_of_re_posts_open_the_breaker_of_the_destination(caplog: pytest.LogCaptureFixture) -> None:
    """Resends and deliveries share the receiver; while it is down it is probed every 30 s at least, and logged once."""
    bench = Bench([OPEN], [DOWN])
    with caplog.at_level(logging.INFO):
        bench.run(bench.refresher(), 10 * MINUTE)
        assert bench.outbox.breaker(PLACE).failures >= 3
        assert bench.outbox.breaker(PLACE).open_until > 0
        gaps = [after - before for before, after in pairwise(bench.instants)]
        assert max(gaps) <= 30_000
        bench.answers = [OK]
        bench.run(bench.refresher(), 11 * MINUTE)
    assert bench.outbox.breaker(PLACE) == Breaker(PLACE)
    assert [record.getMessage() for record in caplog.records] == ["open alerts were not accepted"]


def test_a_refresher_reports_the_recovery_of_a_receiver(caplog: pytest.LogCaptureFixture) -> None:
    """Once per new fact, both ways."""
    bench = Bench([OPEN], [DOWN, DOWN, OK])
    with caplog.at_level(logging.INFO):
        bench.run(bench.refresher(), 10 * MINUTE)
    assert [record.getMessage() for record in caplog.records] == [
        "open alerts were not accepted",
        "open alerts are accepted again",
    ]


def test_a_good_re_post_pulls_waiting_deliveries_forward() -> None:
    """It proves that the receiver is back, for deliveries too."""
    bench = Bench([OPEN])
    row = bench.outbox.put(firing(), PLACE)
    row.state, row.next_at = DeliveryState.RETRY, T0 + HOUR
    bench.outbox.save_breaker(Breaker(PLACE, failures=5, open_until=T0))
    bench.refresher().step(bench.clock)
    assert row.next_at == T0


def test_a_paused_destination_is_left_alone_by_re_posts_too() -> None:
    """Retry-After in the answer to a delivery: resends wait as well."""
    bench = Bench([OPEN])
    bench.outbox.save_breaker(Breaker(PLACE, paused_until=T0 + 90 * SECOND))
    bench.run(bench.refresher(), 2 * MINUTE)
    assert bench.instants == [90_000]


def test_a_denied_re_post_pauses_the_destination_at_the_second_time() -> None:
    """As for deliveries: the credential is read again once, then slowly."""
    bench = Bench([OPEN], [Delivery(Result.DENIED, "unauthorized", 401)])
    bench.run(bench.refresher(), 10 * MINUTE)
    assert bench.instants == [0, *range(30_000, 10 * MINUTE + 1, 30_000)]


def test_an_alert_outlives_a_restart_however_often_it_is_sent() -> None:
    """At a resend delay of 1 s, four of them would be over before a start is."""
    bench = Bench([replace(OPEN, interval=SECOND)])
    assert due(bench.refresher(refresh=ResendSettings(resend_delay=SECOND)), T0)[0].ends_at == T0 + MINUTE


def test_a_sink_that_raises_does_not_end_the_reminders(caplog: pytest.LogCaptureFixture) -> None:
    """A defect counts as a failure with reason `internal`."""
    bench = Bench([OPEN], [RuntimeError("x"), OK])
    bench.run(bench.refresher(), MINUTE)
    assert [(item.delivery.reason, item.request_id, item.destination) for item in bench.reports] == [
        ("internal", "", PLACE),
        ("ok", "", PLACE),
    ]
    assert "sink failed" in caplog.text


def test_many_open_requests_go_out_in_one_call() -> None:
    """The sink gets all alerts at once, and splits them itself."""
    bench = Bench([OpenAlert(numbered(number), T0) for number in range(2_500)])
    bench.refresher().step(bench.clock)
    assert [len(alerts) for _, alerts in bench.posts] == [2_500]


SLOW = FiringAlert(
    "SlowButHealthy",
    ModelKey("shop", "ranking", "7"),
    {"alertname": "SlowButHealthy", "severity": "page", "project": "shop", "pipeline": "ranking", "version": "7"},
    {"summary": "0.31 s"},
    T0 - MINUTE,
    30 * SECOND,
)


def test_a_firing_alert_rule_is_posted_with_its_own_name_and_resolved_when_it_ends() -> None:
    """External labels are added; the end is repeated for a while."""
    bench = Bench(told=[SLOW])
    refresher = bench.refresher()
    bench.run(refresher, MINUTE)
    (alert,) = bench.posts[0][1]
    assert alert.labels == {**SLOW.labels, "cluster": "eu1"}
    assert (alert.starts_at, alert.ends_at, alert.annotations) == (T0 - MINUTE, T0 + 4 * MINUTE, {"summary": "0.31 s"})
    bench.told.clear()
    bench.run(refresher, 30 * MINUTE)
    ends = {item.ends_at - T0 for at, items in bench.posts for item in items if at > MINUTE}
    assert ends == {2 * MINUTE}
    assert max(at for at, items in bench.posts if items) == 17 * MINUTE


def test_news_are_sent_at_once_and_not_at_the_next_reminder() -> None:
    """An alert that fires between two resends does not wait for the second."""
    bench = Bench()
    refresher = bench.refresher()
    bench.run(refresher, 10 * SECOND)
    bench.told.append(SLOW)
    assert refresher.step(bench.clock) == T0 + MINUTE
    assert bench.posts == []
    bench.news += 1
    assert refresher.step(bench.clock) == T0 + 10 * SECOND + MINUTE
    assert [at for at, _ in bench.posts] == [10_000]


def test_a_storm_is_one_alert_and_not_one_for_each_model() -> None:
    """Its label is the group; the summary has the number of held requests."""
    held = [
        OpenAlert(numbered(number), T0, held=HoldReason.STORM, held_until=T0 + HOUR, group="serving")
        for number in range(3)
    ]
    (alert,) = due(Bench(held).refresher(), T0)
    assert alert.labels == {"alertname": "ModelRetrainStorm", "group": "serving", "cluster": "eu1"}
    assert alert.annotations["summary"] == "3 retraining requests of group serving are held because of a storm"
    assert alert.annotations["until"] == "2023-11-14T23:13:20.000Z"


def test_a_shared_cause_is_one_alert_with_its_evidence() -> None:
    """Models that still wait for their siblings have none."""
    cause = SharedCause("node", "n7", 17, 20, 1, 80, T0, ("shop/ranking", "shop/search"))
    held = [
        OpenAlert(numbered(number), T0, held=HoldReason.NOT_THE_MODEL, shared_cause=replace(cause, breached=number))
        for number in (15, 17, 16)
    ]
    waiting = OpenAlert(numbered(9), T0, held=HoldReason.WEIGHING)
    (alert,) = due(Bench([*held, waiting]).refresher(), T0)
    assert alert.labels == {
        "alertname": "ModelRetrainSharedCause", "cause_label": "node", "cause_value": "n7", "cluster": "eu1"
    }  # fmt: skip
    assert alert.annotations["summary"] == '17 of 20 models with node="n7" are unhealthy, and 1 of 80 others'
    assert alert.annotations["models"] == "shop/ranking, shop/search"
    assert "3 retraining requests are held until these models recover" in alert.annotations["description"]


@pytest.mark.parametrize(
    ("reason", "name", "summary"),
    [
        (HoldReason.APPROVAL, "ModelRetrainAwaitingApproval", "Retraining of shop/ranking/7 awaits approval"),
        (HoldReason.ATTEMPTS, "ModelRetrainEscalated",
         "Retraining of shop/ranking/7 needs a human: retraining did not help"),
        (HoldReason.MUTED, "ModelRetrainHeld", "Retraining of shop/ranking/7 is held: muted"),
    ],
)  # fmt: skip
def test_alerts_that_need_an_operator_have_names_of_their_own(reason: HoldReason, name: str, summary: str) -> None:
    """So that it can be routed separately; when the reason changes, the previous alert is resolved."""
    bench = Bench([OpenAlert(REQUEST, T0, held=HoldReason.COOLDOWN, held_until=T0 + HOUR)])
    refresher = bench.refresher()
    due(refresher, T0)
    bench.known = [OpenAlert(REQUEST, T0, held=reason)]
    found = {alert.labels["alertname"]: alert for alert in due(refresher, T0 + MINUTE)}
    assert found[name].annotations["summary"] == summary
    assert found[name].ends_at > T0 + MINUTE
    if name != "ModelRetrainHeld":
        assert found["ModelRetrainHeld"].ends_at == T0 + MINUTE


def test_an_unchanged_alert_is_made_once_and_only_its_end_moves() -> None:
    """The sink recognises the mappings by being the same objects, and need not encode them again."""
    bench = Bench([OPEN])
    refresher = bench.refresher()
    (first,), (second,) = due(refresher, T0), due(refresher, T0 + MINUTE)
    assert second.labels is first.labels
    assert second.annotations is first.annotations
    assert (first.ends_at - T0, second.ends_at - T0) == (240_000, 300_000)


def test_new_numbers_reach_alertmanager_under_the_same_labels() -> None:
    """Annotations may change, and are sent as they are now; labels never, nor does the start or the link."""
    bench = Bench([replace(OPEN, annotations={"summary": "0.7"})])
    refresher = bench.refresher()
    (first,) = due(refresher, T0)
    bench.known = [replace(OPEN, annotations={"summary": "0.9"})]
    (second,) = due(refresher, T0 + MINUTE)
    assert (first.annotations["summary"], second.annotations["summary"]) == ("0.7", "0.9")
    assert second.labels == first.labels
    assert (second.starts_at, second.generator_url) == (first.starts_at, first.generator_url)


def test_nothing_is_kept_of_requests_that_are_not_open_any_more() -> None:
    """Memory is bounded by what is open."""
    texts = Texts(summary="x")
    seen = weakref.ref(texts)
    bench = Bench([replace(OPEN, annotations=texts)])
    refresher = bench.refresher()
    assert len(due(refresher, T0)) == 1
    del texts
    bench.known = []
    assert due(refresher, T0 + MINUTE) == []
    gc.collect()
    assert seen() is None
