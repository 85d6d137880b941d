"""`init` on a real Prometheus with series of other people: its files pass the check, and the bridge runs on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bridge.authoring.suggest.run_receivers import run_receivers
from tests.support.processes import Program, free_port, kept_for_the_test, wait_until
from tests.support.servers import Prometheus, alertmanager, exporter, http, prometheus

ROOT = Path(__file__).parents[2]
PAGE = """# TYPE vllm:e2e_request_latency_seconds histogram
vllm:e2e_request_latency_seconds_bucket{le="1.0",model_name="org/llama-8b"} 10
vllm:e2e_request_latency_seconds_bucket{le="+Inf",model_name="org/llama-8b"} 40
vllm:e2e_request_latency_seconds_count{model_name="org/llama-8b"} 40
vllm:e2e_request_latency_seconds_sum{model_name="org/llama-8b"} 90
# TYPE churn_accuracy gauge
churn_accuracy{model="churn",model_version="3",namespace="risk"} 0.91
# TYPE score_latency_ms gauge
score_latency_ms{model="churn",model_version="3",namespace="risk",instance="a"} 12
score_latency_ms{model="churn",model_version="3",namespace="risk",instance="b"} 14
# TYPE http_requests_total counter
http_requests_total{code="200"} 5
"""


def command(folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit code and both outputs."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli", *words],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def server() -> Iterator[Prometheus]:
    """Scrapes the page, and sends alerts to an Alertmanager."""
    with exporter(PAGE) as page, alertmanager("route: {receiver: x}\nreceivers: [{name: x}]\n") as receiver:
        address = receiver.url.removeprefix("http://")
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [address]}]}]},
            "scrape_configs": [{"job_name": "models", "static_configs": [{"targets": [page.target]}]}],
        }
        with prometheus(json.dumps(config)) as running:
            wait_until(lambda: page.scrapes >= 2, 60, "scrapes")
            page.text = PAGE.replace('"} 40', '"} 80').replace('"} 10', '"} 20')  # requests: without them no quantile
            served = "rate(vllm:e2e_request_latency_seconds_count[5m] offset 8s) > 0"
            wait_until(lambda: running.query(served), 60, "requests at the query offset")
            wait_until(lambda: address in http("GET", f"{running.url}/api/v1/alertmanagers")[1], 60, "its Alertmanager")
            yield running


def test_the_first_configuration_passes_the_check_and_runs(server: Prometheus, tmp_path: Path) -> None:
    """Rules of a pack, and of metrics that have none; labels and interval are those of the series."""
    code, out, err = command(tmp_path, "init", "--prometheus", server.url)
    assert code == 0, err
    assert "vllm: vLLM, 1 of 9 signals\n" in out
    assert "churn_accuracy: 1 model, rule ChurnAccuracyUnusual\n" in out
    text = (tmp_path / "bridge.yml").read_text()
    assert all(f"#   {line}  # {title}\n" in text for title, line in run_receivers().items())
    config = yaml.safe_load(text)
    assert (config["prometheus"], config["dry_run"]) == ({"url": server.url}, True)
    assert config["global"] == {"evaluation_interval": "15s", "query_offset": "7s"}
    assert len(config["receivers"][0]["alertmanager_configs"]) == 1
    rules = yaml.safe_load((tmp_path / "rules" / "metrics.yml").read_text())
    (group,) = rules["groups"]
    assert group["models"]["labels"] == {"project": "namespace", "pipeline": "model", "version": "model_version"}
    assert group["rules"] == [
        {"retrain": "ChurnAccuracyUnusual", "signal": "churn_accuracy", "strategy": {"auto": {"side": "down"}}},
        {"alert": "ScoreLatencyMsUnusual", "signal": "score_latency_ms"},
    ]
    code, out, err = command(tmp_path, "check", "config", "--ask-prometheus", "--lint=fatal", "bridge.yml")
    assert (code, out, err) == (0, "bridge.yml: SUCCESS\n", "")
    (tmp_path / "bridge.yml").write_text((tmp_path / "bridge.yml").read_text().replace("15s", "1s"))
    runs(tmp_path)


def runs(folder: Path) -> None:
    """Start the bridge on the files in a folder until it has evaluated every rule without an error."""
    port = free_port()
    words = [
        "run",
        f"--config.file={folder}/bridge.yml",
        "--storage.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    command_line = [sys.executable, "-m", "bridge.cli", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = Program(command_line, Path(tempfile.mkdtemp(prefix="init-")), "bridge", env)

    def evaluated() -> bool:
        status, text = http("GET", f"http://127.0.0.1:{port}/api/v1/rules")
        found = (
            [rule for group in json.loads(text)["data"]["groups"] for rule in group["rules"]] if status == 200 else []
        )
        return len(found) == 3 and all(rule["health"] == "ok" for rule in found)

    with kept_for_the_test(program):
        program.start()
        program.wait_ready(lambda: http("GET", f"http://127.0.0.1:{port}/-/ready")[0] == 200, 60)
        wait_until(evaluated, 60, "every rule evaluated")
        assert "level=error" not in program.log
        assert program.terminate() == 0


def test_files_are_not_replaced(server: Prometheus, tmp_path: Path) -> None:
    """None of them, also where only one is there."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "packs.yml").write_text("groups: []\n")
    code, _, err = command(tmp_path, "init", "--prometheus", server.url)
    assert (code, err) == (1, "not replaced: rules/packs.yml; set --output to another folder\n")
    assert not (tmp_path / "bridge.yml").exists()
    code, _, err = command(tmp_path, "init", "--prometheus", server.url, "--output", "new/folder")
    assert (code, (tmp_path / "new" / "folder" / "bridge.yml").exists()) == (0, True), err


def test_a_server_without_models_gets_no_files(tmp_path: Path) -> None:
    """Exit code 1 and one sentence."""
    with prometheus() as empty:
        code, out, err = command(tmp_path, "init", "--prometheus", empty.url)
    assert (code, out) == (1, "")
    assert err == f"{empty.url} has 0 metrics, and none of them looks like a signal of a model\n"
    assert list(tmp_path.iterdir()) == []
