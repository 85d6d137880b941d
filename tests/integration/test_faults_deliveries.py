"""Faults around deliveries: a receiver is down or refuses, or the bridge is killed before or after it sends.

A real Prometheus, a real Alertmanager, the bridge.
"""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.bridge import bridge, drift_rules, expected_id
from tests.support.crash import LAUNCHER, TIMEOUT, died, launched
from tests.support.faults import MODEL, SECOND, Watch, breach, only_request, stamp, to
from tests.support.keyed import TAKE, KeyedReceiver, Reply
from tests.support.processes import free_port, wait_until
from tests.support.receiver import Behaviour, Received
from tests.support.servers import Alertmanager, Prometheus, alertmanager


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
