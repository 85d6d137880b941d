"""Real orchestrators for tests: their processes, and what only the server itself can say of its runs.

The pipelines and the receivers are those of the pages in docs/orchestrators.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
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
from tests.support.processes import Program, free_port, wait_until

PAGES = ROOT / "docs" / "orchestrators"
LIMIT_SECONDS = 300.0  # of a start, on a busy machine
TRAINING = Path(__file__).parent / "training"
Json = dict[str, Any]


def call(method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    """Return status and JSON of one request; status 0 when there was no answer."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **(headers or {})}
    try:
        try:
            answer = urllib.request.urlopen(urllib.request.Request(url, data, sent, method=method), timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, decoded(answer.read())
    except (OSError, http.client.HTTPException):
        return 0, None


def decoded(body: bytes) -> Any:
    """Return the JSON of an answer, None if it has another form."""
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
            self.process.kill()  # one that was just started is in no group of its own yet
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
    page: ClassVar[str] = ""  # of docs/orchestrators, default the name
    exact: ClassVar[bool]
    words: ClassVar[Mapping[str, str]]  # state in the bridge's words -> in the server's
    further_words: ClassVar[Mapping[str, str]] = {}  # a server's second word for a state -> in the bridge's
    folder: Path
    port: int = field(default_factory=free_port)
    programs: list[Group] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.beside = contextlib.ExitStack()  # what must live longer than the programs
        self.training = Training(self.folder / "training")
        self.password_file = self.folder / "password"  # the bridge's, not the server's
        self.bridge_url = f"http://127.0.0.1:{free_port()}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def server(self) -> Group:
        return self.programs[0]

    def entry(self, **changes: object) -> Json:
        """Return the entry of run_configs on the page, with this server's address."""
        config = yaml.safe_load(blocks(self._page(), "yaml")[0])
        return {**config["receivers"][0]["run_configs"][0], "url": self.url, **changes}

    @property
    def preset(self) -> str:
        return str(self.entry()["preset"])

    def pipeline(self) -> str:
        """Return the pipeline's code on the page."""
        return blocks(self._page(), "python")[0]

    def _page(self) -> Path:
        return PAGES / f"{self.page or self.name}.md"

    def environment(self, **settings: str) -> dict[str, str]:
        """Return variables for the programs: paths, no telemetry."""
        return {
            "PATH": f"{self._home()}/bin:{os.environ['PATH']}", "HOME": str(self.folder), "DO_NOT_TRACK": "1",
            "PYTHONPATH": f"{self.folder}:{TRAINING}", "TRAINING": str(self.training.folder),
            "PYTHONUNBUFFERED": "1", **settings,
        }  # fmt: skip

    def _home(self) -> str:
        return os.environ[f"ORCHESTRATOR_{self.name.upper()}"]

    def program(self, name: str, *command: str, env: Mapping[str, str], supervised: bool = False) -> Group:
        """Add a program of the orchestrator's environment. supervised: started again when it ends."""
        again = 'while :; do setpriv --pdeathsig KILL -- "$@"; echo "ended with status $?"; sleep 1; done'
        supervisor = ["sh", "-c", again, "sh"]
        called = [*(supervisor if supervised else ()), f"{self._home()}/bin/{command[0]}", *command[1:]]
        found = Group(called, self.folder, name, dict(env))
        self.programs.append(found)
        return found

    @abstractmethod
    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Return status and JSON of one request to the API; status 0 when there was no answer."""

    def api(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask until the server answers: one that is too busy cuts connections, or answers 5xx."""
        said: tuple[int, Any] = (0, None)

        def answered() -> bool:
            nonlocal said
            said = self.ask(method, path, body)
            return 0 < said[0] < 500

        wait_until(answered, LIMIT_SECONDS, lambda: f"an answer to {method} {path}; the last one: {said}")
        return said

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
        # backwards: the first of several states with one word wins, such as `failed` before `cancelled`
        words = {known: state for state, known in [*self.words.items()][::-1]}
        return {**words, **self.further_words}.get(word, word)

    def restart_worker(self) -> None:  # noqa: B027 - most have a scheduler that reconnects
        """Start the process anew that runs the pipeline, where it does not reconnect to a restarted server."""

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

    def logs(self) -> str:
        """Return the end of each program's log."""
        return "\n".join(f"---- {program.name} ----\n{program.log[-3000:]}" for program in self.programs)

    def stop(self) -> None:
        with self.beside:
            for program in reversed(self.programs):
                program.kill()
