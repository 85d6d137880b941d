"""Templates expand as a real Prometheus expands them: every template of the corpus with every value."""

from __future__ import annotations

import json
import re
import subprocess
import time

import yaml

from bridge.domain.times import Timestamp
from bridge.templates.alert import AlertTemplate
from bridge.templates.errors import TemplateError
from bridge.templates.prometheus import Context
from bridge.templates.values import AlertData, Sample
from tests.support.remote_write import remote_write
from tests.support.servers import Prometheus, http, prometheus, wait_until
from tests.templates.corpus import DOUBTFUL, EXTERNAL_LABELS, EXTERNAL_URL, TEMPLATES, VALUES

MODELS = [Sample({"__name__": "m", "a": name}, value) for name, value in (("x", 3.5), ("y", 1.0), ("z", 2.0))]
KNOWN = {
    "count(m)": [Sample({}, 3.0)],
    "m": MODELS,
    "sort(m)": sorted(MODELS, key=lambda sample: sample.Value),
    "m{a='x'}": MODELS[:1],
}


def rules(templates: list[str], expr: str) -> str:
    """Return a rule file with one alert for each template, named T0, T1 ..."""
    alerts = [
        {"alert": f"T{number}", "expr": expr, "annotations": {"t": text}} for number, text in enumerate(templates)
    ]
    text: str = yaml.safe_dump({"groups": [{"name": "g", "interval": "5s", "rules": alerts}]})
    return text


def alerts(server: Prometheus) -> list[dict[str, dict[str, str]]]:
    """Return the active alerts."""
    status, text = http("GET", f"{server.url}/api/v1/alerts", timeout=300)
    found: list[dict[str, dict[str, str]]] = json.loads(text)["data"]["alerts"] if status == 200 else []
    return found


def ours(text: str, name: str, number: int, at: Timestamp) -> str:
    value, labels = VALUES[number]
    series = {"__name__": "v", "case": str(number), **{key: word for key, word in labels.items() if word}}
    context = Context(at, EXTERNAL_URL, lambda expr, _: KNOWN.get(expr, []))
    return AlertTemplate(text, name).expand_or_tell(AlertData(series, EXTERNAL_LABELS, EXTERNAL_URL, value), context)


def test_every_template_expands_as_in_prometheus() -> None:
    templates = list(dict.fromkeys(TEMPLATES))
    assert len(templates) >= 300
    assert len(VALUES) >= 20
    config = {"global": {"evaluation_interval": "5s", "external_labels": EXTERNAL_LABELS}, "rule_files": ["rules.yml"]}
    flags = ["--web.enable-remote-write-receiver", f"--web.external-url={EXTERNAL_URL}", "--web.route-prefix=/"]
    with prometheus(json.dumps(config), rules=rules(templates, "last_over_time(v[2h])"), flags=flags) as server:
        now = int(time.time() * 1000)
        series = [
            ({"__name__": "v", "case": str(number), **labels}, [(now, value)])
            for number, (value, labels) in enumerate(VALUES)
        ]
        later = [now + minute * 60_000 for minute in range(0, 9, 4)]  # m is fresh for as long as this test may take
        series += [(dict(sample.Labels), [(at, sample.Value) for at in later]) for sample in MODELS]
        remote_write(server.url, series)
        wait_until(lambda: len(alerts(server)) == len(templates) * len(VALUES), 100, "all alerts are active")
        expanded = {
            (alert["labels"]["alertname"], int(alert["labels"]["case"])): alert["annotations"].get("t", "")
            for alert in alerts(server)
        }
    wrong = {
        (template, number): (theirs, mine)
        for index, template in enumerate(templates)
        for number in range(len(VALUES))
        if (theirs := expanded[f"T{index}", number]) != (mine := ours(template, f"T{index}", number, now))
    }
    assert wrong == {}


def refused_by_promtool(templates: list[str]) -> set[int]:
    """Return the numbers of the templates that promtool refuses, each checked by itself."""
    refused = set()
    for number, template in enumerate(templates):
        done = subprocess.run(
            ["promtool", "check", "rules", "/dev/stdin"], input=rules([template], "v"), capture_output=True, text=True,
            check=False, timeout=300,
        )  # fmt: skip
        if done.returncode:
            assert re.search("template: __alert_T0:", done.stdout + done.stderr), done.stderr
            refused.add(number)
    return refused


def test_promtool_and_we_refuse_the_same_templates() -> None:
    mine = set()
    for number, template in enumerate(DOUBTFUL):
        try:
            AlertTemplate(template, "T0")
        except TemplateError:
            mine.add(number)
    assert len(mine) > 30
    assert {DOUBTFUL[number] for number in mine ^ refused_by_promtool(DOUBTFUL)} == set()
