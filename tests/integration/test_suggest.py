"""`rules suggest` on a real Prometheus: which packs fit, what falls back, and rules that its own check takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.config.load import load_rules
from bridge.domain.times import DAY, MINUTE
from tests.support.packs import FILES, ROOT, written
from tests.support.receiver import HANG, Receiver, Reply
from tests.support.remote_write import remote_write
from tests.support.servers import Prometheus, prometheus

ALL = [
    "triton", "torchserve", "tfserving", "kserve", "knative", "seldon-v1", "seldon-v2", "mlserver", "bentoml",
    "ray-serve", "vllm", "ray-vllm", "nim", "sglang", "tgi", "litellm", "evidently",
]  # fmt: skip


def now() -> int:
    """This second in ms. Not a constant: the file may be read long before its tests run."""
    return int(time.time()) * 1000


def last() -> int:
    """The time of the last sample of a server that several tests use: later than any of them ends."""
    return now() + 20 * MINUTE


def bridge(folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit code and both outputs of a command."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli", *words],
        cwd=folder, capture_output=True, text=True, timeout=550, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def full() -> Iterator[Prometheus]:
    """One that holds what all servers show."""
    with prometheus(flags=["--web.enable-remote-write-receiver"]) as server:
        for pack in FILES:
            remote_write(server.url, written(pack, last()))
        yield server


@pytest.fixture(scope="module")
def some() -> Iterator[Prometheus]:
    """One with a Triton that shows counters only, models of an own exporter, and things that are no models."""
    model = {"project": "shop", "pipeline": "ranking", "version": "7"}
    with prometheus(flags=["--web.enable-remote-write-receiver"]) as server:
        at = now()
        plain = [
            (labels, samples)
            for labels, samples in written("triton", last(), {"namespace": "shop"})
            if "summary" not in labels["__name__"] and "histogram" not in labels["__name__"]
        ]
        shares = [(at + minute * MINUTE, 0.2) for minute in range(-2, 20)]
        unlabelled = [({"__name__": "evidently:data_drift:share_drifted_features"}, shares)]
        own = [
            ({"__name__": name, **labels}, [(at - 30_000, 1.0)])
            for name, labels in [
                ("model_latency_seconds_bucket", {**model, "le": "+Inf"}), ("model_latency_seconds_sum", model),
                ("model_errors_total", model), ("model_requests_total", model), ("checkout_latency_ms", model),
                ("feature_psi", {"feature": "age"}), ("house_price_rmse", {}), ("model_age_days", model),
                ("http_request_duration_seconds_bucket", {"le": "+Inf"}), ("node_accuracy_percent", {}),
                ("predict_seconds_total", {}),
            ]
        ]  # fmt: skip
        remote_write(server.url, [*plain, *unlabelled, *own])
        yield server


def test_every_pack_is_found_and_its_rules_are_taken_by_the_check(full: Prometheus, tmp_path: Path) -> None:
    """`check config --ask-prometheus` on that very server: no error, and no doubt about a metric or a model."""
    code, out, _ = bridge(tmp_path, "rules", "suggest", "--prometheus", full.url, "--output", "rules.yml")
    assert code == 0, out
    assert [line.partition(":")[0] for line in out.splitlines() if line[0] != " "] == [
        *ALL, "rules of 17 packs", "receivers that start runs (run_configs)",
    ]  # fmt: skip
    assert "  NO  triton.latency_mean: latency_p95 is available and more informative" in out
    assert out.count("  yes ") == 78
    assert out.count("  NO  ") == 1
    (tmp_path / "bridge.yml").write_text(
        f"global: {{query_offset: 0s}}\nprometheus: {{url: '{full.url}'}}\nrule_files: [rules.yml]\n"
        "route: {receiver: log}\nreceivers: [{name: log, log_configs: [{}], alertmanager_configs: [{url: 'http://x'}]}]\n"
    )
    code, out, told = bridge(tmp_path, "check", "config", "--ask-prometheus", "--output=json", "bridge.yml")
    assert code == 0, told
    doubts = [item for item in json.loads(out)["problems"] if item["lint"] != "far-from-measured"]
    assert [(item["lint"], item["message"]) for item in doubts] == [
        ("no-series", 'no series matches {__name__="Requests4XX"} in the last 1d')  # no such answer was given so far
    ]


def test_what_is_not_switched_on_falls_back_to_the_mean(some: Prometheus, tmp_path: Path) -> None:
    """Triton without summaries: its mean is kept, and it is said what to do for more."""
    code, rules, told = bridge(tmp_path, "rules", "suggest", "--prometheus.url", some.url)
    assert code == 0, told
    metrics = [f"nv_inference_request_{name}" for name in ("duration_us", "failure", "success")]
    assert told.startswith(f"triton: NVIDIA Triton, found by {', '.join(metrics)}\n")
    assert "  yes triton.latency_mean: 2 models: triton/m/1, triton/old/2\n" in told
    assert (
        "  NO  triton-summaries.latency_p95: no metric nv_inference_request_summary_us (for quantiles start Triton "
        "with --metrics-config summary_latencies=true; without them the mean latency is used)\n"
    ) in told
    (tmp_path / "rules.yml").write_text(rules)
    (group,) = load_rules([tmp_path / "rules.yml"])
    assert (group.name, [rule.name for rule in group.rules]) == ("triton", ["TritonSlow", "TritonFails"])
    assert rules.startswith("# Rules for triton, written by `retrain-bridge rules suggest` from the metrics of\n")


def test_series_without_a_models_label_are_reported(some: Prometheus, tmp_path: Path) -> None:
    """As JSON, with the state of every signal; a pack of which no signal can be used is not listed."""
    code, out, told = bridge(tmp_path, "rules", "suggest", "--prometheus", some.url, "--json")
    assert (code, told) == (0, "")
    found = json.loads(out)
    assert [(pack["name"], [signal["state"] for signal in pack["signals"]]) for pack in found["packs"]] == [
        ("triton", ["found", "found", "missing", "missing"])
    ]
    (note,) = found["notes"]
    assert note.startswith("nv_inference_request_duration_us has the label 'namespace': use --project namespace ")
    assert found["metrics"] == 15
    assert found["rules"].count("- name: ") == 1


def test_a_label_can_be_the_project(some: Prometheus, tmp_path: Path) -> None:
    """It is in the mapping and in every grouping of the rules; no note is given then."""
    code, rules, told = bridge(tmp_path, "rules", "suggest", "--prometheus", some.url, "--project", "namespace")
    assert code == 0, told
    assert "2 models: shop/m/1, shop/old/2" in told
    assert "models: {labels: {project: namespace, pipeline: model, version: version}}" in rules
    assert rules.count("by (namespace, model, version)") == 7
    assert "note:" not in told


def test_metrics_that_look_like_signals_are_named(some: Prometheus, tmp_path: Path) -> None:
    """Those with a model's labels first, each with an expression; nothing of what belongs to others."""
    _, out, _ = bridge(tmp_path, "rules", "suggest", "--prometheus", some.url, "--json")
    by = "project, pipeline, version"
    assert [(item["metric"], item["kind"], item["labelled"]) for item in json.loads(out)["candidates"]] == [
        ("checkout_latency_ms", "latency", True),
        ("model_errors_total", "errors", True),
        ("model_latency_seconds_bucket", "latency", True),
        ("evidently:data_drift:share_drifted_features", "drift", False),
        ("feature_psi", "drift", False),
        ("house_price_rmse", "quality", False),
    ]
    assert [item["expr"] for item in json.loads(out)["candidates"] if item["labelled"]] == [
        f"max by ({by}) (checkout_latency_ms)",
        f"sum by ({by}) (increase(model_errors_total[$window]))",
        f"histogram_quantile(0.95, sum by ({by}, le) (rate(model_latency_seconds_bucket[$window])))",
    ]


