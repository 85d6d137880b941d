"""Templates and routes give what the real tools give for the same text."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bridge.domain.matchers import Matcher
from bridge.domain.route import Route
from bridge.templates.alert import AlertTemplate
from bridge.templates.prometheus import Context
from bridge.templates.values import AlertData

TEMPLATES = {
    "value": "{{ $value }}",
    "humanize": "{{ $value | humanize }}",
    "percentage": "{{ $value | humanizePercentage }}",
    "duration": "{{ $value | humanizeDuration }}",
    "fixed": '{{ $value | printf "%.2f" }}',
    "general": '{{ printf "%g" $value }}',
    "general3": '{{ printf "%.3g" $value }}',
    "scientific": '{{ printf "%e" $value }}',
    "trimmed": "a {{- $value -}} b {{ $labels.nowhere }}|{{ $labels.i }} z",
}
EDGES = [
    0.1, 1e6, 999999, 999999.5, 1e15, 1e16, 123456789.123, 0.0001, 0.00012345, 1e-300, 5e-324, 1e5, 59, 60, 3600,
    86400, -0.5, 999.96, 0.99996, 100.0, math.inf, math.nan,
]  # fmt: skip


def expanded(text: str, i: int, value: float) -> str:
    context = Context(0, "", lambda expr, at: [])
    return AlertTemplate(text, "A").expand(AlertData({"i": str(i)}, {}, "", float(value)), context)


def tool(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is not installed: it comes with the packages of Prometheus and Alertmanager"
    return found


def written(value: float) -> str:
    return {math.inf: "Inf"}.get(value, "NaN" if math.isnan(value) else repr(float(value)))


def test_templates_render_as_prometheus_renders_them(tmp_path: Path) -> None:
    """promtool is given our rendering of 300 values in 9 templates as what it must find."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    values = EDGES + [math.ldexp(rng.random() + 0.01, rng.randrange(-60, 60)) * rng.choice([1, -1]) for _ in range(280)]
    rule = {"alert": "A", "expr": "x != 0 or x != x", "annotations": TEMPLATES}
    expected: list[dict[str, Any]] = []
    for i, value in enumerate(values):
        texts = {name: expanded(text, i, value) for name, text in TEMPLATES.items()}
        expected.append({"exp_labels": {"i": str(i)}, "exp_annotations": texts})
    test = {
        "interval": "1m",
        "input_series": [{"series": f'x{{i="{i}"}}', "values": written(value)} for i, value in enumerate(values)],
        "alert_rule_test": [{"eval_time": "0m", "alertname": "A", "exp_alerts": expected}],
    }
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": [rule]}]}))
    (tmp_path / "test.yml").write_text(
        json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]})
    )
    run = subprocess.run(
        [tool("promtool"), "test", "rules", "test.yml"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


NAMES, VALUES = ["team", "severity", "env"], ["ml", "page", "dev", ""]


def some_matchers(rng: random.Random) -> list[str]:
    chosen: list[str] = []
    for _ in range(rng.randrange(1, 3)):
        name, op = rng.choice(NAMES), rng.choice(["=", "!=", "=~", "!~"])
        value = rng.choice([*VALUES, "ml|page", "p.*"])
        quoted = [f'{name}{op}"{value}"', f'{{{name} {op} "{value}"}}', f'{name}{op}"{value}",other=""']
        chosen.append(rng.choice([*quoted, f"{name}{op}{value}"] if value else quoted))
    return chosen


def some_tree(rng: random.Random, depth: int, count: list[int]) -> dict[str, Any]:
    """A route for alertmanager.yml; every route has a receiver of its own."""
    count[0] += 1
    routes = [some_tree(rng, depth - 1, count) for _ in range(rng.randrange(1, 4) if depth else 0)]
    node: dict[str, Any] = {"receiver": f"r{count[0]}_{rng.randrange(10**6)}", "routes": routes}
    return node | {"matchers": some_matchers(rng), "continue": rng.random() < 0.4}


def ours(node: dict[str, Any]) -> Route:
    matchers = tuple(found for text in node.get("matchers", ()) for found in Matcher.parse_list(text))
    return Route(node["receiver"], matchers, node.get("continue", False), tuple(map(ours, node["routes"])))


def receivers(node: dict[str, Any]) -> list[str]:
    return [node["receiver"], *(name for child in node["routes"] for name in receivers(child))]


@pytest.mark.parametrize("number", range(8))
def test_routes_lead_where_alertmanager_leads(tmp_path: Path, number: int) -> None:
    """amtool is asked for the receivers of label sets in trees of random matchers and `continue`."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    tree = some_tree(rng, 3, [0])
    del tree["matchers"], tree["continue"]
    config = tmp_path / "alertmanager.yml"
    config.write_text(json.dumps({"route": tree, "receivers": [{"name": name} for name in receivers(tree)]}))
    route = ours(tree)
    for _ in range(6):
        # amtool wants at least one label
        labels = {"id": "1"} | {name: value for name in [*NAMES, "other"] if (value := rng.choice(VALUES))}
        asked = [f"{name}={value}" for name, value in labels.items()]
        run = subprocess.run(
            [tool("amtool"), "config", "routes", "test", f"--config.file={config}", *asked],
            capture_output=True, text=True, timeout=300, check=True,
        )  # fmt: skip
        assert run.stdout.strip() == ",".join(route.receivers(labels)), (labels, tree)
