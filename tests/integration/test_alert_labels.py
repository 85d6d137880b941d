"""Labels of an `expr` rule's alert: live and `test rules` agree, and no restart changes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.integration.test_people import MODEL, script
from tests.integration.test_rule_tests import command
from tests.support.bridge import REMOTE_WRITE, bridge
from tests.support.processes import wait_until
from tests.support.servers import Alertmanager, alertmanager, prometheus

EXPR = 'label_replace(label_replace(model_drift_score, "feature", "age", "", ""), "instance", "h1:80", "", "") > '
RULES = {
    "groups": [{"name": "serving", "interval": "1s", "query_offset": "0s", "rules": [
        {"alert": "DriftTold", "expr": f"{EXPR} 0.6", "labels": {"severity": "page", "at": "{{ $labels.feature }}"}},
        {"alert": "DriftTold", "expr": f"{EXPR} 0.3", "labels": {"severity": "ticket"}},
    ]}]
}  # fmt: skip


def labels(target: Alertmanager) -> list[dict[str, str]]:
    return sorted((alert["labels"] for alert in target.alerts()), key=lambda item: item["severity"])


def test_live_and_unit_test_have_the_same_labels(tmp_path: Path) -> None:
    model = dict(zip(("project", "pipeline", "version"), MODEL, strict=True))
    series = {"feature": "age", "instance": "h1:80", **model}
    expected = [{"severity": "page", "at": "age", **series}, {"severity": "ticket", **series}]
    live = [{"alertname": "DriftTold", **item} for item in expected]
    with prometheus(flags=[REMOTE_WRITE]) as source, alertmanager() as target:
        script(source)
        with bridge(source.url, RULES, {"alertmanager_configs": [{"url": target.url}]}) as process:
            process.start()
            wait_until(lambda: len(target.alerts()) == 2, 30, "both alerts")
            assert labels(target) == live
            process.kill()
            process.start()
            process.wait_slot(process.stored_slot() + 3_000, 60)
            assert labels(target) == live
    text = ",".join(f'{name}="{value}"' for name, value in model.items())
    test: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": f"model_drift_score{{{text}}}", "values": "0.9x5"}],
        "alert_rule_test": [
            {"eval_time": "2m", "alertname": "DriftTold", "exp_alerts": [{"exp_labels": item} for item in expected]}
        ],
    }
    (tmp_path / "rules.yml").write_text(json.dumps(RULES))
    (tmp_path / "test.yml").write_text(json.dumps({"rule_files": ["rules.yml"], "tests": [test]}))
    (out, err), code = command(tmp_path, "test.yml")
    assert code == 0, out + err
