"""Airflow, Prefect and Dagster for tests."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from tests.orchestrators.servers import LIMIT_SECONDS, Group, Json, Orchestrator, ServerRun, call
from tests.support.postgres import postgres
from tests.support.processes import free_port, wait_until


class Airflow(Orchestrator):
    """Airflow 3: API server, scheduler and DAG processor on PostgreSQL: on SQLite, they block each other under load."""

    name = "airflow"
    exact = True
    words: ClassVar = {
        "queued": "queued", "running": "running", "succeeded": "success", "failed": "failed", "cancelled": "failed",
    }  # fmt: skip
    password = "one"
    _token = ""

    def entry(self, **changes: object) -> Json:
        login = {"username": "bridge", "password_file": str(self.password_file)}
        return super().entry(**{"login": login, **changes})

    def start(self) -> None:
        cluster = self.beside.enter_context(postgres())
        env = self._environment(cluster.database())
        (self.folder / "dags").mkdir()
        (self.folder / "dags" / "retrain.py").write_text(self.pipeline())
        self.set_password("one")
        migration = Group([f"{self._home()}/bin/airflow", "db", "migrate"], self.folder, "migrate", env)
        migration.start()
        assert migration.process is not None
        assert migration.process.wait(LIMIT_SECONDS) == 0, migration.log
        for name in ("api-server", "scheduler", "dag-processor"):
            self.program(name, "airflow", name, env=env, supervised=name != "api-server").start()
        self.wait_ready()

    def _environment(self, database: str) -> dict[str, str]:
        settings = {
            "CORE__DAGS_FOLDER": f"{self.folder}/dags", "CORE__LOAD_EXAMPLES": "False", "CORE__PARALLELISM": "6",
            "CORE__SIMPLE_AUTH_MANAGER_USERS": "bridge:admin",
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "API__HOST": "127.0.0.1", "API__PORT": str(self.port), "API__BASE_URL": self.url, "API__WORKERS": "1",
            "API_AUTH__JWT_SECRET": "0123456789abcdef" * 4, "API_AUTH__JWT_EXPIRATION_TIME": "60",
            "DATABASE__SQL_ALCHEMY_CONN": database.replace("postgresql:", "postgresql+psycopg2:"),
            "USAGE_DATA_COLLECTION__ENABLED": "False",
            "LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()), "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        }  # fmt: skip
        names = {f"AIRFLOW__{key}": value for key, value in settings.items()}
        return self.environment(AIRFLOW_HOME=str(self.folder), **names)

    def set_password(self, password: str) -> None:
        """Change the user's password on the server; the bridge's file keeps the old one."""
        self.password, self._token = password, ""
        file = self.folder / "simple_auth_manager_passwords.json.generated"
        file.write_text(json.dumps({"bridge": password}))

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        if not self._token:
            login = {"username": "bridge", "password": self.password}
            status, found = call("POST", f"{self.url}/auth/token", login)
            if status != 201:
                return 0, found
            self._token = found["access_token"]
        url, headers = f"{self.url}/api/v2/dags/retrain{path}", {"Authorization": f"Bearer {self._token}"}
        status, found = call(method, url, body, headers)
        if status in {401, 403}:  # tokens live for a minute: the next call takes a new one
            self._token, status = "", 0
        return status, found

    def ready(self) -> bool:
        return self.ask("GET", "")[0] == 200

    def starts(self, method: str, path: str, body: str) -> bool:
        return method == "POST" and path.endswith("/dagRuns")

    def all_runs(self) -> list[ServerRun]:
        found = self.api("GET", "/dagRuns?limit=1000&order_by=-run_after")[1]["dag_runs"]
        return [ServerRun(run["dag_run_id"], self._state(run["state"]), run["conf"]) for run in found]

    def set_state(self, run: ServerRun, state: str) -> None:
        assert self.api("PATCH", f"/dagRuns/{run.key}", {"state": self.words[state]})[0] == 200

    def delete(self, run: ServerRun) -> None:
        assert self.api("DELETE", f"/dagRuns/{run.key}")[0] in {204, 404}

    def pause(self, *, paused: bool) -> None:
        assert self.api("PATCH", "", {"is_paused": paused})[0] == 200


class Prefect(Orchestrator):
    """Prefect 3: server on PostgreSQL, and the process that serves the flow. On SQLite, it refuses calls under load."""

    name = "prefect"
    exact = True
    words: ClassVar = {
        "queued": "SCHEDULED", "running": "RUNNING", "succeeded": "COMPLETED", "failed": "FAILED",
        "cancelled": "CANCELLED",
    }  # fmt: skip
    further_words: ClassVar = {"CRASHED": "failed"}

    def start(self) -> None:
        database = self.beside.enter_context(postgres()).database()
        env = self.environment(
            PREFECT_HOME=f"{self.folder}/home", PREFECT_API_URL=f"{self.url}/api", PREFECT_SERVER_UI_ENABLED="false",
            PREFECT_SERVER_ANALYTICS_ENABLED="false", PREFECT_RUNNER_POLL_FREQUENCY="1",
            PREFECT_API_DATABASE_CONNECTION_URL=database.replace("postgresql:", "postgresql+asyncpg:"),
        )  # fmt: skip
        (self.folder / "retrain.py").write_text(self.pipeline())
        server = self.program(
            "server", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port), env=env
        )
        server.start()
        server.wait_ready(lambda: self.ask("GET", "health")[0] == 200, LIMIT_SECONDS)
        self.program("flow", "python", "retrain.py", env=env, supervised=True).start()
        self.wait_ready()

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        return call(method, f"{self.url}/api/{path}", body)

    def ready(self) -> bool:
        return self.ask("GET", "deployments/name/retrain/prod")[0] == 200

    def starts(self, method: str, path: str, body: str) -> bool:
        return path.endswith("/create_flow_run")

    def all_runs(self) -> list[ServerRun]:
        found = self.api("POST", "flow_runs/filter", {"limit": 200, "sort": "EXPECTED_START_TIME_DESC"})[1]
        return [ServerRun(run["id"], self._state(run["state_type"]), run["parameters"]) for run in found]

    def set_state(self, run: ServerRun, state: str) -> None:
        body = {"state": {"type": self.words[state]}, "force": True}
        assert self.api("POST", f"flow_runs/{run.key}/set_state", body)[0] == 201

    def delete(self, run: ServerRun) -> None:
        assert self.api("DELETE", f"flow_runs/{run.key}")[0] in {204, 404}

    def pause(self, *, paused: bool) -> None:
        """Stop the process that serves the flow, or let it continue; a paused deployment would still run."""
        self.programs[1].signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def restart_worker(self) -> None:
        """Start the process that serves the flow anew: it misses cancellations after a restart of the server."""
        self.programs[1].kill()
        self.programs[1].start()
        self.wait_ready()


class Dagster(Orchestrator):
    """Dagster: webserver, and the daemon that starts queued runs."""

    name = "dagster"
    exact = False
    words: ClassVar = {
        "queued": "QUEUED", "running": "STARTED", "succeeded": "SUCCESS", "failed": "FAILURE", "cancelled": "CANCELED",
    }  # fmt: skip

    def start(self) -> None:
        home = self.folder / "home"
        home.mkdir()
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\nrun_queue: {dequeue_interval_seconds: 1}\n")
        (self.folder / "pipeline.py").write_text(self.pipeline())
        env = self._environment()
        self.program(
            "webserver", "dagster-webserver", "-f", "pipeline.py", "-h", "127.0.0.1", "-p", str(self.port), env=env
        ).start()
        self.wait_ready()  # before the daemon: both create the tables of a fresh home
        self.program("daemon", "dagster-daemon", "run", "-f", "pipeline.py", env=env, supervised=True).start()

    def _environment(self) -> dict[str, str]:
        return self.environment(
            DAGSTER_HOME=f"{self.folder}/home", DAGSTER_DISABLE_TELEMETRY="yes", RETRAIN_BRIDGE_URL=self.bridge_url
        )

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Return status and data; an error of Python, such as that of a locked SQLite, is a 500."""
        status, found = call(method, f"{self.url}/{path}", body)
        data = (found or {}).get("data") or {}
        failed = not data or any(part.get("__typename") == "PythonError" for part in data.values())
        return (500, found) if failed and status == 200 else (status, data)

    def graphql(self, query: str, **variables: object) -> Any:
        return self.api("POST", "graphql", {"query": query, "variables": variables})[1]

    def ready(self) -> bool:
        query = "{ repositoriesOrError { __typename ... on RepositoryConnection { nodes { jobs { name } } } } }"
        status, found = self.ask("POST", "graphql", {"query": query})
        return status == 200 and bool(found["repositoriesOrError"].get("nodes"))

    def starts(self, method: str, path: str, body: str) -> bool:
        return "launchRun(" in body or "addDynamicPartition(" in body

    def all_runs(self) -> list[ServerRun]:
        query = "{ runsOrError { __typename ... on Runs { results { runId status tags { key value } } } } }"
        found = self.graphql(query)["runsOrError"]["results"]
        return [ServerRun(run["runId"], self._state(run["status"]), _parameters(run["tags"])) for run in found]

    def set_state(self, run: ServerRun, state: str) -> None:
        event = {"succeeded": "PIPELINE_SUCCESS", "failed": "PIPELINE_FAILURE"}[state]
        command = [f"{self._home()}/bin/python", "-c", REPORT, run.key, event]

        def reported() -> bool:  # not while SQLite is locked
            return subprocess.run(command, env=self._environment(), timeout=LIMIT_SECONDS, check=False).returncode == 0

        wait_until(reported, LIMIT_SECONDS, f"{event} for {run.key}")

    def delete(self, run: ServerRun) -> None:
        deleted = self.graphql("mutation($run: String!) { deletePipelineRun(runId: $run) { __typename } }", run=run.key)
        gone = {"DeletePipelineRunSuccess", "RunNotFoundError"}
        assert deleted["deletePipelineRun"]["__typename"] in gone, deleted

    def pause(self, *, paused: bool) -> None:
        """Kill the daemon, or start it again."""
        if paused:
            self.programs[1].kill()
        elif not self.programs[1].running:
            self.programs[1].start()


