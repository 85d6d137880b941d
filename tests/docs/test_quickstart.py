"""docs/quickstart.md, word for word, on real servers: its files, its commands, and the request that it promises."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from functools import reduce
from pathlib import Path

from tests.support.pages import ROOT, blocks
from tests.support.processes import Program, free_port, kept_for_the_test, wait_until
from tests.support.servers import exporter, http, prometheus

PAGE = ROOT / "docs" / "quickstart.md"
DRIFTED = 'model_drift_score{project="shop",pipeline="ranking",version="7"} 0.9\n'


def files(folder: Path, ports: dict[str, str]) -> None:
    """Every YAML block is a file; its first line says which. Servers are where the test has them."""
    for text in blocks(PAGE, "yaml"):
        file = folder / text.partition("\n")[0].removeprefix("# ")
        file.parent.mkdir(exist_ok=True)
        file.write_text(reduce(lambda told, pair: told.replace(*pair), ports.items(), text))


def commands(*, lasting: bool) -> list[str]:
    """Lines of the shell blocks: those that run on, or those that end. The installation is another test's."""
    found = []
    for text in blocks(PAGE, "sh"):
        first, _, rest = text.partition("\n")
        if first != "# install" and (first == "# runs on") is lasting:
            found += (rest if lasting else text).strip().split("\n")
    return found


def ours(line: str) -> list[str]:
    words = shlex.split(line)
    assert words[0] == "retrain-bridge"
    return [sys.executable, "-m", "bridge.cli", *words[1:]]


def said_by(command: list[str], folder: Path, env: dict[str, str]) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_quickstart_leads_to_the_first_request(tmp_path: Path) -> None:
    """Each command succeeds; one request reaches the coordinator, and is explained."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    bridge, coordinator = free_port(), free_port()
    with exporter(DRIFTED) as models, prometheus(targets=[models.target]) as source:
        wait_until(lambda: source.query("model_drift_score"), 30, "a scrape")
        ports = {
            "http://localhost:9090": source.url, "localhost:8090": f"127.0.0.1:{coordinator}",
            "127.0.0.1:8090": f"127.0.0.1:{coordinator}", "127.0.0.1:9095": f"127.0.0.1:{bridge}",
            "evaluation_interval: 15s": "evaluation_interval: 1s", "for: 15s": "for: 1s",
        }  # fmt: skip
        files(tmp_path, ports)
        before, after = [], []
        for line in commands(lasting=False):
            (before if line.split()[1] in {"check", "test", "backtest"} else after).append(line)
        assert (len(before), len(after)) == (3, 3)
        for line in before:
            said_by(ours(line), tmp_path, env)
        first, second = commands(lasting=True)
        listening = f"--web.listen-address=127.0.0.1:{bridge}"
        with (
            kept_for_the_test(Program(ours(first), tmp_path, "coordinator", env)) as keeper,
            kept_for_the_test(Program([*ours(second), listening], tmp_path, "bridge", env)) as program,
        ):
            keeper.start()
            program.start()
            url = f"http://127.0.0.1:{bridge}"

            def asked() -> list[dict]:
                status, text = http("GET", f"{url}/api/v1/requests")
                found = json.loads(text)["data"]["requests"] if status == 200 else []
                return [item for item in found if item["state"] == "succeeded"]

            wait_until(asked, 40, "the request")
            said = {}
            for line in after:
                where = [] if "send-test" in line else [f"--bridge.url={url}"]
                said[line.split()[1]] = said_by([*ours(line), *where], tmp_path, env)
            (request,) = asked()
            assert request["id"] in said["requests"]
            assert re.search(r"drift 0\.9 above 0\.6", said["explain"])
            status, ledger = http("GET", f"http://127.0.0.1:{coordinator}/api/v1/retrain-requests/{request['id']}")
            assert (status, json.loads(ledger)["state"]) == (200, "succeeded")
