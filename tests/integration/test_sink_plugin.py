"""The sink of docs/sinks/writing.md, installed as a package of its own: configured, checked, and sending."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.pages import ROOT, blocks
from tests.support.plugin import cli, installed

PAGE = ROOT / "docs" / "sinks" / "writing.md"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The page's sink, installed; its configuration is bridge.yml."""
    (tmp_path / "bridge.yml").write_text(blocks(PAGE, "yaml")[0])
    return installed(tmp_path, PAGE)


def test_an_installed_sink_is_configured_like_a_shipped_one(env: dict[str, str], tmp_path: Path) -> None:
    """`<integration>_configs` of a receiver."""
    done = cli(env, tmp_path, "check", "config", "bridge.yml")
    assert (done.returncode, done.stdout) == (0, "bridge.yml: SUCCESS\n"), done.stderr


def test_a_wrong_key_of_an_installed_sink_is_reported_with_its_place(env: dict[str, str], tmp_path: Path) -> None:
    """With what would be right, from its own config class."""
    file = tmp_path / "bridge.yml"
    file.write_text(file.read_text().replace("path:", "pth:"))
    done = cli(env, tmp_path, "check", "config", "bridge.yml")
    assert done.returncode == 1
    assert "bridge.yml:6:19: receivers[0].file_configs[0].pth: unknown key 'pth' (did you mean 'path'?)" in done.stderr


def test_an_installed_sink_sends(env: dict[str, str], tmp_path: Path) -> None:
    """The test request arrives in its file, and a file that cannot be written is told."""
    done = cli(env, tmp_path, "send-test", "--receiver=archive")
    assert (done.returncode, done.stdout[:25]) == (0, "archive/file/0: delivered"), done.stderr
    (line,) = (tmp_path / "requests.jsonl").read_text().splitlines()
    assert json.loads(line)["kind"] == "firing"
    (tmp_path / "requests.jsonl").unlink()
    (tmp_path / "requests.jsonl").mkdir()
    done = cli(env, tmp_path, "send-test", "--receiver=archive")
    assert (done.returncode, "retry" in done.stdout, "Is a directory" in done.stdout) == (1, True, True)
