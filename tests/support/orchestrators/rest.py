"""Airflow 2, Argo Workflows, Kubernetes, Databricks and GitHub, as their documentation describes them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from tests.support.orchestrators.python import Airflow3
from tests.support.orchestrators.stub import NOT_FOUND, Answer, Call, Stub, StubRun

EPISODE = "retrain-bridge.io/episode"
CRONJOB = {
    "metadata": {"name": "train", "uid": "u-1"},
    "spec": {
        "suspend": True,
        "jobTemplate": {
            "metadata": {"labels": {"team": "ml"}},
            "spec": {
                "backoffLimit": 0,
                "template": {
                    "spec": {
                        "containers": [{"name": "train", "env": [{"name": "A", "value": "1"}]}, {"name": "sidecar"}],
                        "restartPolicy": "Never",
                    }
                },
            },
        },
    },
}


class Airflow2(Airflow3):
    """Airflow 2: API v1 without a login; a conflict names the run."""

    preset = "airflow2"
    entry: Mapping[str, Any] = {}
    api = "/api/v1"

    def is_login(self, call: Call) -> bool:
        return False

    def authorized(self, call: Call) -> bool:
        return Stub.authorized(self, call)

    def conflict(self) -> Answer:
        return 409, {"title": "Conflict", "status": 409, "detail": "DAGRun with logical date .. already exists"}

    def result(self, version: str) -> Any:
        return {"key": "model_version", "value": version}

    result_key = "model_version"

    def allowed(self, body: Any) -> bool:
        return set(body) <= {"dag_run_id", "logical_date", "conf", "note", "data_interval_start", "data_interval_end"}


class Kubernetes(Stub):
    """Kubernetes: the name is unique in the namespace."""

    preset = "kubernetes_job"
    target: Mapping[str, Any] = {"namespace": "ml", "cronjob": "train"}
    words: Mapping[str, str] = {
        "queued": "Pending", "running": "Active", "succeeded": "Complete", "failed": "Failed",
        "cancelled": "Cancelled", "odd": "Odd",
    }  # fmt: skip
    has_unknown_words = False
    has_link = False
    jobs = "/apis/batch/v1/namespaces/ml/jobs"

    def is_start(self, call: Call) -> bool:
        return call.method == "POST" and call.path == self.jobs

    def conflict(self) -> Answer:
        reason = {"kind": "Status", "status": "Failure", "reason": "Conflict", "code": 409}
        return 409, {**reason, "message": "Operation cannot be fulfilled on resourcequotas"}

    def view(self, run: StubRun) -> dict[str, Any]:
        job: dict[str, Any] = copy.deepcopy(run.body)
        if run.version:
            job["metadata"]["annotations"]["retrain-bridge.io/model-version"] = run.version
        job["status"] = {"active": 1} if run.state == "running" else {}
        if run.state in {"succeeded", "failed"}:
            job["status"]["conditions"] = [{"type": self.words[run.state], "status": "True", "message": "m"}]
        if run.state == "cancelled":
            job["spec"]["suspend"] = True
            job["metadata"]["annotations"]["retrain-bridge.io/cancelled"] = "true"
        return job

    def handle(self, call: Call) -> Answer:
        missing = 404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
        if call.fits("GET", "/apis/batch/v1/namespaces/ml/cronjobs/train"):
            return missing if self.gone else (200, CRONJOB)
        if self.is_start(call):
            name = call.body["metadata"]["name"]
            if self.by(id=name):
                return 409, {"kind": "Status", "reason": "AlreadyExists", "code": 409, "details": {"name": name}}
            return 201, self.view(self.make(name, call.body, name))
        if call.fits("GET", self.jobs):
            return 200, {"kind": "JobList", "items": [self.view(run) for run in self.runs]}
        found = call.fits(call.method, f"{self.jobs}/([^/]+)")
        runs = self.by(id=found[1]) if found else []
        if not runs:
            return missing
        if call.method == "PATCH":
            if call.headers["content-type"] != "application/merge-patch+json" or not call.body["spec"]["suspend"]:
                return 415, None
            runs[0].state = "cancelled"
        return 200, self.view(runs[0])


class Argo(Stub):
    """Argo Workflows: a repeat answers 409 with gRPC's code 6."""

    preset = "argo_workflows"
    target: Mapping[str, Any] = {"namespace": "ml", "template": "train"}
    words: Mapping[str, str] = {
        "queued": "Pending", "running": "Running", "succeeded": "Succeeded", "failed": "Failed",
        "cancelled": "Failed!", "odd": "Odd",
    }  # fmt: skip

    def is_start(self, call: Call) -> bool:
        return call.path == "/api/v1/workflows/ml/submit"

    def conflict(self) -> Answer:
        return 409, {"code": 10, "message": "Operation cannot be fulfilled on resourcequotas"}

    def view(self, run: StubRun) -> dict[str, Any]:
        outputs = {"parameters": [{"name": "model_version", "value": run.version}]} if run.version else {}
        spec = {"shutdown": "Stop"} if run.state == "cancelled" else {}
        phase = "Failed" if run.state == "cancelled" else self.words[run.state]
        return {
            "metadata": {"name": run.id, "namespace": "ml", "labels": {EPISODE: run.key}},
            "spec": spec, "status": {} if phase == "Pending" else {"phase": phase, "outputs": outputs},
        }  # fmt: skip

    def handle(self, call: Call) -> Answer:
        missing = 404, {"code": 5, "message": "not found"}
        if call.fits("GET", "/api/v1/workflow-templates/ml/train"):
            return missing if self.gone else (200, {"metadata": {"name": "train"}})
        if self.is_start(call):
            options = call.body["submitOptions"]
            if self.by(id=options["name"]):
                return 409, {"code": 6, "message": f'workflows.argoproj.io "{options["name"]}" already exists'}
            key = options["labels"].removeprefix(f"{EPISODE}=")
            return 200, self.view(self.make(key, options["parameters"], options["name"]))
        if call.fits("GET", "/api/v1/workflows/ml"):
            return 200, {"metadata": {}, "items": [self.view(run) for run in self.runs] or None}
        found = call.fits(call.method, "/api/v1/workflows/ml/([^/]+)(/stop)?")
        runs = self.by(id=found[1]) if found else []
        if not runs or found is None:
            return missing
        if found[2]:
            runs[0].state = "cancelled"
        return 200, self.view(runs[0])


