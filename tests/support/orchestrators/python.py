"""Airflow 3, Prefect 3 and Dagster, as recorded from the real servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.support.orchestrators.stub import NOT_FOUND, Answer, Call, Stub, StubRun


class Prefect(Stub):
    """Prefect 3: idempotency_key is unique for each flow, and a repeat answers 200 with the same run."""

    preset = "prefect"
    target: Mapping[str, Any] = {"flow": "train", "deployment": "prod"}
    words: Mapping[str, str] = {
        "queued": "SCHEDULED", "running": "RUNNING", "succeeded": "COMPLETED", "failed": "CRASHED",
        "cancelled": "CANCELLED", "odd": "SLEEPING",
    }  # fmt: skip

    def is_start(self, call: Call) -> bool:
        return call.path.endswith("/create_flow_run")

    def conflict(self) -> Answer:
        return 409, {"detail": "Error creating flow run: Validation failed for field 'x'."}

    def view(self, run: StubRun) -> dict[str, Any]:
        word = self.words[run.state]
        return {
            "id": run.id, "flow_id": "flow-1", "state_type": word, "state_name": word.title(),
            "idempotency_key": run.key, "labels": {}, "state": {"type": word, "message": None},
        }  # fmt: skip

    def handle(self, call: Call) -> Answer:
        if call.fits("GET", "/api/deployments/name/train/prod") and not self.gone:
            return 200, {"id": "dep-1", "flow_id": "flow-1", "paused": self.paused, "enforce_parameter_schema": True}
        if call.fits("POST", "/api/deployments/dep-1/create_flow_run"):
            known = self.by(key=call.body["idempotency_key"])
            run = known[0] if known else self.make(call.body["idempotency_key"], call.body["parameters"])
            return (200 if known else 201), self.view(run)
        if call.fits("POST", "/api/flow_runs/filter"):
            wanted = call.body["flow_runs"]
            field = next(iter(wanted))
            name = {"id": "id", "idempotency_key": "key"}[field]
            return 200, [self.view(run) for run in self.runs if getattr(run, name) in wanted[field]["any_"]]
        if call.fits("POST", "/api/artifacts/filter"):
            id_ = call.body["artifacts"]["flow_run_id"]["any_"][0]
            return 200, [{"key": "model-version", "data": run.version} for run in self.by(id=id_) if run.version]
        found = call.fits("GET", "/api/flow_runs/([^/]+)") or call.fits("POST", "/api/flow_runs/([^/]+)/set_state")
        runs = self.by(id=found[1]) if found else []
        if not runs:
            return 404, {"detail": "Flow run not found"}
        if call.method == "POST":
            if runs[0].state in {"queued", "running"}:
                runs[0].state = "cancelled"
            return 201, {"status": "ACCEPT"}
        return 200, self.view(runs[0])


class Airflow3(Stub):
    """Airflow 3: dag_run_id is unique for each DAG, and a repeat answers 409 without naming the run.

    A token that has expired, or that another secret signed, is refused with 403.
    """

    unauthorized: ClassVar = (403, {"detail": "Invalid JWT token"})

    preset = "airflow3"
    target: Mapping[str, Any] = {"dag_id": "retrain"}
    entry: Mapping[str, Any] = {"login": {"username": "bridge", "password": "pw"}}
    words: Mapping[str, str] = {
        "queued": "queued", "running": "running", "succeeded": "success", "failed": "failed",
        "cancelled": "failed", "odd": "up_for_lunch",
    }  # fmt: skip

    api = "/api/v2"
    result_key = "return_value"

    def result(self, version: str) -> Any:
        return {"value": {"model_version": version}}

    def allowed(self, body: Any) -> bool:
        extra = set(body) - {"dag_run_id", "logical_date", "conf", "note", "run_after", "partition_key"}
        return "logical_date" in body and not extra

    def is_start(self, call: Call) -> bool:
        return call.method == "POST" and call.path.endswith("/dagRuns")

    def is_login(self, call: Call) -> bool:
        return call.path == "/auth/token"

    def authorized(self, call: Call) -> bool:
        self.token = self.token or "jwt-0"
        return super().authorized(call)

    def conflict(self) -> Answer:
        detail = {"reason": "Unique constraint violation", "statement": "hidden", "orig_error": "hidden"}
        return 409, {"detail": detail}

    def view(self, run: StubRun) -> dict[str, Any]:
        return {"dag_run_id": run.id, "dag_id": "retrain", "state": self.words[run.state], "conf": run.body}

    def handle(self, call: Call) -> Answer:
        if self.is_login(call):
            if call.body != {"username": "bridge", "password": "pw"}:
                return 401, {"detail": "Invalid credentials"}
            self.tokens += 1
            self.token = f"jwt-{self.tokens}"
            return 201, {"access_token": self.token}
        if call.fits("GET", f"{self.api}/dags/retrain") and not self.gone:
            return 200, {"dag_id": "retrain", "is_paused": self.paused}
        if self.is_start(call):
            return self._start(call)
        if call.fits("GET", f"{self.api}/dags/retrain/dagRuns"):
            return 200, {"dag_runs": [self.view(run) for run in self.runs], "total_entries": len(self.runs)}
        found = call.fits(
            call.method,
            f"{self.api}/dags/retrain/dagRuns/([^/]+)(/taskInstances/retrain/xcomEntries/{self.result_key})?",
        )
        runs = self.by(id=found[1]) if found else []
        if not runs or found is None:
            return 404, {"detail": "The DagRun was not found"}
        if found[2]:
            version = runs[0].version
            return (200, self.result(version)) if version else NOT_FOUND
        if call.method == "PATCH":
            runs[0].state = "failed"
        return 200, self.view(runs[0])

    def _start(self, call: Call) -> Answer:
        if not self.allowed(call.body):
            return 422, {"detail": [{"type": "missing", "loc": ["body", "logical_date"], "msg": "Field required"}]}
        if self.gone:
            return 404, {"detail": "Dag with dag_id: 'retrain' not found"}
        name = call.body["dag_run_id"]
        if self.by(id=name):
            return self.conflict()
        return 200, self.view(self.make(name, call.body["conf"], name))


class Dagster(Stub):
    """Dagster: launchRun has no key, and everything is GraphQL."""

    preset = "dagster"
    target: Mapping[str, Any] = {"job": "train", "repository": "__repository__", "location": "jobs.py"}
    words: Mapping[str, str] = {
        "queued": "QUEUED", "running": "STARTED", "succeeded": "SUCCESS", "failed": "FAILURE",
        "cancelled": "CANCELED", "odd": "DREAMING",
    }  # fmt: skip
    exact = False

    def is_start(self, call: Call) -> bool:
        return call.body is not None and "launchRun(" in call.body["query"]

    def conflict(self) -> Answer:
        return 200, {"data": {"launchRun": {"__typename": "RunConflict"}}}

    def view(self, run: StubRun) -> dict[str, Any]:
        tags = [{"key": "retrain_bridge.episode", "value": run.key}]
        tags += [{"key": "model_version", "value": run.version}] if run.version else []
        return {"__typename": "Run", "runId": run.id, "status": self.words[run.state], "tags": tags}

    def handle(self, call: Call) -> Answer:
        query, variables = call.body["query"], call.body["variables"]
        if "pipelineOrError(" in query:
            name = {"__typename": "PipelineNotFoundError", "message": "Could not find job"} if self.gone else None
            return 200, {"data": {"pipelineOrError": name or {"__typename": "Pipeline", "name": "train"}}}
        if self.is_start(call):
            if self.gone:
                return 200, {"data": {"launchRun": {"__typename": "PipelineNotFoundError", "message": "no job"}}}
            tags = {tag["key"]: tag["value"] for tag in variables["params"]["executionMetadata"]["tags"]}
            run = self.make(tags["retrain_bridge.episode"], tags)
            return 200, {"data": {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": run.id}}}}
        if "runsOrError(" in query:
            if "runs" in variables:
                runs = [run for run in self.runs if run.id in variables["runs"]]
            else:
                key = next(tag["value"] for tag in variables["tags"] if tag["key"] == "retrain_bridge.episode")
                runs = self.by(key=key)
            return 200, {"data": {"runsOrError": {"__typename": "Runs", "results": [self.view(run) for run in runs]}}}
        if "terminateRun(" in query:
            for run in self.by(id=variables["run"]):
                run.state = "cancelled" if run.state in {"queued", "running"} else run.state
            return 200, {"data": {"terminateRun": {"__typename": "TerminateRunSuccess"}}}
        if "runOrError(" in query:
            runs = self.by(id=variables["run"])
            return 200, {"data": {"runOrError": self.view(runs[0]) if runs else {"__typename": "RunNotFoundError"}}}
        return 500, {"errors": [{"message": "Field is not defined by type"}]}


PARTITIONS = {
    "sensor": "retrain", "partitions": "requests", "repository": "__repository__", "location": "jobs.py",
}  # fmt: skip


@dataclass
class DagsterPartition(Dagster):
    """Dagster with a sensor: a partition key is accepted once, and becomes a run at once, or when `work` is called."""

    preset = "dagster_partition"
    target = PARTITIONS
    exact = True
    later = True

    waits: bool = False  # the sensor has not run
    keys: list[str] = field(default_factory=list)

    def is_start(self, call: Call) -> bool:
        return call.body is not None and "addDynamicPartition(" in call.body["query"]

    def conflict(self) -> Answer:
        return 200, {"data": {"addDynamicPartition": {"__typename": "UnauthorizedError", "message": "no definition"}}}

    def work(self) -> None:
        """Make a run of each key that has none."""
        for key in self.keys:
            if not self.by(key=key):
                self.make(key, {"key": key})

    def handle(self, call: Call) -> Answer:
        query, variables = call.body["query"], call.body["variables"]
        if "sensorOrError(" in query:
            status = {"status": "STOPPED" if self.paused else "RUNNING"}
            sensor = {"__typename": "Sensor", "name": "retrain", "sensorState": status}
            return 200, {"data": {"sensorOrError": {"__typename": "SensorNotFoundError"} if self.gone else sensor}}
        if self.is_start(call):
            key = variables["key"]
            known = "DuplicateDynamicPartitionError" if key in self.keys else "AddDynamicPartitionSuccess"
            self.keys += [] if key in self.keys else [key]
            if not self.waits:
                self.work()
            return 200, {"data": {"addDynamicPartition": {"__typename": known}}}
        tagged = [run for tag in variables.get("tags", ()) for run in reversed(self.by(key=tag["value"]))]
        runs = {"__typename": "Runs", "results": [self.view(run) for run in tagged]}
        if "runOrError(" in query:
            found = self.by(id=variables["run"])
            one = self.view(found[0]) if found else {"__typename": "RunNotFoundError"}
            return 200, {"data": {"runOrError": one, "runsOrError": runs}}
        if "tags" in variables:
            return 200, {"data": {"runsOrError": runs}}
        return super().handle(call)
