"""Faults that make other tools lose, repeat or falsely resolve: a real Prometheus, a real Alertmanager, the bridge.

The condition itself is the same before and after every fault: so is what the outside sees.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bridge import (
    AHEAD,
    METRIC,
    REMOTE_WRITE,
    Bridge,
    Json,
    bridge,
    drift_rules,
    expected_id,
    steps,
    whole_second,
    write_script,
)
from tests.support.crash import LAUNCHER, TIMEOUT, died, launched
from tests.support.keyed import TAKE, KeyedReceiver, Reply
from tests.support.processes import free_port, wait_until
from tests.support.receiver import Behaviour, Received
from tests.support.servers import Alertmanager, Prometheus, alertmanager, http, prometheus

MODEL = ("shop", "ranking", "7")
SECOND = 1000


@pytest.fixture
def source() -> Iterator[Prometheus]:
    with prometheus(flags=[REMOTE_WRITE]) as server:
        yield server


@pytest.fixture
def alerts() -> Iterator[Alertmanager]:
    with alertmanager() as server:
        yield server


def breach(source: Prometheus, lasts: int = 600) -> int:
    """MODEL is healthy, and breached for `lasts` seconds from the returned instant (ms)."""
    begins = whole_second(AHEAD)
    points = steps(begins - 10 * SECOND, begins + (lasts + 120) * SECOND, [(begins, begins + lasts * SECOND)])
    write_script(source, {MODEL: points})
    return begins


def to(alerts: Alertmanager | str) -> Json:
    """A receiver that is one Alertmanager."""
    url = alerts if isinstance(alerts, str) else alerts.url
    return {"alertmanager_configs": [{"url": url, "timeout": TIMEOUT}]}


class Watch:
    """What one Alertmanager shows of the only request there may be, from one look to the next."""

    def __init__(self, server: Alertmanager, request_id: str) -> None:
        self._server = server
        self._id = request_id

    def firing(self) -> Json | None:
        """The one alert, while it is active and not about to expire; a second one is an error."""
        found = self._server.alerts()
        assert {item["labels"]["retrain_request_id"] for item in found} <= {self._id}, found
        return found[0] if found and found[0]["status"]["state"] == "active" else None

    def wait_firing(self, timeout: float = 15.0) -> Json:
        found = wait_until(self.firing, timeout, f"alert {self._id}")
        assert found is not None
        return found

    def stays_firing(self, until: int) -> None:
        """At every look up to `until` (ms) the alert is there, as it began."""
        began = self.wait_firing()["startsAt"]

        def over() -> bool:
            found = self.firing()
            assert found is not None, "the alert is gone"
            assert found["startsAt"] == began
            return time.time() * 1000 >= until

        wait_until(over, until / 1000 - time.time() + 5, "the time of watching")


def only_request(process: Bridge) -> Json:
    found = process.requests()
    assert len(found) == 1, found
    return found[0]


def outcomes(process: Bridge) -> list[str]:
    """The outcomes of all decisions about the model, oldest first, without mere notes."""
    return [item["outcome"] for item in process.decisions() if item["outcome"] not in {"none", "error"}]


# ---------------------------------------------------------------- 1: the query fails


def test_a_query_that_fails_while_firing_resolves_nothing_and_requests_nothing_twice(
    source: Prometheus, alerts: Alertmanager
) -> None:
    """State is frozen and the alert is kept alive until Prometheus is back."""
    with bridge(source.url, drift_rules(), to(alerts), query_timeout="1s") as process:
        process.start()
        wanted = expected_id(MODEL, "Drifted", breach(source))
        watch = Watch(alerts, wanted)
        watch.wait_firing()
        source.kill()
        wait_until(lambda: process.rule()["health"] == "err", 10, "the failing query")
        watch.stays_firing(whole_second(7))
        assert process.rule()["state"] == "firing"
        source.start()
        wait_until(lambda: process.rule()["health"] == "ok", 15, "the query's repair")
        watch.stays_firing(whole_second(2))
        assert only_request(process)["id"] == wanted
        assert outcomes(process) == ["requested"]
        told = [item["after"] for item in process.decisions() if item["project"] is None]
        assert (told[0], told[-1]) == ("err", "ok")


# ---------------------------------------------------------------- 3: the receiver is down


def test_more_series_than_the_limit_wipe_no_state(source: Prometheus, alerts: Alertmanager) -> None:
    """Row 2: the answer grows past the group's limit and shrinks again: firing throughout, one request, no resolve."""
    rules = drift_rules()
    rules["groups"][0]["limit"] = 3
    with bridge(source.url, rules, to(alerts)) as process:
        process.start()
        begins = breach(source)
        healthy = [(at, 0.1) for at in range(begins + 4 * SECOND, begins + 8 * SECOND, SECOND)]
        many = {("shop", f"other-{number}", "1"): healthy for number in range(5)}
        watch = Watch(alerts, expected_id(MODEL, "Drifted", begins))
        watch.wait_firing()
        write_script(source, many)
        wait_until(lambda: process.rule()["health"] == "err", 20, "the limit to be met")
        assert "more than limit: 3" in process.rule()["lastError"]
        assert [(alert["state"]) for alert in process.rule()["alerts"]] == ["firing"]
        # Prometheus goes on showing a series for 5 minutes after its last sample, so the limit is met until a reload.
        rules["groups"][0]["limit"] = 0
        (process.folder / "rules.yml").write_text(json.dumps(rules))
        assert http("POST", f"{process.url}/-/reload")[0] == 200
        wait_until(lambda: process.rule()["health"] == "ok", 20, "the repair")
        assert watch.firing() is not None
        assert [item["state"] for item in process.requests()] == ["requested"]
        assert [item["after"] for item in process.decisions() if item["project"]] == ["firing"]


