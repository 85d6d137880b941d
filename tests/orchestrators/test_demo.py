"""scripts/demo --prefect, as a newcomer runs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.pages import ROOT
from tests.support.processes import Program, kept_for_the_test


@pytest.mark.parametrize("name", ["prefect"])
def test_the_demo_starts_a_run_in_a_real_orchestrator(name: str, tmp_path: Path) -> None:
    """One run, past a busy server, with the version that it made; nothing is left behind."""
    for folder in ("demo", "temporary"):
        (tmp_path / folder).mkdir()
    env = {**os.environ, "DEMO_PYTHON": sys.executable, "TMPDIR": str(tmp_path / "temporary")}
    command = [str(ROOT / "scripts" / "demo"), f"--{name}", "--once"]
    with kept_for_the_test(Program(command, tmp_path / "demo", "demo", env)) as demo:
        demo.start()
        assert demo.process is not None
        assert demo.process.wait(500) == 0, demo.log
        assert "to team/run/0, attempt 2 (HTTP 201)" in demo.log
        assert f"{name}      succeeded, new version 8" in demo.log
        assert "exactly one request reached both receivers under one id" in demo.log
    assert list((tmp_path / "temporary").iterdir()) == []
