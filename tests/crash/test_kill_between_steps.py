"""kill -9 of the real bridge between every pair of steps of a request's path: nothing lost, never a second id.

The script of the series is known beforehand, so the episode and its id are too. Real Prometheus; the launcher makes
one step deadly, or the receiver says when a POST is under way.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bridge import (
    AHEAD,
    REMOTE_WRITE,
    Bridge,
    Json,
    Model,
    bridge,
    drift_rules,
    expected_id,
    steps,
    whole_second,
    write_script,
)
from tests.support.crash import LAUNCHER, TIMEOUT, died, launched
from tests.support.keyed import HANG, TAKE, KeyedReceiver
from tests.support.processes import wait_until
from tests.support.receiver import Behaviour, Received
from tests.support.servers import Prometheus, alertmanager, prometheus

SECOND = 1000


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with prometheus(flags=[REMOTE_WRITE]) as server:
        yield server


def model_of(name: str) -> Model:
    return ("shop", name.replace(" ", "-"), "7")


def rules_of(name: str) -> Json:
    """`for: 1s` on the one model of this test."""
    return drift_rules(only=model_of(name)[1], **{"for": "1s"})


def breach(source: Prometheus, name: str, lasts: int = 600) -> int:
    """A breach that begins soon; the start of the episode it makes, one second later, is returned (ms)."""
    begins = whole_second(AHEAD)
    points = steps(begins - 10 * SECOND, begins + (lasts + 30) * SECOND, [(begins, begins + lasts * SECOND)])
    write_script(source, {model_of(name): points})
    return begins + SECOND


def the_request(process: Bridge, request_id: str) -> Json:
    """The request once it is delivered; there is no other."""

    def delivered() -> bool:
        found = process.requests()
        return bool(found) and all(item["state"] == "delivered" for item in deliveries(process, request_id))

    wait_until(delivered, 30, f"delivery of {request_id}: {process.program.log[-3000:]}")
    assert [item["id"] for item in process.requests()] == [request_id]
    return process.request(request_id)


def deliveries(process: Bridge, request_id: str) -> list[Json]:
    found: list[Json] = process.request(request_id)["deliveries"]
    return found


def down_until(instant: int) -> None:
    """Stay down until `instant` (ms) has come."""
    wait_until(lambda: time.time() * 1000 >= instant, 30, "the down-time's end")


# step: (seen late, posts that the receiver gets)
PROMISED = {
    "before commit": (True, 1),
    "within commit": (True, 1),
    "after commit": (False, 1),
    "before post": (False, 1),
    "after answer": (False, 2),
    "before settle": (False, 2),
    "after settle": (False, 1),
}


@pytest.mark.parametrize("step", PROMISED)
def test_killed_at_a_step_the_request_arrives_under_its_one_id(source: Prometheus, tmp_path: Path, step: str) -> None:
    """Before the commit the slot is caught up; after it the outbox sends; a repeat has the key of the first."""
    late, posts = PROMISED[step]
    receiver = {"coordinator_configs": [{"url": "", "timeout": TIMEOUT}]}
    with KeyedReceiver() as coordinator:
        receiver["coordinator_configs"][0]["url"] = coordinator.url
        with bridge(source.url, rules_of(step), receiver, command=LAUNCHER, env=launched(tmp_path, step)) as process:
            process.start()
            started_at = breach(source, step)
            wanted = expected_id(model_of(step), "Drifted", started_at)
            died(process, step)
            down_until(started_at + 1100)
            process.start()
            found = the_request(process, wanted)
            assert coordinator.keys() == [wanted] * posts
            assert (found["state"], found["reference"], found["late"]) == ("accepted", f"run-{wanted[:8]}", late)
            assert (found["attempt"], found["hold"]) == (1, None)
            assert [item["attempts"] for item in found["deliveries"]] == [posts if step != "before post" else 2]
            process.wait_slot(started_at + 2 * SECOND)
            assert process.rule()["state"] == "firing"
            asked = [item["outcome"] for item in process.decisions() if item["request_id"]]
            assert asked == (["none", "requested"] if late else ["requested"])  # "none": fired in a slot found late
    assert dict(coordinator.taken) == {wanted: posts}


def test_killed_while_the_receiver_holds_the_post_it_is_repeated_under_the_same_key(
    source: Prometheus, tmp_path: Path
) -> None:
    """After POST, before the answer: the receiver has the body, the bridge will never know."""
    name = "held post"
    answers = iter([HANG])

    def choose(_: Received) -> Behaviour:
        return next(answers, TAKE)

    with KeyedReceiver(choose) as coordinator:
        receiver = {"coordinator_configs": [{"url": coordinator.url, "timeout": TIMEOUT}]}
        with bridge(source.url, rules_of(name), receiver, command=LAUNCHER, env=launched(tmp_path)) as process:
            process.start()
            wanted = expected_id(model_of(name), "Drifted", breach(source, name))
            wait_until(lambda: coordinator.posts, 15, "the first post")
            process.kill()
            assert coordinator.keys() == [wanted]
            process.start()
            found = the_request(process, wanted)
            assert (found["state"], found["late"]) == ("accepted", False)
            assert [item["attempts"] for item in found["deliveries"]] == [2]
    assert coordinator.keys() == [wanted, wanted]


def test_killed_between_two_destinations_each_of_them_gets_the_one_id(source: Prometheus, tmp_path: Path) -> None:
    """The first settlement is deadly: webhook, coordinator and Alertmanager still know the request by one id."""
    name, step = "three ways", "after settle"
    with KeyedReceiver() as coordinator, KeyedReceiver() as webhook, alertmanager() as alerts:
        receiver = {
            "coordinator_configs": [{"url": coordinator.url, "timeout": TIMEOUT}],
            "webhook_configs": [{"url": webhook.url, "timeout": TIMEOUT}],
            "alertmanager_configs": [{"url": alerts.url, "timeout": TIMEOUT}],
        }
        with bridge(source.url, rules_of(name), receiver, command=LAUNCHER, env=launched(tmp_path, step)) as process:
            process.start()
            wanted = expected_id(model_of(name), "Drifted", breach(source, name))
            died(process, step)
            process.start()
            found = the_request(process, wanted)
            assert len(found["deliveries"]) == 3
            assert {*coordinator.keys()} == {*webhook.keys()} == {wanted}
            named = [item["labels"]["retrain_request_id"] for item in alerts.alerts()]
            assert named == [wanted]


def test_an_episode_that_began_and_ended_in_the_down_time_is_recorded_and_not_sent(
    source: Prometheus, tmp_path: Path
) -> None:
    """Nobody needs a retraining that was needed two seconds ago; the request says so: missed."""
    name = "wholly inside"
    with KeyedReceiver() as coordinator:
        receiver = {"coordinator_configs": [{"url": coordinator.url, "timeout": TIMEOUT}]}
        env = launched(tmp_path, "before commit")
        with bridge(source.url, rules_of(name), receiver, command=LAUNCHER, env=env) as process:
            process.start()
            started_at = breach(source, name, lasts=3)
            died(process, "before commit")
            down_until(started_at + 4 * SECOND)
            process.start()
            process.wait_slot(started_at + 5 * SECOND)
            found = process.requests()
            wanted = expected_id(model_of(name), "Drifted", started_at)
            assert [(item["id"], item["state"], item["late"]) for item in found] == [(wanted, "missed", True)]
            assert process.request(wanted)["deliveries"] == []
            assert process.rule()["state"] == "inactive"
    assert coordinator.keys() == []


@pytest.mark.parametrize("step", ["before status", "after status"])
def test_killed_while_a_status_is_recorded_the_word_of_the_coordinator_is_not_lost(
    source: Prometheus, tmp_path: Path, step: str
) -> None:
    """What a request came to is asked again after the restart, until it is written down."""
    with KeyedReceiver() as coordinator:
        receiver = {"coordinator_configs": [{"url": coordinator.url, "timeout": TIMEOUT}]}
        with bridge(source.url, rules_of(step), receiver, command=LAUNCHER, env=launched(tmp_path, step)) as process:
            process.start()
            started_at = breach(source, step, lasts=6)
            wanted = expected_id(model_of(step), "Drifted", started_at)
            wait_until(lambda: coordinator.taken, 15, "the request")
            process.wait_slot(started_at + 6 * SECOND)  # the breach is over: no second attempt follows
            coordinator.status[wanted] = {"state": "succeeded", "reference": "run-1", "new_version": "8"}
            died(process, step)
            process.start()
            wait_until(lambda: process.request(wanted)["state"] == "succeeded", 15, "the end of the request")
            found = the_request(process, wanted)
            assert (found["new_version"], found["reference"]) == ("8", "run-1")
    assert coordinator.keys() == [wanted]


@pytest.mark.parametrize("step", ["before commit", "after commit"])
def test_killed_while_the_second_attempt_is_made_it_has_one_id_of_its_own(
    source: Prometheus, tmp_path: Path, step: str
) -> None:
    """The first retraining ended, the breach did not: attempt 2 of the same episode, once."""
    name = f"again {step}"
    with KeyedReceiver() as coordinator:
        receiver = {"coordinator_configs": [{"url": coordinator.url, "timeout": TIMEOUT}]}
        env = launched(tmp_path, step, spared=1)
        with bridge(source.url, rules_of(name), receiver, command=LAUNCHER, env=env) as process:
            process.start()
            started_at = breach(source, name)
            first, second = (expected_id(model_of(name), "Drifted", started_at, attempt) for attempt in (1, 2))
            wait_until(lambda: coordinator.taken, 15, "the first attempt")
            coordinator.status[first] = {"state": "succeeded", "reference": "run-1"}
            died(process, step)
            process.start()
            wait_until(lambda: coordinator.taken[second] and not process.pending(), 20, "the second attempt")
            found = [(item["id"], item["attempt"], item["state"]) for item in process.requests()]
            assert found == [(first, 1, "succeeded"), (second, 2, "accepted")]
            process.wait_slot(whole_second(1))
            assert len(process.requests()) == 2
    assert coordinator.keys() == [first, second]