class DagsterPartition(Dagster):
    """Dagster whose sensor launches a run for each partition key."""

    page = "dagster-partitions"
    exact = True

    def pipeline(self) -> str:
        return super().pipeline().replace("minimum_interval_seconds=5", "minimum_interval_seconds=1")


def _parameters(tags: list[Json]) -> Json:
    """Return the parameters that the preset puts into a tag."""
    texts = [tag["value"] for tag in tags if tag["key"] == "retrain_bridge.parameters"]
    return dict(json.loads(texts[0])) if texts else {}


# Reports an event of a run, as the run itself would.
REPORT = """
import sys
from dagster import DagsterEvent, DagsterInstance
with DagsterInstance.get() as instance:
    run = instance.get_run_by_id(sys.argv[1])
    instance.report_dagster_event(DagsterEvent(event_type_value=sys.argv[2], job_name=run.job_name), run.run_id)
"""
KINDS: tuple[type[Orchestrator], ...] = (Airflow, Prefect, Dagster)


@contextlib.contextmanager
def orchestrator(kind: type[Orchestrator]) -> Iterator[Orchestrator]:
    """A running orchestrator; on a failure to start its logs are printed."""
    folder = Path(tempfile.mkdtemp(prefix=f"{kind.name}-"))
    found = kind(folder)
    try:
        found.start()
        yield found
    except BaseException:
        print(found.logs())
        raise
    finally:
        found.stop()
        shutil.rmtree(folder, ignore_errors=True)
