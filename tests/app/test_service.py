"""Process of the daemon: its store, its signals, and its end. Real processes: tests/integration/test_process.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bridge.app import service
from bridge.app.fleet import FleetOptions
from bridge.app.fleet_metrics import FleetMetrics
from bridge.app.service import ServeOptions, Signals, open_store, run_service
from bridge.app.wiring import Bridge, Options
from bridge.domain.errors import ConfigError, Problem, StoreError
from bridge.store.leases import Fence, Leases
from bridge.web.http.settings import WebConfig, WebSettings


def serve_options(folder: Path, url_file: Path | None = None) -> ServeOptions:
    return ServeOptions(folder, url_file, WebSettings(listen="127.0.0.1:0"))


@pytest.fixture
def handlers() -> Iterator[None]:
    """Puts the signal handlers back."""
    names = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(name) for name in names]
    yield
    for name, handler in zip(names, before, strict=True):
        signal.signal(name, handler)


def test_open_store_creates_the_sqlite_file(tmp_path: Path) -> None:
    store = open_store(serve_options(tmp_path))
    store.close()
    assert (tmp_path / "retrain-bridge.db").is_file()


def test_open_store_names_the_file_that_it_cannot_read(tmp_path: Path) -> None:
    missing = tmp_path / "url"
    with pytest.raises(StoreError, match=f"cannot read --storage.url-file {missing}: No such file or directory"):
        open_store(serve_options(tmp_path, missing))


def test_run_service_with_a_wrong_file_leaves_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "keep_large_buffers", lambda: None)
    (tmp_path / "bridge.yml").write_text("promethus: {}\n")
    with pytest.raises(ConfigError, match="promethus"):
        run_service(Options(tmp_path / "bridge.yml"), serve_options(tmp_path))
    assert not (tmp_path / "retrain-bridge.db").exists()


def test_run_service_starts_reloads_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, handlers: None
) -> None:
    """The signals arrive before the wait: the reload comes first, then the stop, with exit code 0."""
    caplog.set_level("INFO", "bridge.app")
    monkeypatch.setattr(service, "keep_large_buffers", lambda: None)
    monkeypatch.setattr(service, "exclude_start", lambda: os.kill(os.getpid(), signal.SIGHUP))
    config = {
        "prometheus": {"url": "http://127.0.0.1:1"}, "route": {"receiver": "team"},
        "receivers": [{"name": "team", "webhook_configs": [{"url": "http://127.0.0.1:1"}]}],
    }  # fmt: skip
    (tmp_path / "bridge.yml").write_text(json.dumps(config))
    ends: list[Callable[[], None]] = [lambda: None, lambda: os.kill(os.getpid(), signal.SIGTERM)]
    waits = iter(ends)
    wait = service.wait_for_signal  # type: ignore[attr-defined]

    def wait_for_signal(came: threading.Event) -> None:
        next(waits)()
        wait(came)

    monkeypatch.setattr(service, "wait_for_signal", wait_for_signal)
    assert run_service(Options(tmp_path / "bridge.yml"), serve_options(tmp_path)) == 0
    messages = [record.getMessage() for record in caplog.records]
    order = [messages.index(text) for text in ("retrain-bridge started", "configuration reloaded", "stopping")]
    assert order == sorted(order)


LATE = {"alembic", "fastapi", "jinja2", "rich", "typer"}  # libraries that no evaluation needs


def test_what_evaluates_is_imported_without_the_web_interface() -> None:
    """FastAPI and Jinja take a quarter of the start, so they come after the first evaluation has started."""
    code = "import sys, bridge.app.service; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert {name.partition(".")[0] for name in found.stdout.split()} & LATE == set()


def test_the_first_evaluation_starts_before_the_application_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handlers: None
) -> None:
    """Until then, the server says that the bridge is not ready."""
    done: list[str] = []
    schedule, create = service._schedule, service._create_app
    monkeypatch.setattr(service, "keep_large_buffers", lambda: None)
    monkeypatch.setattr(service, "exclude_start", lambda: os.kill(os.getpid(), signal.SIGTERM))

    def evaluating(*parts: Any) -> None:
        done.append("evaluate")
        schedule(*parts)

    def serving(*parts: Any) -> Any:
        done.append("serve")
        return create(*parts)

    monkeypatch.setattr(service, "_schedule", evaluating)
    monkeypatch.setattr(service, "_create_app", serving)
    config = {
        "prometheus": {"url": "http://127.0.0.1:1"}, "route": {"receiver": "team"},
        "receivers": [{"name": "team", "webhook_configs": [{"url": "http://127.0.0.1:1"}]}],
    }  # fmt: skip
    (tmp_path / "bridge.yml").write_text(json.dumps(config))
    assert run_service(Options(tmp_path / "bridge.yml"), serve_options(tmp_path)) == 0
    assert done == ["evaluate", "serve"]


@pytest.mark.parametrize("error", [ConfigError([Problem("rules.yml", 1, "", "no")]), StoreError("no")])
def test_a_replica_that_cannot_be_the_owner_hands_the_lease_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """After its couriers have stopped: until then, they may still send."""
    done: list[object] = []
    signals, held = Signals(), Fence(cast("Leases", None), 7)

    class FakeFleet:
        id, fence, metrics, owner_address = "r1", held, FleetMetrics(), ""

        def __init__(self, *_: object) -> None: ...

        def start(self) -> None: ...

        def stop(self) -> None: ...

        def hand_over(self, fence: Fence, reason: str) -> None:
            done.append((fence, reason))
            signals.stop = True

    def own(owning: ExitStack, *_: object) -> None:
        owning.callback(done.append, "stopped")
        raise error

    monkeypatch.setattr("bridge.app.fleet.Fleet", FakeFleet)
    monkeypatch.setattr(service, "_own", own)
    (tmp_path / "bridge.yml").write_text("{}")
    (tmp_path / "url").write_text("postgresql://db")
    about = FleetOptions(60_000, "r1", "http://r1")
    serve = serve_options(tmp_path, tmp_path / "url")
    with ExitStack() as stack:
        service._run_replica(stack, signals, Options(tmp_path / "bridge.yml"), serve, about, WebConfig())
    assert done == ["stopped", (held, str(error))]


def test_a_fatal_error_ends_with_exit_code_1() -> None:
    signals = Signals()
    signals.give_up()
    assert (signals.stop, signals.code, signals.came.is_set()) == (True, 1, True)


def test_a_second_stop_signal_exits_at_once(monkeypatch: pytest.MonkeyPatch, handlers: None) -> None:
    exits: list[int] = []
    monkeypatch.setattr(os, "_exit", exits.append)
    signals = Signals()
    service._on_signals(signals)
    os.kill(os.getpid(), signal.SIGTERM)
    assert (signals.stop, exits) == (True, [])
    os.kill(os.getpid(), signal.SIGINT)
    assert exits == [1]


@dataclass
class FakeCommands:
    """Counts reloads; `then` runs in each."""

    then: Any = None
    reloads: list[bool] = field(default_factory=list)

    def reload(self) -> None:
        self.reloads.append(True)
        self.then()


def test_wait_reloads_once_for_each_hang_up() -> None:
    """A stop that arrives during a reload ends the wait; no further reload begins."""
    signals = Signals(hang_up=True)
    signals.came.set()

    def stop() -> None:
        signals.stop = signals.hang_up = True
        signals.came.set()

    commands = FakeCommands(stop)
    service._wait(signals, cast("Bridge", type("FakeBridge", (), {"commands": commands})), lambda: False)
    assert commands.reloads == [True]


def test_leave_does_not_wait_for_a_query_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a hanging query the process ends in the ordinary way."""
    exits: list[int] = []
    monkeypatch.setattr(os, "_exit", exits.append)
    monkeypatch.setattr(service, "WORKERS_LIMIT", 0.01)
    monkeypatch.setattr(service.logging, "shutdown", lambda: None)  # type: ignore[attr-defined]
    service._leave(0)
    assert exits == []
    answered = threading.Event()
    query = threading.Thread(target=answered.wait, args=(60,), name="ThreadPoolExecutor-9_0", daemon=True)
    query.start()
    service._leave(1)
    assert exits == [1]
    answered.set()
    query.join(60)


def test_password_check_does_not_abort_the_end_of_the_process() -> None:
    """Python ends its thread within bcrypt, in Rust code, which must not be unwound."""
    script = (
        "import bcrypt, sys, threading\n"
        "from bridge.app import service\n"
        "hashed = bcrypt.hashpw(b'right', bcrypt.gensalt(4))\n"
        "def guess():\n"
        "    while True: bcrypt.checkpw(b'wrong', hashed)\n"
        "threading.Thread(target=guess, name='AnyIO worker thread', daemon=True).start()\n"
        "service._leave(3)\n"
        "sys.exit(3)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (3, "")
