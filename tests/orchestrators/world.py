"""A Prometheus, the bridge, and one real orchestrator behind a proxy."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.orchestrators.front import Front
from tests.orchestrators.kinds import Airflow, orchestrator
from tests.orchestrators.servers import LIMIT_SECONDS, Orchestrator, ServerRun
from tests.support.bridge import (
    AHEAD,
    REMOTE_WRITE,
    Bridge,
    Json,
    Model,
    bridge,
    drift_rules,
    expected_id,
    steps,
    whole_second,
    write_script,
)
from tests.support.crash import LAUNCHER, launched
from tests.support.processes import wait_until
from tests.support.servers import Prometheus, prometheus

SECOND = 1000
LONG = 900  # seconds: a breach that outlasts every outage of a test, also on a busy machine
# A killed bridge's lease ends eight timeouts later. An answer that takes longer is one more that is lost.
DELIVERY = {"attempt_deadline": 2000, "lease": 4000, "backoff_base": 200, "backoff_max": 1000, "probe": 1000}
OFTEN = {"status": {"interval": "1s", "longest": "1s"}, "timeout": "3s", "start_deadline": "10s"}


@dataclass
class World:
    """A bridge whose receiver "team" starts runs in a real orchestrator. Every test uses a pipeline of its own."""

    orchestrator: Orchestrator
    front: Front
    source: Prometheus
    process: Bridge
    folder: Path

    def breach(self, *pipelines: str, lasts: int = 20) -> list[str]:
        """Let models drift at the same time, and return the ids of their requests."""
        begins = whole_second(AHEAD)
        ends = begins + lasts * SECOND
        points = steps(begins - 5 * SECOND, ends + 120 * SECOND, [(begins, ends)])
        models: list[Model] = [("shop", pipeline, "7") for pipeline in pipelines]
        write_script(self.source, dict.fromkeys(models, points))
        return [expected_id(model, "Drifted", begins) for model in models]

    def heal(self, pipeline: str, version: str) -> None:
        """Let the next version of a pipeline serve, without drift."""
        begins = whole_second(0)
        write_script(self.source, {("shop", pipeline, version): steps(begins, begins + 120 * SECOND, [])})

    def request(self, request_id: str) -> Json:
        """Return a request as the bridge's API shows it, {} while there is none."""
        known = request_id in {item["id"] for item in self.process.requests()}
        return self.process.request(request_id) if known else {}

    def wait_state(self, request_id: str, *states: str) -> Json:
        """Wait until the bridge shows a request in one of these states."""
        found: Json = {}

        def reached() -> bool:
            nonlocal found
            found = self.request(request_id)
            return found.get("state") in states

        try:
            wait_until(reached, LIMIT_SECONDS, f"{request_id} in {states}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{found}\n{self.process.program.log[-3000:]}") from None
        return found

    def command(self, *arguments: str) -> str:
        """Run retrain-bridge for this bridge, and return its output."""
        command = [sys.executable, "-m", "bridge.cli", *arguments, "--bridge.url", self.process.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def runs(self, request_id: str) -> list[ServerRun]:
        return self.orchestrator.runs(request_id)

    def wait_run(self, request_id: str) -> ServerRun:
        """Wait until the server has a run of the request."""
        wait_until(lambda: self.runs(request_id), LIMIT_SECONDS, f"a run of {request_id}\n{self.process.program.log}")
        (run,) = self.runs(request_id)
        return run

    def wait_training(self, request_id: str) -> None:
        """Wait until the pipeline trains for the request."""
        wait_until(lambda: self.orchestrator.training.runs()[request_id], LIMIT_SECONDS, f"training of {request_id}")

    def one_run(self, request_id: str) -> ServerRun:
        """Check that the server has one run of a request, which trained once."""
        (run,) = self.runs(request_id)
        assert self.orchestrator.training.runs()[request_id] == 1
        return run

    # ------------------------------------------------------------ credentials and crashes

    def demand(self, password: str) -> None:
        """Let the server, or the proxy before one without users, accept only this password or token."""
        if isinstance(self.orchestrator, Airflow):
            self.orchestrator.set_password(password)
        else:
            self.front.token = password

    def tell(self, password: str) -> None:
        """Write a password or token into the bridge's file."""
        self.orchestrator.password_file.write_text(password)

    def restart(self, step: str = "") -> None:
        """kill -9 of the bridge, and a start with one of the launcher's steps made deadly."""
        self.process.kill()
        assert self.process.program.env is not None
        self.folder = self.folder / "next"
        self.folder.mkdir()
        self.process.program.env.update(launched(self.folder, step, delivery=DELIVERY))
        self.process.launch()
        # An earlier request that is sent again may reach the step before the bridge is ready.
        wait_until(lambda: self.process.ready() or (step and not self.process.program.running), LIMIT_SECONDS)

    def wait_death(self, step: str) -> None:
        """Wait until the bridge died at a step."""
        assert self.process.wait_dead(LIMIT_SECONDS) == -signal.SIGKILL, self.process.program.log
        assert (self.folder / "died").read_text() == step


def pass_time(seconds: float) -> None:
    """Let time pass."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= until, seconds + 5, "the end of a pause")


@contextlib.contextmanager
def world(kind: type[Orchestrator], folder: Path) -> Iterator[World]:
    """Start everything."""
    with orchestrator(kind) as server, Front(server) as front:
        server.password_file.write_text("one")
        entry = server.entry(url=front.url, **OFTEN)
        if kind is not Airflow:
            front.token = "one"
            entry["http_config"] = {"authorization": {"credentials_file": str(server.password_file)}}
        with _bridged(server, front, entry, folder) as found:
            yield found


@contextlib.contextmanager
def _bridged(server: Orchestrator, front: Front, entry: Json, folder: Path) -> Iterator[World]:
    with (
        prometheus(flags=[REMOTE_WRITE]) as source,
        bridge(
            source.url, drift_rules(cooldown="1h"), {"run_configs": [entry]},
            command=LAUNCHER, env=launched(folder, delivery=DELIVERY), log_level="debug",
            listen=server.bridge_url.removeprefix("http://"),
        ) as process,
    ):  # fmt: skip
        process.start()
        yield World(server, front, source, process, folder)
