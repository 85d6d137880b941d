"""Real orchestrators for tests: their processes, and what only the server itself can say of its runs.

The pipelines and the receivers are those of the pages in docs/orchestrators.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml

from tests.support.pages import ROOT, blocks
from tests.support.processes import Program, free_port

PAGES = ROOT / "docs" / "orchestrators"
LIMIT_SECONDS = 300.0  # of a start, on a busy machine
TRAINING = Path(__file__).parent / "training"
Json = dict[str, Any]


def call(method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    """Return status and JSON of one request; status 0 when there was no answer."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **(headers or {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, sent, method=method), timeout=60) as answer:
            return answer.status, _decoded(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _decoded(error.read())
    except OSError:
        return 0, None


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


class Group(Program):
    """A program with all processes that it starts."""

    def __init__(self, command: list[str], folder: Path, name: str, env: dict[str, str]) -> None:
        super().__init__(["setsid", *command], folder, name, env)

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait(LIMIT_SECONDS)


@dataclass
class Training:
    """The folder through which training/training.py is watched and steered."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()

    def runs(self) -> Counter[str]:
        """How often the training of each request began."""
        file = self.folder / "runs"
        return Counter(file.read_text().split()) if file.exists() else Counter()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let no training end."""
        with self._flag("hold"):
            yield

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """Let every training fail."""
        with self._flag("fail"):
            yield

    @contextlib.contextmanager
    def _flag(self, name: str) -> Iterator[None]:
        (self.folder / name).touch()
        try:
            yield
        finally:
            (self.folder / name).unlink()


@dataclass(frozen=True)
class ServerRun:
    """A run as the server has it. key: the server's id; state: in the bridge's words; body: its parameters."""

    key: str
    state: str
    body: Json

    @property
    def episode(self) -> str:
        """The id of the request that started it."""
        return str(self.body.get("episode", ""))


@dataclass
class Orchestrator(ABC):
    """A running orchestrator. `server` answers the API; the other programs do the work."""

    name: ClassVar[str]
    exact: ClassVar[bool]
    words: ClassVar[Mapping[str, str]]  # state in the bridge's words -> in the server's
    folder: Path
    port: int = field(default_factory=free_port)
    programs: list[Group] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.training = Training(self.folder / "training")
        self.password_file = self.folder / "password"  # the bridge's, not the server's

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def server(self) -> Group:
        return self.programs[0]

    def entry(self, **changes: object) -> Json:
        """Return the entry of run_configs on the page, with this server's address."""
        config = yaml.safe_load(blocks(PAGES / f"{self.name}.md", "yaml")[0])
        return {**config["receivers"][0]["run_configs"][0], "url": self.url, **changes}

    def pipeline(self) -> str:
        """Return the pipeline's code on the page."""
        return blocks(PAGES / f"{self.name}.md", "python")[0]

    def environment(self, **settings: str) -> dict[str, str]:
        """Return variables for the programs: paths, no telemetry."""
        return {
            "PATH": f"{self._home()}/bin:{os.environ['PATH']}", "HOME": str(self.folder), "DO_NOT_TRACK": "1",
            "PYTHONPATH": f"{self.folder}:{TRAINING}", "TRAINING": str(self.training.folder),
            "PYTHONUNBUFFERED": "1", **settings,
        }  # fmt: skip

    def _home(self) -> str:
        return os.environ[f"ORCHESTRATOR_{self.name.upper()}"]

    def program(self, name: str, *command: str, env: Mapping[str, str]) -> Group:
        """Add a program of the orchestrator's environment."""
        found = Group([f"{self._home()}/bin/{command[0]}", *command[1:]], self.folder, name, dict(env))
        self.programs.append(found)
        return found

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it can run the pipeline."""

    @abstractmethod
    def ready(self) -> bool:
        """Return whether the server answers and has the pipeline."""

    @abstractmethod
    def starts(self, method: str, path: str, body: str) -> bool:
        """Return whether a call starts a run."""

    @abstractmethod
    def all_runs(self) -> list[ServerRun]:
        """Return all runs that the server has."""

    def runs(self, episode: str) -> list[ServerRun]:
        """Return the runs of a request."""
        return [run for run in self.all_runs() if run.episode == episode]

    def _state(self, word: str) -> str:
        return next((state for state, known in self.words.items() if known == word), word)

    @abstractmethod
    def set_state(self, run: ServerRun, state: str) -> None:
        """Let the server believe that a run is in this state."""

    @abstractmethod
    def delete(self, run: ServerRun) -> None:
        """Delete a run."""

    @abstractmethod
    def pause(self, *, paused: bool) -> None:
        """Let new runs wait, or no more."""

    def wait_ready(self) -> None:
        self.server.wait_ready(self.ready, LIMIT_SECONDS)

    def kill(self) -> None:
        """kill -9 of the server; the programs that do the work stay."""
        self.server.kill()

    def restart(self) -> None:
        """Start the killed server again, on the same port and data."""
        self.server.start()
        self.wait_ready()

    def stop(self) -> None:
        for program in reversed(self.programs):
            program.kill()


class Airflow(Orchestrator):
    """Airflow 3: API server, scheduler and DAG processor on SQLite."""

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
        env = self._environment()
        (self.folder / "dags").mkdir()
        (self.folder / "dags" / "retrain.py").write_text(self.pipeline())
        self.set_password("one")
        migration = Group([f"{self._home()}/bin/airflow", "db", "migrate"], self.folder, "migrate", env)
        migration.start()
        assert migration.process is not None
        assert migration.process.wait(LIMIT_SECONDS) == 0, migration.log
        for name in ("api-server", "scheduler", "dag-processor"):
            self.program(name, "airflow", name, env=env).start()
        self.wait_ready()

    def _environment(self) -> dict[str, str]:
        settings = {
            "CORE__DAGS_FOLDER": f"{self.folder}/dags", "CORE__LOAD_EXAMPLES": "False", "CORE__PARALLELISM": "6",
            "CORE__SIMPLE_AUTH_MANAGER_USERS": "bridge:admin",
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "API__HOST": "127.0.0.1", "API__PORT": str(self.port), "API__BASE_URL": self.url, "API__WORKERS": "1",
            "API_AUTH__JWT_SECRET": "0123456789abcdef" * 4, "API_AUTH__JWT_EXPIRATION_TIME": "60",
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

    def api(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        if not self._token:
            login = {"username": "bridge", "password": self.password}
            self._token = (call("POST", f"{self.url}/auth/token", login)[1] or {}).get("access_token", "")
        url, headers = f"{self.url}/api/v2/dags/retrain{path}", {"Authorization": f"Bearer {self._token}"}
        status, found = call(method, url, body, headers)
        if status in {401, 403} and self._token:  # tokens live for a minute
            self._token = ""
            return self.api(method, path, body)
        return status, found

    def ready(self) -> bool:
        return self.api("GET", "")[0] == 200

    def starts(self, method: str, path: str, body: str) -> bool:
        return method == "POST" and path.endswith("/dagRuns")

    def all_runs(self) -> list[ServerRun]:
        found = self.api("GET", "/dagRuns?limit=1000&order_by=-run_after")[1]["dag_runs"]
        return [ServerRun(run["dag_run_id"], self._state(run["state"]), run["conf"]) for run in found]

    def set_state(self, run: ServerRun, state: str) -> None:
        assert self.api("PATCH", f"/dagRuns/{run.key}", {"state": self.words[state]})[0] == 200

    def delete(self, run: ServerRun) -> None:
        assert self.api("DELETE", f"/dagRuns/{run.key}")[0] == 204

    def pause(self, *, paused: bool) -> None:
        assert self.api("PATCH", "", {"is_paused": paused})[0] == 200


class Prefect(Orchestrator):
    """Prefect 3: server on SQLite, and the process that serves the flow."""

    name = "prefect"
    exact = True
    words: ClassVar = {
        "queued": "SCHEDULED", "running": "RUNNING", "succeeded": "COMPLETED", "failed": "FAILED",
        "cancelled": "CANCELLED",
    }  # fmt: skip

    def start(self) -> None:
        env = self.environment(
            PREFECT_HOME=f"{self.folder}/home", PREFECT_API_URL=f"{self.url}/api", PREFECT_SERVER_UI_ENABLED="false",
            PREFECT_SERVER_ANALYTICS_ENABLED="false", PREFECT_RUNNER_POLL_FREQUENCY="1",
        )  # fmt: skip
        (self.folder / "retrain.py").write_text(self.pipeline())
        server = self.program(
            "server", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port), env=env
        )
        server.start()
        server.wait_ready(lambda: call("GET", f"{self.url}/api/health")[0] == 200, LIMIT_SECONDS)
        self.program("flow", "python", "retrain.py", env=env).start()
        self.wait_ready()

    def _deployment(self) -> tuple[int, Any]:
        return call("GET", f"{self.url}/api/deployments/name/retrain/prod")

    def ready(self) -> bool:
        return self._deployment()[0] == 200

    def starts(self, method: str, path: str, body: str) -> bool:
        return path.endswith("/create_flow_run")

    def all_runs(self) -> list[ServerRun]:
        found = call("POST", f"{self.url}/api/flow_runs/filter", {"limit": 200, "sort": "EXPECTED_START_TIME_DESC"})[1]
        return [ServerRun(run["id"], self._state(run["state_type"]), run["parameters"]) for run in found]

    def set_state(self, run: ServerRun, state: str) -> None:
        body = {"state": {"type": self.words[state]}, "force": True}
        assert call("POST", f"{self.url}/api/flow_runs/{run.key}/set_state", body)[0] == 201

    def delete(self, run: ServerRun) -> None:
        assert call("DELETE", f"{self.url}/api/flow_runs/{run.key}")[0] == 204

    def pause(self, *, paused: bool) -> None:
        """Stop the process that serves the flow, or let it continue; a paused deployment would still run."""
        self.programs[1].signal(signal.SIGSTOP if paused else signal.SIGCONT)


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
        self.program("daemon", "dagster-daemon", "run", "-f", "pipeline.py", env=env).start()

    def _environment(self) -> dict[str, str]:
        return self.environment(DAGSTER_HOME=f"{self.folder}/home", DAGSTER_DISABLE_TELEMETRY="yes")

    def graphql(self, query: str, **variables: object) -> Any:
        body = {"query": query, "variables": variables}
        return (call("POST", f"{self.url}/graphql", body)[1] or {}).get("data")

    def ready(self) -> bool:
        found = self.graphql("{ repositoriesOrError { ... on RepositoryConnection { nodes { jobs { name } } } } }")
        return bool(found and found["repositoriesOrError"].get("nodes"))

    def starts(self, method: str, path: str, body: str) -> bool:
        return "launchRun(" in body

    def all_runs(self) -> list[ServerRun]:
        query = "{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }"
        found = self.graphql(query)["runsOrError"]["results"]
        return [ServerRun(run["runId"], self._state(run["status"]), _parameters(run["tags"])) for run in found]

    def set_state(self, run: ServerRun, state: str) -> None:
        event = {"succeeded": "PIPELINE_SUCCESS", "failed": "PIPELINE_FAILURE"}[state]
        command = [f"{self._home()}/bin/python", "-c", REPORT, run.key, event]
        subprocess.run(command, check=True, env=self._environment(), timeout=LIMIT_SECONDS)

    def delete(self, run: ServerRun) -> None:
        deleted = self.graphql("mutation($run: String!) { deletePipelineRun(runId: $run) { __typename } }", run=run.key)
        assert deleted["deletePipelineRun"]["__typename"] == "DeletePipelineRunSuccess", deleted

    def pause(self, *, paused: bool) -> None:
        """Kill the daemon, or start it again."""
        if paused:
            self.programs[1].kill()
        elif not self.programs[1].running:
            self.programs[1].start()


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
        for program in found.programs:
            print(f"---- {program.name} ----\n{program.log[-3000:]}")
        raise
    finally:
        found.stop()
        shutil.rmtree(folder, ignore_errors=True)
