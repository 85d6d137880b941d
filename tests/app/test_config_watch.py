"""Tests of the watch over the configuration's files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.app.config_watch import ConfigWatch

CONFIG = "rule_files: [rules/*.yml]\n"


class Reloads:
    """Counter of reloads."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as kubelet mounts a ConfigMap: files are links through `..data` to a folder with a date."""
    publish(tmp_path, "1", {"bridge.yml": CONFIG})
    (tmp_path / "bridge.yml").symlink_to("..data/bridge.yml")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yml").write_text("groups: []\n")
    return tmp_path


def publish(folder: Path, version: str, files: dict[str, str]) -> None:
    """Exchange the link `..data`, as kubelet does: one rename, and no file changes in place."""
    target = folder / f"..2026_{version}"
    target.mkdir()
    for name, text in files.items():
        (target / name).write_text(text)
    link = folder / "..data_tmp"
    link.symlink_to(target.name)
    link.rename(folder / "..data")


class Watched:
    """Watch over a folder's bridge.yml that counts its reloads."""

    def __init__(self, folder: Path, reloads: Reloads) -> None:
        self._watch, self._reloads = ConfigWatch(folder / "bridge.yml"), reloads

    def check(self) -> None:
        """Check once."""
        self._watch.check(self._reloads)


def watch(folder: Path) -> tuple[Watched, Reloads]:
    """Return a watch over the folder's bridge.yml and its counter."""
    reloads = Reloads()
    return Watched(folder, reloads), reloads


def test_unchanged_files_are_not_reloaded(folder: Path) -> None:
    """Content decides: a file that is written again with the same text is no change."""
    watched, reloads = watch(folder)
    publish(folder, "2", {"bridge.yml": CONFIG})
    (folder / "rules" / "a.yml").write_text("groups: []\n")
    watched.check()
    assert reloads.count == 0


def test_exchanged_data_link_is_reloaded_once(folder: Path) -> None:
    """A new ConfigMap is seen through the link, and reloaded once."""
    watched, reloads = watch(folder)
    publish(folder, "2", {"bridge.yml": CONFIG + "dry_run: true\n"})
    watched.check()
    watched.check()
    assert reloads.count == 1


@pytest.mark.parametrize("change", ["changed", "added", "removed", "renamed"])
def test_rule_file_changes_are_reloaded(folder: Path, change: str) -> None:
    """A rule file that changes, comes or goes is a change of the configuration."""
    watched, reloads = watch(folder)
    rules = folder / "rules"
    if change == "changed":
        (rules / "a.yml").write_text("groups: [] # changed\n")
    elif change == "added":
        (rules / "b.yml").write_text("")
    elif change == "removed":
        (rules / "a.yml").unlink()
    else:
        (rules / "a.yml").rename(rules / "b.yml")
    watched.check()
    assert reloads.count == 1


@pytest.mark.parametrize("broken", ["rule_files: [", "rule_files: 7\n", "- a list\n", "rule_files: [[], 1]\n", "\x00"])
def test_broken_configuration_is_reloaded_once(folder: Path, broken: str) -> None:
    """The reload reports what is wrong, once; a repair is a change again."""
    watched, reloads = watch(folder)
    publish(folder, "2", {"bridge.yml": broken})
    watched.check()
    watched.check()
    assert reloads.count == 1
    publish(folder, "3", {"bridge.yml": CONFIG})
    watched.check()
    assert reloads.count == 2


def test_missing_configuration_is_a_change(folder: Path) -> None:
    """A link to nothing, as between two mounts, does not stop the watch."""
    watched, reloads = watch(folder)
    (folder / "..data").unlink()
    watched.check()
    publish(folder, "2", {"bridge.yml": CONFIG})
    watched.check()
    assert reloads.count == 2


def test_pipe_as_rule_file_does_not_block(folder: Path) -> None:
    """A pipe counts as its error; reading it never waits for a writer."""
    watched, reloads = watch(folder)
    os.mkfifo(folder / "rules" / "pipe.yml")
    watched.check()
    assert reloads.count == 1
