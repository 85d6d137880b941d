"""A real PostgreSQL for tests: a cluster of its own in a temporary folder, one database for each test."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.support.processes import Program, free_port, kept_for_the_test, wait_until

_NUMBERS = itertools.count()


def binaries() -> Path:
    """Where Debian keeps initdb and postgres; AssertionError says how to install them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [
        Path(item) for item in [shutil.which("initdb")] if item
    ]
    assert found, "PostgreSQL is not installed: apt-get install postgresql (scripts/test does it)"
    return found[-1].parent


def _as_user() -> list[str]:
    """initdb refuses to run as root."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] if os.geteuid() == 0 else []


@dataclass
class Postgres:
    """A running cluster."""

    program: Program
    port: int
    made: list[str] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test{next(_NUMBERS)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        self.made.append(name)
        return self.url(name)

    def start(self) -> None:
        """Start it (again) on the same port and data.

        After `program.kill()` the children of the killed postmaster may live a moment longer; the server refuses to
        start while they hold its shared memory.
        """
        wait_until(self._started, what="postgres started; its log:\n" + self.program.log[-4000:])

    def _started(self) -> bool:
        before = len(self.program.log)
        self.program.start()
        wait_until(lambda: self._answers() or not self.program.running, what="postgres answers or ends")
        if self.program.running:
            return True
        said = self.program.log[before:]
        assert "pre-existing shared memory block" in said, f"postgres ended while starting:\n{said}"
        return False

    def reload(self) -> None:
        """Read the server's files again."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A cluster without durability (tests kill processes, not machines), gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    folder.chmod(0o777)
    data, port, bin_ = folder / "data", free_port(), binaries()
    make = [*_as_user(), str(bin_ / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync"]
    made = subprocess.run(make, capture_output=True, text=True, check=False, timeout=300)
    assert made.returncode == 0, made.stderr
    command = [
        *_as_user(), str(bin_ / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder),
        "-c", "fsync=off", "-c", "max_connections=200",
    ]  # fmt: skip
    server = Postgres(Program(command, folder, "postgres"), port)
    with kept_for_the_test(server.program):
        server.start()
        yield server
