"""Several requests in one message: grouped at the commit, sent together, and one by one after a refusal."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.app.routing import Routes
from bridge.domain.matchers import Matcher
from bridge.domain.route import Route
from bridge.domain.times import SECOND
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.engine.delivery.courier import Courier
from bridge.ports import Delivery, Notification, Result
from tests.support.outbox import Clock
from tests.support.world import A, Answer, B, World, group, rule

OK = Delivery(Result.DELIVERED, "ok", 200)
REFUSED = Delivery(Result.DEAD, "http_4xx", 400, "no")


@dataclass
class Hook:
    """Sink that sends groups, with scripted answers."""

    answers: list[Delivery] = field(default_factory=lambda: [OK])
    taken: list[tuple[Mapping[str, str], list[str]]] = field(default_factory=list)
    integration: str = "webhook"
    sends_resolved: bool = False
    reports_status: bool = False

    def _answer(self) -> Delivery:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def send(self, notification: Notification, now: int) -> Delivery:
        return self.send_group([notification], {}, now)

    def send_group(self, notifications: Sequence[Notification], labels: Mapping[str, str], now: int) -> Delivery:
        self.taken.append((labels, [str(notification.request.model) for notification in notifications]))
        return self._answer()

    def close(self) -> None: ...


def bench(hook: Hook, *answers: Answer) -> tuple[World, Courier, Clock]:
    """World whose requests go to `hook`, grouped by project within 30 s, and its courier."""
    root = Route("team", group_by=("project",), group_wait=30 * SECOND)
    world = World(group(rule()), routes=Routes(root, {"team/webhook/0": hook}, {"cluster": "eu"}))  # type: ignore[arg-type]
    for answer in answers:
        world.tick(answer)
    clock = Clock(world.now)
    courier = Courier(
        "team/webhook/0", hook, world.store, "w", DeliverySettings(), lambda _: None, lambda _: None, random.Random(1)
    )
    return world, courier, clock


def work(courier: Courier, clock: Clock, until: int) -> None:
    while (following := courier.step(clock)) is not None and following <= until:
        clock.at = max(clock.at, following)
    clock.at = until


def test_requests_of_one_window_go_in_one_message() -> None:
    """Made in different slots; sent when the window has ended."""
    hook = Hook()
    world, courier, clock = bench(hook, {A: 0.1}, {A: 0.7}, {A: 0.7, B: 0.8})
    window_ends = (world.now // (30 * SECOND) + 1) * 30 * SECOND
    work(courier, clock, window_ends - 1)
    assert hook.taken == []
    work(courier, clock, window_ends)
    assert hook.taken == [({"project": "shop"}, [str(A), str(B)])]
    assert world.store.pending_deliveries() == []


def test_a_bundle_that_is_refused_is_tried_one_by_one() -> None:
    """The receiver may refuse one of them only: the others are delivered."""
    hook = Hook([REFUSED, OK, REFUSED, OK])
    world, courier, clock = bench(hook, {A: 0.7, B: 0.8})
    work(courier, clock, world.now + 120 * SECOND)
    assert [len(models) for _, models in hook.taken] == [2, 1, 1]
    states = [item.state for record in world.requests() for item in world.store.deliveries(record.id)]
    assert sorted(states) == ["dead", "delivered"]


def test_a_bundle_that_failed_comes_again_as_it_was() -> None:
    """The same requests, so that its key is the same."""
    hook = Hook([Delivery(Result.RETRY, "http_5xx", 503), OK])
    world, courier, clock = bench(hook, {A: 0.7, B: 0.8})
    work(courier, clock, world.now + 30 * 60 * SECOND)
    assert hook.taken == [({"project": "shop"}, [str(A), str(B)])] * 2


def test_other_labels_make_another_bundle_and_no_labels_none() -> None:
    """Grouped by pipeline, two pipelines are two messages; a node without group_by sends each by itself."""
    labels = {"project": "shop", "pipeline": "ranking"}
    plain = Route("team", (Matcher.parse("pipeline=search"),), group_wait=30 * SECOND)
    root = Route("team", routes=(plain,), group_by=("pipeline", "cluster"), group_wait=30 * SECOND)
    routes = Routes(root, {"team/webhook/0": Hook(), "team/log/0": object()}, {"cluster": "eu"})  # type: ignore[dict-item]
    bundles = routes.recipients(labels).bundles
    assert {place: dict(item.labels) for place, item in bundles.items()} == {
        "team/webhook/0": {"pipeline": "ranking", "cluster": "eu"}
    }
    assert routes.recipients({**labels, "pipeline": "search"}).bundles == {}


def test_three_dots_group_by_all_labels() -> None:
    """External ones too; so what has the same labels goes in one message, as in Alertmanager."""
    root = Route("team", group_by=("...",), group_wait=30 * SECOND)
    routes = Routes(root, {"team/webhook/0": Hook()}, {"cluster": "eu"})
    bundle = routes.recipients({"project": "shop", "rule": "Drift"}).bundles["team/webhook/0"]
    assert dict(bundle.labels) == {"cluster": "eu", "project": "shop", "rule": "Drift"}


def test_two_slots_of_one_window_have_one_bundle_after_a_restart_too() -> None:
    """Windows begin at whole multiples of their length, whoever looks."""
    world, _, _ = bench(Hook(), {A: 0.1})
    while world.now % (30 * SECOND):
        world.tick({A: 0.1})
    begins = world.now
    world.tick({A: 0.7})
    world.restart()
    world.tick({A: 0.7, B: 0.8})
    assert world.store.claim("team/webhook/0", "w", begins + 30 * SECOND - 1, SECOND) == []
    (claim,) = world.store.claim("team/webhook/0", "w", begins + 30 * SECOND, SECOND)
    (other,) = world.store.claim_rest(claim, begins + 30 * SECOND, SECOND)
    assert json.loads(claim.bundle) == {"at": begins, "labels": {"project": "shop"}}
    assert [item.notification.request.model for item in (claim, other)] == [A, B]