def test_a_receiver_that_was_down_gets_the_request_at_the_next_probe(source: Prometheus) -> None:
    """Up again after 8 s: an Alertmanager hears of the request within 30 s, with default settings."""
    port = free_port()
    with bridge(source.url, drift_rules(), to(f"http://127.0.0.1:{port}")) as process:
        process.start()
        begins = breach(source)
        wanted = expected_id(MODEL, "Drifted", begins)
        wait_until(lambda: time.time() * 1000 >= begins + 8 * SECOND, 15, "8 s without a receiver")
        wait_until(lambda: [item["state"] for item in process.pending()] == ["retry"], 15, "the next failure")
        with alertmanager(port=port) as alerts:
            Watch(alerts, wanted).wait_firing(31)
            wait_until(lambda: not process.pending(), 5, "the settlement")
        assert only_request(process)["id"] == wanted


def test_a_long_back_off_does_not_hold_up_the_probe(source: Prometheus, tmp_path: Path) -> None:
    """The single delivery would wait for up to an hour; the destination is probed all the same."""
    patient = {"attempt_deadline": 2000, "lease": 4000, "backoff_base": 3_600_000, "backoff_max": 3_600_000,
               "breaker_failures": 1, "probe": 2000}  # fmt: skip
    env, port = launched(tmp_path, delivery=patient), free_port()
    # A long resend_delay: the refresher of open alerts must not be the one that finds the destination up again.
    with bridge(
        source.url, drift_rules(), to(f"http://127.0.0.1:{port}"), command=LAUNCHER, env=env, resend_delay="1h"
    ) as process:
        process.start()
        wanted = expected_id(MODEL, "Drifted", breach(source))
        wait_until(lambda: [item["state"] for item in process.pending()] == ["retry"], 15, "the first failure")
        with alertmanager(port=port) as alerts:
            Watch(alerts, wanted).wait_firing(20)


# ---------------------------------------------------------------- 4, 5: restarts


