"""Search in MLflow's registry, against recorded answers."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from bridge.net.session import NetError
from bridge.ports import Result
from bridge.sinks.base import SinkContext
from bridge.sinks.runs.calls import MlflowConfig
from bridge.sinks.runs.registry import RegistrySearch
from tests.support.orchestrators.bench import Bench
from tests.support.orchestrators.python import Prefect
from tests.support.receiver import Receiver, Reply

VARIABLES = {"ID": "a" * 32, "Pipeline": "ranking"}
TAGGED = {
    "model_versions": [
        {"name": "ranking", "version": "9", "tags": [{"key": "retrain_bridge.episode", "value": "a" * 32}]},
        {"name": "ranking", "version": "10", "tags": [{"key": "retrain_bridge.episode", "value": "a" * 32}]},
    ]
}


def search(receiver: Receiver, **more: str) -> str:
    config = MlflowConfig.model_validate({"url": receiver.url, **more})
    return RegistrySearch(config, 5000, SinkContext("ops", 0)).version(VARIABLES)


def test_the_newest_version_with_the_tag_is_found() -> None:
    """MLflow keeps several versions with one tag; the dotted name needs backticks."""
    with Receiver(Reply(200, json.dumps(TAGGED).encode())) as mlflow:
        assert search(mlflow) == "10"
        asked = urlsplit(mlflow.requests[0].path)
    assert asked.path == "/api/2.0/mlflow/model-versions/search"
    assert parse_qs(asked.query)["filter"] == [f"tags.`retrain_bridge.episode` = '{'a' * 32}'"]


def test_an_alias_names_the_version_of_a_model() -> None:
    """For pipelines that move an alias instead of setting a tag."""
    with Receiver(Reply(200, b'{"model_version": {"name": "ranking", "version": "12"}}')) as mlflow:
        assert search(mlflow, alias="champion") == "12"
        assert mlflow.requests[0].path == "/api/2.0/mlflow/registered-models/alias?name=ranking&alias=champion"


def test_no_version_is_no_error() -> None:
    """None with the tag, or no such model."""
    with Receiver(Reply(200, b"{}"), Reply(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}')) as mlflow:
        assert (search(mlflow), search(mlflow, alias="x")) == ("", "")


def test_a_registry_that_fails_is_tried_again() -> None:
    """The end of the run is reported once the version is known."""
    with Receiver(Reply(503), Reply(200, json.dumps(TAGGED).encode())) as mlflow, Prefect() as stub:
        with pytest.raises(NetError):
            search(mlflow)
        mlflow.plan = [Reply(503), Reply(200, json.dumps(TAGGED).encode())]
        bench = Bench(stub, mlflow={"url": mlflow.url})
        assert bench.send().result is Result.DELIVERED
        stub.runs[0].state = "succeeded"
        bench.follow()
        bench.follow()
        assert [(report.state.value, report.new_version) for report in bench.reports] == [
            ("running", ""), ("succeeded", "10"),
        ]  # fmt: skip


def test_a_registry_that_is_gone_does_not_hide_the_end_of_a_run() -> None:
    """After some tries the run succeeds without a version, and the message says why."""
    with Receiver(Reply(503)) as mlflow, Prefect() as stub:
        bench = Bench(stub, mlflow={"url": mlflow.url})
        bench.send()
        stub.runs[0].state = "succeeded"
        for _ in range(12):
            bench.follow()
        last = bench.reports[-1]
        assert (last.state.value, last.new_version) == ("succeeded", "")
        assert "MLflow: HTTP 503" in last.message
