"""A story that a real bridge lives through while a real Prometheus scrapes it, for what is drawn from its metrics.

Two models are healthy; one drifts while a person has paused everything: degraded, held. Then it is asked for,
retrained, and well again, as is the version that the retraining made.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.support.bridge import METRIC, ROOT, Bridge, Json, Model, bridge, drift_rules
from tests.support.coordinator import process
from tests.support.processes import free_port, wait_until
from tests.support.servers import Exporter, Prometheus, exporter, http, prometheus

SICK, NEXT, WELL = ("shop", "ranking", "7"), ("shop", "ranking", "8"), ("shop", "search", "2")
TRAIN = """
import json, pathlib, sys, time
json.load(sys.stdin)
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.1)
print(json.dumps({"new_version": "8"}))
"""


@dataclass
class Story:
    """Where the servers are, and instants of the story (seconds): its begin, while it is held, its end."""

    source: Prometheus
    process: Bridge
    begin: float
    held: float
    end: float


def _say(page: Exporter, drift: dict[Model, float]) -> None:
    page.text = "".join(
        f'{METRIC}{{project="{project}",pipeline="{pipeline}",version="{version}"}} {value}\n'
        for (project, pipeline, version), value in drift.items()
    )


def _seen(source: Prometheus, expr: str, limit: float = 30) -> None:
    wait_until(lambda: source.query(expr), limit, expr)


def _post(process_: Bridge, path: str, body: object) -> None:
    status, text = http("POST", f"{process_.url}/api/v1/{path}", body)
    assert status < 300, text


def _state(word: str) -> str:
    return f'retrain_bridge_model_state{{state="{word}", pipeline="ranking", version="7"}}'


@contextlib.contextmanager
def bridge_story(calm: int = 3) -> Iterator[Story]:
    """Run it, with the shipped rules for Prometheus; the servers are still there afterwards.

    calm: for so many seconds all is well before, a request is held, and all is well again after (about).
    """
    listen = f"127.0.0.1:{free_port()}"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="story-")))
        page = stack.enter_context(exporter())
        _say(page, {SICK: 0.1, WELL: 0.1})
        source = stack.enter_context(prometheus(_config(page.target, listen), rules=shipped_rules()))
        trainer: Json = {
            "command": [sys.executable, "-c", TRAIN, str(folder / "end")],
            "bridge_url": f"http://{listen}",
        }
        coordinator = stack.enter_context(process(folder / "coordinator", **trainer))
        receivers = {"coordinator_configs": [{"url": coordinator.client.url}], "log_configs": [{}]}
        own = stack.enter_context(bridge(source.url, drift_rules(**{"for": "2s"}), receivers, listen=listen))
        own.start()
        yield _tell(page, source, own, calm, folder / "end")


def _tell(page: Exporter, source: Prometheus, own: Bridge, calm: int, end: Path) -> Story:
    """Tell the story; the file `end` ends the training, which was seen by then."""
    begin = time.time()
    _seen(source, f"count_over_time({_state('healthy')}[5m]) >= {calm}", 30 + calm)
    _post(own, "pause", {"duration": "1h", "by": "ada"})
    _say(page, {SICK: 0.9, WELL: 0.1})
    _seen(source, 'retrain_bridge_model_held{reason="paused"}')
    _seen(
        source,
        f'count_over_time(retrain_bridge_rule_active_timestamp_seconds{{state="firing"}}[5m]) >= {calm}',
        30 + calm,
    )
    held = time.time()
    _post(own, "pause", {"duration": "0s", "by": "ada"})
    _seen(source, _state("retraining"))
    _seen(source, 'ALERTS{alertname="ModelRetrainInProgress", alertstate="firing"}')
    end.touch()
    _say(page, {SICK: 0.1, NEXT: 0.1, WELL: 0.1})
    _seen(source, 'retrain_bridge_retrainings_total{verdict="recovered"} > 0')
    well = 'retrain_bridge_model_info{pipeline="ranking", version="8"}'
    _seen(source, f"count_over_time({well}[5m]) >= {calm} and on () {_state('replaced')}", 30 + calm)
    return Story(source, own, begin, held, time.time())


def _config(*targets: str) -> str:
    jobs = [
        {"job_name": name, "static_configs": [{"targets": [target]}]}
        for name, target in zip(("models", "retrain-bridge"), targets, strict=True)
    ]
    timing = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    return json.dumps({"global": timing, "rule_files": ["rules.yml"], "scrape_configs": jobs})


def shipped_rules() -> str:
    """Text of one rule file with all of rules/prometheus-*.yml."""
    files = sorted((ROOT / "rules").glob("prometheus-*.yml"))
    return json.dumps({"groups": [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]})
