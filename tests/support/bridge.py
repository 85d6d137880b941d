"""The real bridge process for tests: its files, its life (start, kill -9, SIGTERM), its API; and the promised ids.

with prometheus(flags=[REMOTE_WRITE]) as source, bridge(source.url, rules, receivers) as process:
    process.start()
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.processes import UNMEASURED, Program, free_port, kept_for_the_test, wait_until
from tests.support.remote_write import remote_write
from tests.support.servers import Prometheus, http

REMOTE_WRITE = "--web.enable-remote-write-receiver"
METRIC = "model_drift_score"
AHEAD = 4.0  # seconds from the writing of samples to the slot that a test is about: a busy machine writes them in time
ROOT = Path(__file__).parents[2]
Json = dict[str, Any]
Model = tuple[str, str, str]


def expected_id(model: Model, rule: str, episode_start: int, attempt: int = 1) -> str:
    """The id that a request must have, spelled out from its definition and not by the code under test.

    32 hex digits of SHA-256 over project, pipeline, version, leading rule, start of the episode in ms and attempt,
    each as its length in bytes, a colon and the text.
    """
    texts = [*model, rule, str(episode_start), str(attempt)]
    framed = b"".join(str(len(text.encode())).encode() + b":" + text.encode() for text in texts)
    return hashlib.sha256(framed).hexdigest()[:32]


def drift_rules(*, only: str = "", **rule: object) -> Json:
    """One group of 1 s with one signal rule: breached over 0.6, `for` and all else as given, cooldown 0.

    only: the one pipeline that it asks for.
    """
    one = {"retrain": "Drifted", "signal": "drift", "strategy": {"threshold": {"max": 0.6}}, "cooldown": "0s", **rule}
    expr = f'{METRIC}{{pipeline="{only}"}}' if only else METRIC
    signals = {"drift": {"event": "drift", "expr": expr}}
    return {"groups": [{"name": "serving", "interval": "1s", "signals": signals, "rules": [one]}]}


def whole_second(after: float = 0.0) -> int:
    """The first whole second that is at least `after` seconds from now, in ms; slots of a 1 s group are such."""
    return int(time.time() + after + 0.999) * 1000


def write_script(server: Prometheus, script: Mapping[Model, Sequence[tuple[int, float]]], metric: str = METRIC) -> None:
    """Put (ms, value) samples into a real Prometheus beforehand, future ones included: it shows each at its time."""
    names = ("project", "pipeline", "version")
    remote_write(
        server.url,
        [({"__name__": metric, **dict(zip(names, model, strict=True))}, points) for model, points in script.items()],
    )


def steps(start: int, end: int, breaches: Sequence[tuple[int, int]]) -> list[tuple[int, float]]:
    """A sample a second in [start, end): 0.9 within a breach [from, to), else 0.1. All in ms."""
    return [(at, 0.9 if any(a <= at < b for a, b in breaches) else 0.1) for at in range(start, end, 1000)]


@dataclass
class Bridge:
    """A bridge on a free port. `command`: how it is started; `env`, `flags`: more of them.

    measured: let coverage see it, if the test lets it end; a killed one leaves nothing behind.
    """

    folder: Path
    listen: str
    command: Sequence[str] = (sys.executable, "-m", "bridge.cli")
    env: Mapping[str, str] = field(default_factory=dict)
    log_level: str = "info"
    flags: Sequence[str] = ()
    measured: bool = False
    program: Program = field(init=False)

    def __post_init__(self) -> None:
        self.program = self.another(self.listen)

    @property
    def url(self) -> str:
        return f"http://{self.listen}"

    @property
    def config_file(self) -> Path:
        return self.folder / "bridge.yml"

    def another(self, listen: str, name: str = "bridge") -> Program:
        """A process over the same files and store."""
        arguments = [
            "run", f"--config.file={self.config_file}", f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address={listen}", f"--log.level={self.log_level}",
            *self.flags,
        ]  # fmt: skip
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
        env = {**os.environ, **({} if self.measured else UNMEASURED), "PYTHONPATH": path, **self.env}
        return Program([*self.command, *arguments], self.folder, name, env)

    # ------------------------------------------------------------ its life

    def launch(self) -> None:
        """Start it without waiting."""
        self.program.start()

    def start(self) -> None:
        """Start it (again, on the same store) and wait until it is ready."""
        self.launch()
        self.wait_ready()

    def wait_ready(self) -> None:
        self.program.wait_ready(self.ready, 30)

    def ready(self) -> bool:
        return http("GET", f"{self.url}/-/ready", timeout=2)[0] == 200

    def kill(self) -> None:
        """kill -9."""
        self.program.kill()

    def wait_dead(self, timeout: float = 30.0) -> int:
        """Wait until it has ended by itself; its exit code, negative for a signal."""
        wait_until(lambda: not self.program.running, timeout, f"the bridge's end\n{self.program.log[-2000:]}")
        assert self.program.process is not None
        return int(self.program.process.returncode)

    # ------------------------------------------------------------ what it says

    def api(self, path: str) -> Any:
        """`data` of GET /api/v1/<path>; asked again while there is no answer in time."""

        def answered() -> list[tuple[int, str]]:
            found = http("GET", f"{self.url}/api/v1/{path}")
            return [found] if found[0] or not self.program.running else []

        status, text = wait_until(answered, what=f"an answer to {path}")[0]
        assert status == 200, f"{path}: {status} {text}\n{self.program.log[-2000:]}"
        return json.loads(text)["data"]

    def requests(self) -> list[Json]:
        """All requests, the oldest first."""
        found: list[Json] = self.api("requests?limit=10000")["requests"]
        return found[::-1]

    def request(self, request_id: str) -> Json:
        found: Json = self.api(f"requests/{request_id}")
        return found

    def decisions(self) -> list[Json]:
        """All decisions, the oldest first."""
        found: list[Json] = self.api("decisions?limit=10000")["decisions"]
        return found[::-1]

    def rule(self, name: str = "Drifted") -> Json:
        """A rule as /api/v1/rules shows it."""
        rules = [rule for group in self.api("rules")["groups"] for rule in group["rules"] if rule["name"] == name]
        assert len(rules) == 1, rules
        return dict(rules[0])

    def metric(self, start: str) -> float:
        """The value of the first sample whose line begins with `start`; -1 where there is none."""
        for line in http("GET", f"{self.url}/metrics")[1].splitlines():
            if line.startswith(start):
                return float(line.rsplit(" ", 1)[1])
        return -1.0

    def stored_slot(self, group: str = "serving") -> int:
        """The last slot that is committed, read past the bridge; 0 when there is none."""
        return _ask_store(self.folder / "data" / "retrain-bridge.db", group)

    def wait_slot(self, slot: int, timeout: float = 20.0, group: str = "serving") -> None:
        """Wait until `slot` is evaluated and committed."""
        wait_until(lambda: self.stored_slot(group) >= slot, timeout, f"slot {slot}\n{self.program.log[-2000:]}")

    def pending(self) -> list[Json]:
        """Deliveries that are neither delivered nor dead."""
        over = {"delivered", "dead"}
        every = [item for one in self.requests() for item in self.request(one["id"])["deliveries"]]
        return [item for item in every if item["state"] not in over]


def _ask_store(file: Path, group: str) -> int:
    if not file.exists():
        return 0
    try:  # read-only: a look must neither repair nor tidy what a killed process left
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as connection:
            row = connection.execute("SELECT slot FROM slots WHERE group_name = ?", (group,)).fetchone()
    except sqlite3.OperationalError:  # no schema yet, or to be recovered first
        return 0
    return int(row[0]) if row else 0


def write_config(folder: Path, prometheus_url: str, rules: Json, receivers: Mapping[str, Any], **global_: str) -> None:
    """bridge.yml with one receiver "team" of the given `<integration>_configs`, and its rules.yml; JSON is YAML."""
    settings = {"evaluation_interval": "1s", "query_offset": "0s", "resend_delay": "1s", **global_}
    config = {
        "global": settings, "prometheus": {"url": prometheus_url}, "rule_files": ["rules.yml"],
        "route": {"receiver": "team"}, "receivers": [{"name": "team", **receivers}],
        "gates": {"verdict": {"settle": "0s"}},  # a second attempt is made without a wait
    }  # fmt: skip
    (folder / "rules.yml").write_text(json.dumps(rules))
    (folder / "bridge.yml").write_text(json.dumps(config))


@contextlib.contextmanager
def bridge(
    prometheus_url: str,
    rules: Json,
    receivers: Mapping[str, Any],
    *,
    command: Sequence[str] = (sys.executable, "-m", "bridge.cli"),
    env: Mapping[str, str] | None = None,
    log_level: str = "info",
    listen: str = "",
    flags: Sequence[str] = (),
    measured: bool = False,
    **global_: str,
) -> Iterator[Bridge]:
    """A configured bridge that is not started yet; killed at the end. measured: see Bridge."""
    folder = Path(tempfile.mkdtemp(prefix="bridge-"))
    write_config(folder, prometheus_url, rules, receivers, **global_)
    process = Bridge(folder, listen or f"127.0.0.1:{free_port()}", command, env or {}, log_level, flags, measured)
    with kept_for_the_test(process.program):
        yield process