@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM"])
def test_a_restart_while_firing_with_for_is_not_visible_outside(
    source: Prometheus, alerts: Alertmanager, end: str
) -> None:
    """No second pending, no false resolve, no second request: the stored state goes on."""
    rules = drift_rules(**{"for": "3s"})
    with bridge(source.url, rules, to(alerts), measured=end == "SIGTERM") as process:
        process.start()
        wanted = expected_id(MODEL, "Drifted", breach(source) + 3 * SECOND)
        watch = Watch(alerts, wanted)
        watch.wait_firing()
        before = process.rule()["alerts"]
        if end == "SIGTERM":
            assert process.program.terminate(6) == 0
        process.kill()
        process.start()
        watch.stays_firing(whole_second(6))
        after = process.rule()["alerts"]
        assert [item["state"] for item in after] == ["firing"]
        assert [item["activeAt"] for item in after] == [item["activeAt"] for item in before]
        assert only_request(process)["id"] == wanted
        assert [item["after"] for item in process.decisions() if item["project"]] == ["pending", "firing"]


def test_a_restart_inside_keep_firing_for_is_not_visible_outside(source: Prometheus, alerts: Alertmanager) -> None:
    """The alert goes on, kept since the same slot. An hour: however long the restart takes, it is inside."""
    rules = drift_rules(**{"for": "1s", "keep_firing_for": "1h"})
    with bridge(source.url, rules, to(alerts)) as process:
        process.start()
        begins = breach(source, lasts=4)
        wanted = expected_id(MODEL, "Drifted", begins + SECOND)
        watch = Watch(alerts, wanted)
        watch.wait_firing()
        process.wait_slot(begins + 5 * SECOND)
        process.kill()
        before = process.stored_slot()
        process.start()
        process.wait_slot(before + 2 * SECOND)
        watch.wait_firing()
        kept = process.rule()["alerts"]
        assert [(item["state"], item["keepFiringSince"]) for item in kept] == [("firing", stamp(begins + 4 * SECOND))]
        assert only_request(process)["id"] == wanted


def test_an_episode_ends_after_a_restart_in_the_slot_in_which_it_would_have_ended(
    source: Prometheus, alerts: Alertmanager
) -> None:
    """Killed inside keep_firing_for; the end is found in its slot, live or caught up, however long the start takes."""
    rules = drift_rules(**{"for": "1s", "keep_firing_for": "20s"})
    with bridge(source.url, rules, to(alerts)) as process:
        process.start()
        begins = breach(source, lasts=4)
        ends = begins + 24 * SECOND
        process.wait_slot(begins + 5 * SECOND)
        process.kill()
        assert process.stored_slot() < ends, "killed too late to show anything"
        process.start()
        process.wait_slot(ends + SECOND)
        found = [item["slot"] for item in process.decisions() if item["after"] == "inactive" and item["project"]]
        assert found == [stamp(ends)]
        assert only_request(process)["id"] == expected_id(MODEL, "Drifted", begins + SECOND)


