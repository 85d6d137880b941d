"""What the demo's requests start: the command of the bridge's coordinator, or a flow in a real Prefect."""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.request
from pathlib import Path
from typing import Any, Protocol

from demo_servers import TOP, Programs, address, free_port, get, say

TRAIN = """
import json, sys, time
request = json.load(sys.stdin)
time.sleep(2)
print(json.dumps({"new_version": str(int(request["version"]) + 1)}))
"""
TRAINING = """
import time
def train(episode, project, pipeline, version, reason):
    time.sleep(2)
    return str(int(version) + 1)
"""
PAGE = TOP / "docs" / "orchestrators" / "prefect.md"
PREFECT_LIMIT_SECONDS = 180.0


class Pipeline(Protocol):
    """Receiver of the demo that trains. name: in the demo's lines; url: its API; limit: seconds until it has ended."""

    name: str
    url: str
    limit: float

    def start(self, programs: Programs, bridge: str) -> None:
        """Start it; raises DemoError."""
        ...

    def receiver(self, url: str) -> dict[str, Any]:
        """Return the receiver's entry in bridge.yml, behind a proxy at `url`."""
        ...

    def requests(self) -> list[str]:
        """Return the ids of the requests that it has taken."""
        ...

    def page(self) -> str:
        """Return the URL at which people see its runs."""
        ...


class EmbeddedCoordinator:
    """The bridge's own coordinator, with a command that takes two seconds."""

    name = "coordinator"
    limit = 58.0

    def __init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"

    def start(self, programs: Programs, bridge: str) -> None:
        config = {
            "listen": address(self.url), "storage": str(programs.folder / "coordinator-data"),
            "command": [sys.executable, "-c", TRAIN], "bridge_url": bridge,
        }  # fmt: skip
        (programs.folder / "coordinator.yml").write_text(json.dumps(config))
        programs.start(
            "coordinator", sys.executable, "-m", "bridge.cli", "coordinator", "--config.file=coordinator.yml",
            ready=f"{self.url}/-/ready",
        )  # fmt: skip

    def receiver(self, url: str) -> dict[str, Any]:
        return {"coordinator_configs": [{"url": url}]}

    def requests(self) -> list[str]:
        found = get(f"{self.url}/api/v1/retrain-requests") or {}
        return [item["id"] for item in found.get("requests", [])]

    def page(self) -> str:
        return f"{self.url}/api/v1/retrain-requests"


class PrefectFlow:
    """A real Prefect server, and the flow of docs/orchestrators/prefect.md. home: its virtual environment."""

    name = "prefect"
    limit = PREFECT_LIMIT_SECONDS

    def __init__(self, home: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._home = home

    def start(self, programs: Programs, bridge: str) -> None:
        say("set-up", "starting a Prefect server, and a process that serves the flow")
        folder = programs.folder
        (folder / "retrain.py").write_text(_block("python"))
        (folder / "training.py").write_text(TRAINING)
        env = {
            **os.environ, "PATH": f"{self._home}/bin:{os.environ['PATH']}", "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": f"{self.url}/api", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1",
            "PREFECT_RUNNER_POLL_FREQUENCY": "1", "TMPDIR": str(folder),
        }  # fmt: skip
        port = self.url.rpartition(":")[2]
        programs.start(
            "prefect", str(self._home / "bin" / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", port,
            ready=f"{self.url}/api/health", env=env, limit=PREFECT_LIMIT_SECONDS,
        )  # fmt: skip
        programs.start(
            "flow", str(self._home / "bin" / "python"), "retrain.py",
            ready=f"{self.url}/api/deployments/name/retrain/prod", env=env, limit=PREFECT_LIMIT_SECONDS,
        )  # fmt: skip

    def receiver(self, url: str) -> dict[str, Any]:
        entry = {
            "preset": "prefect", "url": url, "ui_url": self.url, "target": {"flow": "retrain", "deployment": "prod"},
            "status": {"interval": "1s"},
        }  # fmt: skip
        return {"run_configs": [entry]}

    def requests(self) -> list[str]:
        call = urllib.request.Request(
            f"{self.url}/api/flow_runs/filter", b"{}", {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(call, timeout=10) as answer:
            return [run["parameters"]["episode"] for run in json.load(answer)]

    def page(self) -> str:
        return f"{self.url}/runs"


def _block(language: str) -> str:
    """Return the first code block of a language on the page."""
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if found is None:
        raise RuntimeError(f"{PAGE} has no {language} block")
    return found[1]