class Databricks(Stub):
    """Databricks: a repeated token answers with the same run; there is no look-up by token."""

    preset = "databricks"
    target: Mapping[str, Any] = {"job_id": 7}
    words: Mapping[str, str] = {
        "queued": "QUEUED", "running": "RUNNING", "succeeded": "SUCCESS", "failed": "RUN_EXECUTION_ERROR",
        "cancelled": "USER_CANCELED", "odd": "ODD",
    }  # fmt: skip

    looks_up = False

    def is_start(self, call: Call) -> bool:
        return call.path == "/api/2.2/jobs/run-now"

    def view(self, run: StubRun) -> dict[str, Any]:
        word = self.words[run.state]
        over = run.state in {"succeeded", "failed", "cancelled"}
        details = {"termination_details": {"code": word, "message": ""}} if over else {}
        return {
            "run_id": int(run.id), "run_page_url": f"{self.url}/#job/7/run/{run.id}", "tasks": [{"run_id": 99}],
            "status": {"state": "TERMINATED" if over else word, **details},
        }  # fmt: skip

    def handle(self, call: Call) -> Answer:
        if call.fits("GET", "/api/2.2/jobs/get"):
            known = call.query["job_id"] == ["7"] and not self.gone
            return (200, {"job_id": 7}) if known else (400, {"error_code": "INVALID_PARAMETER_VALUE"})
        if self.is_start(call):
            body = call.body
            if body["job_id"] != 7 or len(body["idempotency_token"]) > 64 or self.gone:
                return 400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "Job does not exist"}
            runs = self.by(key=body["idempotency_token"])
            run = runs[0] if runs else self.make(body["idempotency_token"], body["job_parameters"],
                                                 str(455 + len(self.runs)))  # fmt: skip
            return 200, {"run_id": int(run.id), "number_in_job": int(run.id)}
        if call.fits("GET", "/api/2.2/jobs/runs/list"):
            return 200, {"runs": [self.view(run) for run in self.runs]} if self.runs else {}
        if call.fits("GET", "/api/2.2/jobs/runs/get-output"):
            version = self.runs[-1].version
            return (200, {"notebook_output": {"result": version}}) if call.query["run_id"] == ["99"] else NOT_FOUND
        id_ = call.query["run_id"][0] if call.method == "GET" else str(call.body["run_id"])
        runs = self.by(id=id_)
        if not runs:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}
        if call.fits("POST", "/api/2.2/jobs/runs/cancel") and isinstance(call.body["run_id"], int):
            runs[0].state = "cancelled"
            return 200, {}
        return 200, self.view(runs[0])


class GitHub(Stub):
    """GitHub Actions: no key; a run is found by the name that its workflow gives it."""

    preset = "github"
    target: Mapping[str, Any] = {"owner": "acme", "repo": "models", "workflow": "train.yml"}
    words: Mapping[str, str] = {
        "queued": "queued", "running": "in_progress", "succeeded": "success", "failed": "timed_out",
        "cancelled": "cancelled", "odd": "odd",
    }  # fmt: skip
    exact = False
    versions = False
    workflow = "/repos/acme/models/actions/workflows/train.yml"

    def is_start(self, call: Call) -> bool:
        return call.path.endswith("/dispatches")

    def conflict(self) -> Answer:
        return 422, {"message": "Unexpected inputs provided"}

    def view(self, run: StubRun) -> dict[str, Any]:
        word, over = self.words[run.state], run.state in {"succeeded", "failed", "cancelled"}
        return {
            "id": int(run.id), "display_title": f"retrain {run.key}", "html_url": f"https://github.example/{run.id}",
            "status": "completed" if over else word, "conclusion": word if over else None,
        }  # fmt: skip

    def handle(self, call: Call) -> Answer:
        missing = 404, {"message": "Not Found"}
        if call.fits("GET", self.workflow):
            return missing if self.gone else (200, {"state": "disabled_manually" if self.paused else "active"})
        if self.is_start(call):
            inputs = call.body["inputs"]
            if self.gone or call.body["ref"] != "main" or not all(isinstance(item, str) for item in inputs.values()):
                return missing
            run = self.make(inputs["episode"], inputs, str(9000 + len(self.runs)))
            return 200, {"workflow_run_id": int(run.id), "html_url": f"https://github.example/{run.id}"}
        if call.fits("GET", f"{self.workflow}/runs"):
            return 200, {"total_count": len(self.runs), "workflow_runs": [self.view(run) for run in self.runs]}
        found = call.fits(call.method, "/repos/acme/models/actions/runs/([^/]+)(/cancel)?")
        runs = self.by(id=found[1]) if found else []
        if not runs or found is None:
            return missing
        if found[2]:
            runs[0].state = "cancelled"
            return 202, {}
        return 200, self.view(runs[0])
