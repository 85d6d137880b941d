"""A bridge that is started again while a real Alertmanager has its alerts: what goes on is told once."""

from __future__ import annotations

import time
from datetime import datetime

from tests.integration.test_alertmanager import CONFIG, notified
from tests.support.bridge import REMOTE_WRITE, bridge, drift_rules, steps, whole_second, write_script
from tests.support.receiver import Receiver
from tests.support.servers import Alertmanager, alertmanager, prometheus, wait_until

MODEL = ("shop", "ranking", "7")


def expiry(alerts: Alertmanager) -> float:
    """When Alertmanager would resolve the one alert if it heard no more of it, in seconds; 0 when there is none."""
    found = alerts.alerts()
    return datetime.fromisoformat(found[0]["endsAt"]).timestamp() if found else 0.0


def test_a_restart_resolves_no_alert_and_fires_none_again() -> None:
    """Re-sent every second, and the bridge is away for longer than four of these."""
    with (
        Receiver() as hook,
        prometheus(flags=[REMOTE_WRITE]) as source,
        alertmanager(CONFIG.format(url=hook.url, wait="0s")) as alerts,
        bridge(source.url, drift_rules(), {"alertmanager_configs": [{"url": alerts.url}]}) as process,
    ):
        begins = whole_second()
        script = steps(begins - 20_000, begins + 600_000, [(begins, begins + 600_000)])
        write_script(source, {MODEL: script})
        process.start()
        wait_until(lambda: notified(hook), 30, "the first notification")
        process.kill()
        killed, known = time.time(), expiry(alerts)
        assert known - killed > 45, "the alert does not outlive a start"
        wait_until(lambda: time.time() > killed + 6, 10, "an outage of more than four re-sends")
        process.start()
        wait_until(lambda: expiry(alerts) > known + 1, 30, "the re-posts after the start")
        told = notified(hook)
        assert [status for status, _, _ in told] == ["firing"], told
