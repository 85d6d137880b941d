"""The real process, whose database is taken away while it runs."""

from __future__ import annotations

from tests.support.bridge import REMOTE_WRITE, bridge, drift_rules, steps, whole_second, write_script
from tests.support.receiver import Receiver, Reply
from tests.support.servers import http, prometheus, wait_until

EARLY, LATE = ("shop", "ranking", "7"), ("shop", "search", "2")


def test_a_removed_database_makes_the_bridge_unready_and_nothing_new_is_sent() -> None:
    """A second model is breached afterwards: its request could not be found after a start, so there is none."""
    with (
        Receiver(Reply(200)) as hook,
        prometheus(flags=[REMOTE_WRITE]) as source,
        bridge(source.url, drift_rules(), {"webhook_configs": [{"url": hook.url}]}, measured=True) as process,
    ):
        begins = whole_second()
        write_script(source, {EARLY: steps(begins - 20_000, begins + 600_000, [(begins, begins + 600_000)])})
        process.start()
        wait_until(lambda: hook.requests, 30, "the first request")
        assert process.metric("retrain_bridge_store_usable") == 1
        for file in (process.folder / "data").iterdir():
            file.unlink()
        wait_until(lambda: http("GET", f"{process.url}/-/ready")[0] == 503, 20, "503 of /-/ready")
        assert "was removed or moved away while the bridge was running" in http("GET", f"{process.url}/-/ready")[1]
        wait_until(lambda: process.metric("retrain_bridge_store_usable") == 0, 10, "the metric")
        assert process.program.log.count('msg="the store cannot be used"') == 1
        sent = len(hook.requests)
        later = whole_second()
        write_script(source, {LATE: steps(later - 20_000, later + 600_000, [(later - 20_000, later + 600_000)])})
        ticks = process.program.log.count("evaluation was not stored")
        wait_until(lambda: process.program.log.count("evaluation was not stored") >= ticks + 3, 30, "three more slots")
        assert len(hook.requests) == sent
        assert process.program.terminate() == 0
