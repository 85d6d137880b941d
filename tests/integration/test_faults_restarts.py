"""Restarts during an episode, which nothing outside shows: a real Prometheus, a real Alertmanager, the bridge."""

from __future__ import annotations

import pytest

from tests.support.bridge import bridge, drift_rules, expected_id, whole_second
from tests.support.faults import MODEL, SECOND, Watch, breach, only_request, stamp, to
from tests.support.servers import Alertmanager, Prometheus


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
