"""Commands `run` and `coordinator`: errors before the start, and the options that they pass on."""

from __future__ import annotations

import inspect
import socket
from pathlib import Path
from typing import Any

import pytest

from bridge.app import service
from bridge.app.fleet import FleetOptions
from bridge.app.service import TAKE_OVER_LEASES
from bridge.cli.serve import run
from bridge.config.bridge_file import GlobalSection
from bridge.coordinator import server
from bridge.coordinator.config import CoordinatorConfig
from bridge.domain import waits
from bridge.domain.times import DAY, SECOND, parse_duration
from tests.cli.conftest import CONFIG, Command
from tests.support.processes import free_port

ANY_PORT = "--web.listen-address=127.0.0.1:0"


def test_run_reports_configuration_errors_without_a_traceback(command: Command, files: Path) -> None:
    """No traceback is printed."""
    code, _, err = command("run", f"--config.file={files / 'nope.yml'}", f"--storage.path={files / 'data'}", ANY_PORT)
    assert code == 1
    assert "nope.yml: cannot be read: No such file or directory" in err


def test_a_missing_storage_url_file_is_reported(command: Command, files: Path) -> None:
    """The error names the flag."""
    config = files / "bridge.yml"
    config.write_text(CONFIG.format(url="http://localhost:1/hook"))
    code, _, err = command("run", f"--config.file={config}", "--storage.url-file=none.url", ANY_PORT)
    assert (code, err) == (1, "retrain-bridge: cannot read --storage.url-file none.url: No such file or directory\n")


def test_a_port_in_use_is_reported_before_anything_else(
    command: Command, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has been imported, read or opened for the service."""
    monkeypatch.setattr(service, "run_service", lambda *_: pytest.fail("the service was started"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        found = command("run", f"--config.file={files / 'bridge.yml'}", f"--web.listen-address={address}")
    assert found == (1, "", f"retrain-bridge: cannot listen on {address}: Address already in use\n")


def test_a_retention_of_zero_is_rejected(command: Command, files: Path) -> None:
    """A retention of 0 would delete every request at once. The message is in a box, wrapped at the terminal width."""
    code, _, err = command("run", f"--config.file={files / 'bridge.yml'}", "--storage.retention.time=0s")
    assert code == 2
    assert "must be greater than 0, for example 90d" in " ".join(err.replace("│", " ").split())


def test_the_options_of_run_are_passed_on(command: Command, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links use the listen address unless --web.external-url is set; replicas only with --fleet."""
    seen = []

    def run_service(*given: Any) -> int:
        seen.append(given)
        return 7

    monkeypatch.setattr(service, "run_service", run_service)
    config = f"--config.file={files / 'bridge.yml'}"
    assert command("run", config, ANY_PORT, "--config.auto-reload-interval=5s")[0] == 7
    options, serve = seen.pop()
    assert (options.external_url, options.retention) == ("http://127.0.0.1:0", 90 * DAY)
    assert (serve.auto_reload, serve.fleet) == (5000, None)
    words = ("--fleet", "--fleet.lease=30s", "--fleet.id=a", "--web.external-url=https://bridge.example")
    listen = f"127.0.0.1:{free_port()}"  # port 0 is no address at which others reach a replica
    assert command("run", config, f"--web.listen-address={listen}", *words)[0] == 7
    options, serve = seen.pop()
    assert options.external_url == serve.web.external_url == "https://bridge.example"
    assert serve.fleet == FleetOptions(30_000, "a", f"http://{listen}", None)


def test_flags_override_the_coordinators_file(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag that is not set leaves the value of the file."""
    seen = []

    def run(config: CoordinatorConfig) -> int:
        seen.append(config)
        return 0

    monkeypatch.setattr(server, "run", run)
    file = tmp_path / "coordinator.yml"
    file.write_text("listen: 127.0.0.1:1\nstorage: ledger\ncommand: [cat]\n")
    flags = ("--web.listen-address=127.0.0.1:2", "--command=true", "--command=x")
    assert command("coordinator", f"--config.file={file}", *flags)[0] == 0
    (config,) = seen
    assert (config.listen, config.command, config.storage.name) == ("127.0.0.1:2", ("true", "x"), "ledger")


def test_the_limits_of_calls_are_made_for_the_defaults() -> None:
    """Of a query, and of a lease, in which a take-over ends."""
    assert GlobalSection().query_timeout == waits.QUERY * SECOND
    lease = inspect.signature(run).parameters["fleet_lease"].default
    assert TAKE_OVER_LEASES * parse_duration(lease) == waits.TAKE_OVER * SECOND
