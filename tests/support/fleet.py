"""Fleet of real replicas on one PostgreSQL database, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.support.bridge import (
    AHEAD,
    ROOT,
    Json,
    drift_rules,
    expected_id,
    steps,
    whole_second,
    write_config,
    write_script,
)
from tests.support.processes import UNMEASURED, Program, free_port, wait_until
from tests.support.servers import Prometheus, http

LEASE = 5.0  # seconds; a busy machine renews in time


@dataclass
class Replica:
    """Replica of a fleet."""

    name: str
    url: str
    program: Program

    @property
    def is_owner(self) -> bool:
        """Whether it says that it is the owner."""
        return self.metric("retrain_bridge_fleet_owner") == 1

    def metric(self, start: str) -> float:
        """Return the first sample whose line begins with `start`; -1 without one."""
        found = re.search(
            rf"^{re.escape(start)}(?:{{.*}})? (\S+)$", http("GET", f"{self.url}/metrics")[1], re.MULTILINE
        )
        return float(found.group(1)) if found else -1.0

    def ready(self) -> bool:
        """Whether it answers that it is ready."""
        return http("GET", f"{self.url}/-/ready", timeout=2)[0] == 200

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.program.start()
        self.program.wait_ready(self.ready, 60)

    def send(self, number: int) -> None:
        """Send a signal to its process."""
        assert self.program.process is not None
        os.kill(self.program.process.pid, number)

    def kill(self) -> None:
        """kill -9, also while it is stopped."""
        self.program.kill()


@dataclass
class Fleet:
    """Replicas that share files and a database."""

    folder: Path
    database: str
    replicas: list[Replica]

    def owner(self) -> Replica:
        """Wait for the one owner that the database names, and that evaluates."""

        def found() -> list[Replica]:
            name = self.lease()[0]
            return [item for item in self.replicas if item.name == name and item.is_owner]

        return wait_until(found, 60, lambda: f"an owner\n{self.state()}")[0]

    def standbys(self) -> list[Replica]:
        """Return the replicas that are not the owner."""
        owner = self.owner()
        return [item for item in self.replicas if item is not owner]

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the fleet's database."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()

    def lease(self) -> tuple[str, int]:
        """Return owner and fence of the lease that is valid; ("", fence) without an owner."""
        query = (
            "SELECT CASE WHEN expires_at >= EXTRACT(EPOCH FROM clock_timestamp()) * 1000 THEN owner ELSE '' END, fence "
            "FROM leases"
        )
        found = self.rows(query)
        return (str(found[0][0]), int(found[0][1])) if found else ("", 0)

    def slot(self, group: str = "serving") -> int:
        """Return the last slot that was committed, in ms."""
        found = self.rows("SELECT slot FROM slots WHERE group_name = %s", group)
        return int(found[0][0]) if found else 0

    def wait_slot(self, slot: int, timeout: float = 60.0) -> None:
        """Wait until a slot was committed."""
        wait_until(lambda: self.slot() >= slot, timeout, lambda: f"slot {slot}\n{self.state()}")

    def state(self) -> str:
        """Return lease, slots, replicas, and the ends of their logs, for a failure."""
        tables = [f"{name}: {self.rows(f'SELECT * FROM {name}')}" for name in ("leases", "slots", "replicas")]
        return "\n".join([*tables, *(f"-- {item.name}\n{item.program.log[-3000:]}" for item in self.replicas)])


def replica(
    folder: Path, name: str, *, env: Mapping[str, str] | None = None, flags: Sequence[str] = (),
    config: str = "bridge.yml", lease: float = LEASE, host: str = "127.0.0.1",
    program: Sequence[str] = ("bridge.cli",),
) -> Replica:  # fmt: skip
    """Return a replica that is not started yet. env: added to the environment; program: module and its arguments."""
    listen = f"{host}:{free_port()}"
    arguments = [
        sys.executable, "-m", *program, "run", f"--config.file={folder / config}",
        f"--storage.url-file={folder / 'database'}", f"--web.listen-address={listen}", "--fleet",
        f"--fleet.lease={int(lease * 1000)}ms", f"--fleet.id={name}", *flags,
    ]  # fmt: skip
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    own = folder / name
    own.mkdir()
    return Replica(
        name, f"http://{listen}", Program(arguments, own, name, {**os.environ, "PYTHONPATH": path, **(env or {})})
    )


@contextlib.contextmanager
def fleet(
    prometheus_url: str, rules: Json, receivers: Mapping[str, Any], database: str, size: int = 2,
    lease: float = LEASE, measured: bool = False, **global_: str,
) -> Iterator[Fleet]:  # fmt: skip
    """Return a fleet whose replicas have started, the first one as the owner; they are killed at the end.

    measured: let coverage see them, if the test lets one end.
    """
    folder = Path(tempfile.mkdtemp(prefix="fleet-"))
    write_config(folder, prometheus_url, rules, receivers, **global_)
    (folder / "database").write_text(database)
    env = {} if measured else UNMEASURED
    names = [f"r{number}" for number in range(1, size + 1)]
    made = Fleet(folder, database, [replica(folder, name, lease=lease, env=env) for name in names])
    try:
        for item in made.replicas:
            item.start()
            made.owner()
        yield made
    finally:
        for item in made.replicas:
            with contextlib.suppress(OSError, AssertionError):
                item.send(signal.SIGCONT)
            item.kill()
        shutil.rmtree(folder, ignore_errors=True)


def breach(source: Prometheus, pipeline: str, lasts: int, samples: int) -> str:
    """Let a model drift soon for `lasts` ms, with values for `samples` ms; return its request's id."""
    model = ("shop", pipeline, "1")
    begins = whole_second(AHEAD)
    write_script(source, {model: steps(begins - 5000, begins + samples, [(begins, begins + lasts)])})
    return expected_id(model, "Drifted", begins)


def changed_rules(made: Fleet) -> str:
    """Write a configuration with one rule more than the fleet's, and return its name."""
    rules = json.loads(json.dumps(drift_rules()))
    rules["groups"][0]["rules"].append({**rules["groups"][0]["rules"][0], "retrain": "Second"})
    config = json.loads((made.folder / "bridge.yml").read_text())
    config["rule_files"] = ["new.yml"]
    (made.folder / "new.yml").write_text(json.dumps(rules))
    (made.folder / "newer.yml").write_text(json.dumps(config))
    return "newer.yml"
