"""Every expression of every rule pack by promtool: what it gives of series that its server shows."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.packs import llm_values
from tests.support.packs import FILES, SERIES, queries

AT = "35m"
M1 = '{model="m",version="1"}'
# group.signal -> column -> labels -> number, in the signal's unit; counts of 5 minutes (30 for MLServer's drift).
EXPECTED: dict[str, dict[str, dict[str, float]]] = {
    "triton.latency_mean": {
        "value": {M1: 1e5 / 3, '{model="old",version="2"}': 5000},
        "n": {M1: 450, '{model="old",version="2"}': 500},
    },
    "triton.errors": {"errors": {M1: 50}, "total": {M1: 500, '{model="old",version="2"}': 500}},
    "triton-summaries.latency_p95": {"value": {M1: 90000}, "n": {M1: 450, '{model="old",version="2"}': 500}},
    "triton-first-response.first_response_p95": {"value": {M1: 460}, "n": {M1: 500}},
    "torchserve.latency_mean": {
        "value": {'{model_name="m",model_version="1.0"}': 20000}, "n": {'{model_name="m",model_version="1.0"}': 500},
    },
    "torchserve-hosts.host_errors": {
        "errors": {'{Hostname="h"}': 50}, "total": {'{Hostname="h"}': 500, '{Hostname="quiet"}': 50},
    },
    "tfserving.latency_p95": {"value": {'{model_name="m"}': 95}, "n": {'{model_name="m"}': 500}},
    "tfserving.errors": {"errors": {'{model_name="m"}': 5}, "total": {'{model_name="m"}': 500}},
    "kserve.latency_p95": {"value": {'{model_name="m"}': 0.46}, "n": {'{model_name="m"}': 150}},
    "kserve.errors": {
        "errors": {'{model_name="m"}': 50, '{model_name="never"}': 10, '{model_name="slower"}': 0},
        "total": {'{model_name="m"}': 150, '{model_name="never"}': 10, '{model_name="slower"}': 10},
    },
    "knative.latency_p95": {
        "value": {'{namespace_name="n",service_name="s",revision_name="s-00002"}': 190},
        "n": {'{namespace_name="n",service_name="s",revision_name="s-00002"}': 500},
    },
    "knative.errors": {
        "errors": {'{namespace_name="n",service_name="s",revision_name="s-00002"}': 25},
        "total": {'{namespace_name="n",service_name="s",revision_name="s-00002"}': 500},
    },
    "seldon-v1.latency_p95": {
        "value": {
            '{deployment_name="d",model_name="m",model_version="v3"}': 0.19,
            '{deployment_name="d",model_name="bare",model_version="untagged"}': 0.095,
        },
        "n": {
            '{deployment_name="d",model_name="m",model_version="v3"}': 850,
            '{deployment_name="d",model_name="bare",model_version="untagged"}': 50,
        },
    },
    "seldon-v1.errors": {
        "errors": {'{deployment_name="d",model_name="m",model_version="v3"}': 100},
        "total": {
            '{deployment_name="d",model_name="m",model_version="v3"}': 500,
            '{deployment_name="d",model_name="bare",model_version="untagged"}': 50,
        },
    },
    "seldon-v1-predictors.predictor_errors": {
        "errors": {'{deployment_name="d",predictor_name="p"}': 50},
        "total": {'{deployment_name="d",predictor_name="p"}': 500},
    },
    "seldon-v1-drift.drift_distance": {"value": {'{deployment_name="d",model_name="m"}': 0.05}},
    "seldon-v2-models.latency_mean": {"value": {'{model="m"}': 0.05}, "n": {'{model="m"}': 500}},
    "seldon-v2-models.errors": {"errors": {'{model="m"}': 25}, "total": {'{model="m"}': 500}},
    "seldon-v2-pipelines.pipeline_latency_p95": {"value": {'{pipeline="p"}': 0.19}, "n": {'{pipeline="p"}': 500}},
    "seldon-v2-pipelines.pipeline_errors": {"errors": {'{pipeline="p"}': 10}, "total": {'{pipeline="p"}': 500}},
    "mlserver.latency_mean": {"value": {'{model="m"}': 0.05}, "n": {'{model="m"}': 500}},
    "mlserver.errors": {"errors": {'{model="m"}': 10}, "total": {'{model="m"}': 500}},
    "mlserver-servers.server_latency_p95": {
        "value": {'{app_name="mlserver"}': 0.19}, "n": {'{app_name="mlserver"}': 500},
    },
    "mlserver-drift.drift": {
        "value": {'{model_name="m",model_version="1"}': 0.25}, "n": {'{model_name="m",model_version="1"}': 240},
    },
    "bentoml.latency_p95": {
        "value": {'{service_name="s",service_version="1"}': 0.19}, "n": {'{service_name="s",service_version="1"}': 500},
    },
    "bentoml.errors": {
        "errors": {'{service_name="s",service_version="1"}': 25},
        "total": {'{service_name="s",service_version="1"}': 500, '{service_name="well",service_version="1"}': 50},
    },
    "ray-serve.latency_p95": {
        "value": {'{application="a",deployment="d"}': 190}, "n": {'{application="a",deployment="d"}': 500},
    },
    "ray-serve.errors": {
        "errors": {'{application="a",deployment="d"}': 125}, "total": {'{application="a",deployment="d"}': 500},
    },
    "evidently.drift": {"value": {'{dataset_name="d"}': 0.4}},
    **llm_values.EXPECTED,
}  # fmt: skip


def recorded(name: str, column: str) -> str:
    return "pack:" + re.sub(r"\W", "_", f"{name}_{column}")


@pytest.mark.parametrize("pack", FILES)
def test_every_expression_gives_its_number(pack: str, tmp_path: Path) -> None:
    """In the signal's unit, one for each model; the expressions are those of the pack's file."""
    exprs = {(name, column): expr for name, query in queries(pack) for column, expr in query.exprs.items()}
    rules = [{"record": recorded(*key), "expr": expr} for key, expr in exprs.items()]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "pack", "rules": rules}]}))
    asked = []
    for name, column in exprs:
        for labels, number in EXPECTED[name][column].items():
            close = f"abs({recorded(name, column)}{labels} - {number!r}) <= bool {1e-9 * max(1, number)!r}"
            asked.append({"expr": close, "eval_time": AT, "exp_samples": [{"labels": labels, "value": 1}]})
        count = [{"labels": "{}", "value": len(EXPECTED[name][column])}]
        asked.append({"expr": f"count({recorded(name, column)})", "eval_time": AT, "exp_samples": count})
    assert len(asked) >= 2
    series = [{"series": text, "values": values} for text, values in SERIES[pack]]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": asked}
    file = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "test.yml").write_text(json.dumps(file))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_signal_of_every_pack_has_its_numbers() -> None:
    """A signal or column that is new needs its series and its numbers here."""
    there = {name: set(query.exprs) for pack in FILES for name, query in queries(pack)}
    assert there == {name: set(columns) for name, columns in EXPECTED.items()}
    assert set(SERIES) == set(FILES)