def test_nothing_found_is_not_success(tmp_path: Path) -> None:
    """An empty server: exit 1, nothing written."""
    with prometheus() as server:
        code, out, _ = bridge(tmp_path, "rules", "suggest", "--prometheus", server.url, "--output", "rules.yml")
    assert code == 1
    assert out == f"no rule pack fits: {server.url} has 0 metrics, none of a model server with a rule pack\n"
    assert not (tmp_path / "rules.yml").exists()


def test_a_server_that_is_away_is_reported(tmp_path: Path) -> None:
    """One line, no traceback."""
    code, out, told = bridge(tmp_path, "rules", "suggest", "--prometheus", "http://127.0.0.1:1")
    assert (code, out) == (1, "")
    assert told.startswith("retrain-bridge: http://127.0.0.1:1")
    assert told.count("\n") == 1


def test_the_server_and_its_labels_can_be_those_of_a_bridge(some: Prometheus, tmp_path: Path) -> None:
    """--config.file; both ways at once, or none, is wrong usage. A bad http_config says where."""
    (tmp_path / "bridge.yml").write_text(
        f"prometheus: {{url: '{some.url}'}}\n"
        "route: {receiver: log}\nreceivers: [{name: log, log_configs: [{}]}]\n"
        "models: {labels: {project: {const: x}, pipeline: feature, version: {const: y}}}\n"
    )
    code, out, _ = bridge(tmp_path, "rules", "suggest", "--config.file", "bridge.yml", "--json")
    assert code == 0
    assert next(item for item in json.loads(out)["candidates"] if item["labelled"]) == {
        "metric": "feature_psi", "kind": "drift", "expr": "max by (feature) (feature_psi)", "labelled": True,
    }  # fmt: skip
    assert bridge(tmp_path, "rules", "suggest")[0] == 2
    assert bridge(tmp_path, "rules", "suggest", "--config.file", "bridge.yml", "--prometheus", some.url)[0] == 2
    (tmp_path / "http.yml").write_text("basic_auth: {usernam: ada}\n")
    code, _, told = bridge(tmp_path, "rules", "suggest", "--prometheus", some.url, "--http.config.file", "http.yml")
    assert code == 1
    assert "http.yml:1:14: basic_auth.usernam: unknown key 'usernam'" in told