def stamp(instant: int) -> str:
    """A whole second as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(instant // 1000))


# ---------------------------------------------------------------- 6, 7: kills around the sending


def test_killed_between_accepting_and_sending_the_request_is_sent_after_the_restart(
    source: Prometheus, alerts: Alertmanager, tmp_path: Path
) -> None:
    """What is committed is owed: Alertmanager hears of it after all, under the id that was stored."""
    env = launched(tmp_path, "after commit")
    with bridge(source.url, drift_rules(), to(alerts), command=LAUNCHER, env=env) as process:
        process.start()
        wanted = expected_id(MODEL, "Drifted", breach(source))
        died(process, "after commit")
        assert alerts.alerts() == []
        process.start()
        Watch(alerts, wanted).wait_firing()
        wait_until(lambda: not process.pending(), 10, "the settlement")
        assert (only_request(process)["id"], only_request(process)["late"]) == (wanted, False)
        # OpenAlertIndex would reach an Alertmanager as well, though no other receiver: the delivery itself is owed.
        sent = [(item["state"], item["attempts"]) for item in process.request(wanted)["deliveries"]]
        assert sent == [("delivered", 1)]


def test_killed_between_sending_and_recording_the_repeat_is_the_same_alert(
    source: Prometheus, alerts: Alertmanager, tmp_path: Path
) -> None:
    """Alertmanager has it already; what comes again has its labels, so that there is one alert and one notification."""
    env = launched(tmp_path, "before settle")
    with bridge(source.url, drift_rules(), to(alerts), command=LAUNCHER, env=env) as process:
        process.start()
        begins = breach(source)
        watch = Watch(alerts, expected_id(MODEL, "Drifted", begins))
        died(process, "before settle")
        first = watch.wait_firing()
        process.start()
        wait_until(lambda: process.requests() and not process.pending(), 15, "the second delivery")
        second = watch.wait_firing()
        assert [item["attempts"] for item in process.request(only_request(process)["id"])["deliveries"]] == [2]
        assert (second["labels"], second["fingerprint"]) == (first["labels"], first["fingerprint"])
        assert second["startsAt"] == first["startsAt"] == stamp(begins)


# ---------------------------------------------------------------- 8: Retry-After


def test_a_429_delays_deliveries_by_its_retry_after(source: Prometheus, tmp_path: Path) -> None:
    """Not one try before Retry-After (4 s) is over, though the own back-off is 0.2 s; then it is delivered."""
    plan: list[Behaviour] = [Reply(429, headers={"Retry-After": "4"})]

    def choose(_: Received) -> Behaviour:
        return plan.pop() if plan else TAKE

    with KeyedReceiver(choose) as coordinator:
        receiver = {"coordinator_configs": [{"url": coordinator.url, "timeout": TIMEOUT}]}
        with bridge(source.url, drift_rules(), receiver, command=LAUNCHER, env=launched(tmp_path)) as process:
            process.start()
            wanted = expected_id(MODEL, "Drifted", breach(source))
            wait_until(lambda: coordinator.taken, 20, "the delivery")
            first, second = coordinator.posts
            assert (first.key, second.key) == (wanted, wanted)
            assert second.at - first.at >= 4.0
            wait_until(lambda: process.request(wanted)["state"] == "accepted", 5, "the settlement")


# ---------------------------------------------------------------- 9: an evaluation that overruns


def test_slots_that_an_overrunning_evaluation_missed_are_counted_and_caught_up(source: Prometheus) -> None:
    """Prometheus hangs for five slots: episodes begin and end at the slots where they would have without it."""
    with KeyedReceiver() as webhook:
        receiver = {"webhook_configs": [{"url": webhook.url, "timeout": TIMEOUT}]}
        with bridge(source.url, drift_rules(), receiver, query_timeout="20s") as process:
            process.start()
            begins = whole_second(AHEAD)
            short, long = ("shop", "short", "1"), ("shop", "long", "1")
            whole = (begins - 10 * SECOND, begins + 630 * SECOND)
            write_script(source, {
                short: steps(*whole, [(begins + 4 * SECOND, begins + 6 * SECOND)]),
                long: steps(*whole, [(begins + 5 * SECOND, begins + 600 * SECOND)]),
            })  # fmt: skip
            process.wait_slot(begins)
            missed = process.metric('retrain_bridge_evaluations_missed_total{group="serving"}')
            source.program.signal(signal.SIGSTOP)
            wait_until(lambda: time.time() * 1000 >= begins + 8500, 15, "the end of the hanging")
            source.program.signal(signal.SIGCONT)
            wanted = expected_id(long, "Drifted", begins + 5 * SECOND)
            wait_until(lambda: webhook.taken, 15, "the delivery")
            assert set(webhook.keys()) == {wanted}
            found = {item["id"]: (item["state"], item["late"]) for item in process.requests()}
            assert found == {
                wanted: ("requested", True),
                expected_id(short, "Drifted", begins + 4 * SECOND): ("missed", True),
            }
            counted = process.metric('retrain_bridge_evaluations_missed_total{group="serving"}') - missed
            assert 4 <= counted < (process.stored_slot() - begins) / SECOND
            assert METRIC in process.rule()["query"]
