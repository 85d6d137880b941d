"""Faults of queries: Prometheus is down, hangs or returns too much, and nothing outside changes.

A real Prometheus, a real Alertmanager, the bridge.
"""

from __future__ import annotations

import json
import signal
import time

from tests.support.bridge import AHEAD, METRIC, bridge, drift_rules, expected_id, steps, whole_second, write_script
from tests.support.crash import TIMEOUT
from tests.support.faults import MODEL, SECOND, Watch, breach, only_request, outcomes, to
from tests.support.keyed import KeyedReceiver
from tests.support.processes import wait_until
from tests.support.servers import Alertmanager, Prometheus, http


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