def test_metrics_of_former_times_are_left_out(tmp_path: Path) -> None:
    """--lookback: what a server showed two days ago is no reason for a rule."""
    with prometheus(flags=["--web.enable-remote-write-receiver"]) as server:
        remote_write(server.url, written("evidently", now() - 2 * DAY))
        assert bridge(tmp_path, "rules", "suggest", "--prometheus", server.url)[0] == 1
        code, rules, told = bridge(tmp_path, "rules", "suggest", "--prometheus", server.url, "--lookback", "3d")
    assert code == 0
    assert "  ?   evidently.drift: its metrics exist, but no model has a sample now (check that the server" in told
    assert "- retrain: EvidentlyDrift" in rules


def test_credentials_come_from_a_file_and_a_hanging_server_times_out(tmp_path: Path) -> None:
    """--http.config.file, whose own files are beside it; `query_timeout` of a bridge.yml is the limit."""
    folder = tmp_path / "access"
    folder.mkdir()
    (folder / "http.yml").write_text("basic_auth: {username: ada, password_file: ada.password}\n")
    (folder / "ada.password").write_text("swordfish\n")
    with Receiver(Reply(200, b'{"status":"success","data":[]}')) as server:
        words = ("rules", "suggest", "--prometheus", server.url, "--http.config.file", "access/http.yml")
        code, _, told = bridge(tmp_path, *words)
        assert {request.headers["authorization"] for request in server.requests} == {"Basic YWRhOnN3b3JkZmlzaA=="}
    assert code == 1
    assert "has 0 metrics" in told
    with Receiver(HANG) as server:
        (tmp_path / "bridge.yml").write_text(
            f"global: {{query_timeout: 1s}}\nprometheus: {{url: '{server.url}'}}\n"
            "route: {receiver: log}\nreceivers: [{name: log, log_configs: [{}]}]\n"
        )
        code, out, told = bridge(tmp_path, "rules", "suggest", "--config.file", "bridge.yml")
    assert (code, out) == (1, "")
    assert f"no full answer from {server.url} within 1 s" in told
