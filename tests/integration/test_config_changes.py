"""Changes of the configuration by restart, on a real process."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.bridge import bridge, drift_rules
from tests.support.servers import http

PASSWORDS = ("first-password", "second-password")


def test_a_restart_with_another_configuration_is_shown() -> None:
    """After kill -9, by API, page and command line; a changed secret is no difference, and is stored nowhere."""
    hooks = [{"url": "http://127.0.0.1:1", "http_config": {"basic_auth": {"username": "u", "password": PASSWORDS[0]}}}]
    with bridge("http://127.0.0.1:1", drift_rules(), {"webhook_configs": hooks}) as process:
        process.start()
        assert process.api("status/config/changes") == {"changes": []}
        process.kill()
        config = process.config_file.read_text()
        process.config_file.write_text(config.replace(PASSWORDS[0], PASSWORDS[1]))
        process.start()
        assert process.api("status/config/changes") == {"changes": []}
        process.kill()
        rules = json.dumps(drift_rules())
        (process.folder / "rules.yml").write_text(rules.replace("Drifted", "Renamed"))
        process.start()
        process.kill()
        process.start()  # without a difference
        (change,) = process.api("status/config/changes")["changes"]
        assert (change["event"], change["error"], change["replica"]) == ("start", None, None)
        assert '"retrain": "Renamed"' in change["diff"].partition("\n+{")[2]
        assert "Renamed" in http("GET", f"{process.url}/status")[1].partition("Configuration changes")[2]
        command = [sys.executable, "-m", "bridge.cli", "config", "changes", f"--bridge.url={process.url}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        assert done.stdout.startswith(f"{change['at']}, start:\n--- rules.yml\n+++ rules.yml\n")
        stored = b"".join(file.read_bytes() for file in (process.folder / "data").iterdir())
        assert b"Renamed" in stored
        assert not any(word.encode() in stored for word in PASSWORDS)
