"""The whole loop with both real processes and a secret between them: asked, run, reported, over."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support import coordinator as coordinators
from tests.support.bridge import (
    AHEAD,
    REMOTE_WRITE,
    bridge,
    drift_rules,
    expected_id,
    steps,
    whole_second,
    write_script,
)
from tests.support.processes import free_port, wait_until
from tests.support.servers import http, prometheus

SECOND = 1000


def test_a_signed_report_reaches_a_bridge_that_others_cannot_change(tmp_path: Path) -> None:
    """The bridge listens beyond loopback without users: of all that would change it, it takes signed reports alone."""
    (tmp_path / "secret").write_text(coordinators.SECRET)
    port, model = free_port(), ("shop", "loop", "7")
    entry = {"url": f"http://127.0.0.1:{port}", "secret_file": str(tmp_path / "secret")}
    train = ["sh", "-c", """echo '{"new_version": "8"}'"""]
    with (
        prometheus(flags=[REMOTE_WRITE]) as source,
        bridge(source.url, drift_rules(), {"coordinator_configs": [entry]}) as process,
    ):
        command = process.program.command
        process.program.command = [part.replace("address=127.0.0.1:", "address=0.0.0.0:") for part in command]
        with coordinators.process(
            tmp_path / "c", listen=f"127.0.0.1:{port}", command=train, bridge_url=process.url,
            secret_file=str(tmp_path / "secret"),
        ) as coordinator:  # fmt: skip
            process.start()
            begins = whole_second(AHEAD)
            write_script(
                source, {model: steps(begins - SECOND, begins + 60 * SECOND, [(begins, begins + 40 * SECOND)])}
            )
            wanted = expected_id(model, "Drifted", begins)
            wait_until(lambda: [item for item in process.requests() if item["state"] == "succeeded"], 30, "success")
            (found,) = process.requests()
            assert (found["id"], found["new_version"]) == (wanted, "8")
            metrics = coordinator.client.call("GET", "/metrics").text
            reported = re.findall(r'reports_total\{result="(\w+)"\} (\d+)', metrics)
            assert dict(reported)["ok"] != "0"
            assert "report to the bridge failed" not in coordinator.log.read_text()
            status, _ = http("POST", f"{process.url}/api/v1/requests/{wanted}/status", {"state": "failed"})
            assert status in {401, 403}
