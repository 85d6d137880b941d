"""What is the same outside before and after a fault: the model that is breached, its alert and its only request."""

from __future__ import annotations

import time

from tests.support.bridge import AHEAD, Bridge, Json, steps, whole_second, write_script
from tests.support.crash import TIMEOUT
from tests.support.processes import wait_until
from tests.support.servers import Alertmanager, Prometheus

MODEL = ("shop", "ranking", "7")
SECOND = 1000


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


def stamp(instant: int) -> str:
    """A whole second as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(instant // 1000))
