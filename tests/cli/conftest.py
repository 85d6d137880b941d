"""Fixtures of the command line: a command in this process, its files, and a bridge that it calls."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge import cli
from bridge.app import client
from tests.support.web import Site, serving

RULES = """
groups:
- name: serving
  rules:
  - {retrain: Drifted, expr: model_drift > 0.6}
"""
CONFIG = """
prometheus: {{url: http://localhost:9090}}
rule_files: [rules.yml]
route: {{receiver: team}}
receivers:
- name: team
  webhook_configs: [{{url: "{url}"}}]
"""
REQUEST: dict[str, object] = {
    "id": "a" * 32, "project": "shop", "pipeline": "ranking", "version": "7", "state": "held",
    "triggered_at": "2026-01-01T00:00:00.000Z", "reason": "[red]drift[/red]", "hold": None, "hold_until": None,
    "ended_at": None, "verdict": None, "acts": [], "feedback": None,
}  # fmt: skip
Command = Callable[..., tuple[int, str, str]]
Api = tuple[list[tuple[str, str]], dict[str, object]]


def columns(out: str) -> list[list[str]]:
    """Return the cells of each line of a listing."""
    return [re.split(r" {2,}", line) for line in out.splitlines()]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in this process; return exit code, standard output and standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["retrain-bridge", *words])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capfd.readouterr()
        return int(caught.value.code or 0), out, err

    return run


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Folder with a bridge.yml and its rules.yml."""
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "bridge.yml").write_text(CONFIG.format(url="http://localhost:9000"))
    return tmp_path


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    """Fake API: list of the calls, and the data to return."""
    calls: list[tuple[str, str]] = []
    answers: dict[str, object] = {}

    def call_api(access: client.Access, path: str, method: str = "GET", body: object = None) -> object:
        calls.append((method, path))
        return answers["data"]

    monkeypatch.setattr(client, "call_api", call_api)
    return calls, answers


@pytest.fixture(scope="package")
def server() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def site(server: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Web server of a bridge with fake data; its URL is in the environment, so that commands call it."""
    server.queries.__init__()  # type: ignore[misc]  # as new
    server.commands.__init__()  # type: ignore[misc]
    monkeypatch.setenv("RETRAIN_BRIDGE_URL", server.url)
    return server
