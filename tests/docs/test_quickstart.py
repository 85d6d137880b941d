"""docs/quickstart.md on free ports: its files, its commands and servers, and the request that it promises.

scripts/test-quickstart types it word for word, the installation included, on a bare system.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import reduce
from pathlib import Path
from typing import Any

from tests.support.pages import ROOT, blocks
from tests.support.processes import Program, free_port, kept_for_the_test, wait_until
from tests.support.servers import http

PAGE = ROOT / "docs" / "quickstart.md"


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
        if first not in {"# install", "# as root"} and (first == "# keeps running") is lasting:
            found += (rest if lasting else text).strip().split("\n")
    return found


def ours(line: str, ports: dict[str, str]) -> list[str]:
    """Return a command with its addresses exchanged; the bridge's own is that of the code under test."""
    words = shlex.split(reduce(lambda told, pair: told.replace(*pair), ports.items(), line))
    known = {"retrain-bridge": [sys.executable, "-m", "bridge.cli"], "python3": [sys.executable]}
    return [*known.get(words[0], words[:1]), *words[1:]]


def said_by(command: list[str], folder: Path, env: dict[str, str]) -> str:
    """Return what a command prints; it has to succeed."""
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def answers(url: str, text: str = "") -> bool:
    status, told = http("GET", url)
    return status == 200 and text in told


def test_the_quickstart_leads_to_the_first_request(tmp_path: Path) -> None:
    """Each command succeeds; one request reaches the coordinator, and is explained."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    models, source, coordinator, bridge = (f"127.0.0.1:{free_port()}" for _ in range(4))
    ports = {
        "http://localhost:9090": f"http://{source}", "127.0.0.1:9090": source, "localhost:8000": models,
        "localhost:8090": coordinator, "127.0.0.1:8090": coordinator, "127.0.0.1:9095": bridge,
        "evaluation_interval: 15s": "evaluation_interval: 1s", "for: 15s": "for: 1s", "python3 models.py":
        f"python3 models.py {models}", "scrape_interval: 5s": "scrape_interval: 1s",
    }  # fmt: skip
    files(tmp_path, ports)
    shutil.copy(ROOT / "examples" / "compose" / "models.py", tmp_path)
    before, after = list[str](), list[str]()
    for line in commands(lasting=False):
        (before if line.split()[1] in {"check", "test", "backtest"} else after).append(line)
    assert (len(before), len(after)) == (3, 3)
    lasting = commands(lasting=True)
    ready = [f"http://{address}/-/ready" for address in (models, source, coordinator, bridge)]
    assert len(lasting) == len(ready)
    with contextlib.ExitStack() as stack:

        def start(line: str, url: str) -> None:
            listening = [f"--web.listen-address={bridge}"] if line.startswith("retrain-bridge run") else []
            program = Program([*ours(line, ports), *listening], tmp_path, line.split()[1].strip("-"), env)
            stack.enter_context(kept_for_the_test(program)).start()
            wait_until(lambda: answers(url), 60, line)

        for line, url in zip(lasting[:2], ready[:2], strict=True):
            start(line, url)
        scraped = f"http://{source}/api/v1/query?query=model_drift_score"
        wait_until(lambda: answers(scraped, "ranking"), 60, "a scrape")
        for line in before:
            said_by(ours(line, ports), tmp_path, env)
        for line, url in zip(lasting[2:], ready[2:], strict=True):
            start(line, url)

        def asked() -> list[dict[str, Any]]:
            status, text = http("GET", f"http://{bridge}/api/v1/requests")
            found = json.loads(text)["data"]["requests"] if status == 200 else []
            return [item for item in found if item["state"] == "succeeded"]

        wait_until(asked, 120, "the request")
        said = {}
        for line in after:
            where = [] if "send-test" in line else [f"--bridge.url=http://{bridge}"]
            said[line.split()[1]] = said_by([*ours(line, ports), *where], tmp_path, env)
        (request,) = asked()
        assert request["id"] in said["requests"]
        assert re.search(r"drift 0\.\d+ above 0\.6", said["explain"])
        status, ledger = http("GET", f"http://{coordinator}/api/v1/retrain-requests/{request['id']}")
        assert (status, json.loads(ledger)["state"]) == (200, "succeeded")
