"""Changes of the configuration by reload and by start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.app.config_changes import LONGEST, ConfigChanges
from bridge.config.load import load
from bridge.domain.config_change import KEPT, ConfigChange, ConfigEvent
from bridge.domain.errors import StoreError
from bridge.ports import Store
from bridge.store.memory import MemoryStore
from bridge.store.sql import SqlStore

BRIDGE = """
prometheus: {{url: http://localhost:9090, basic_auth: {{username: u, password: {password}}}}}
rule_files: [rules/*.yml]
global: {{evaluation_interval: {interval}}}
route: {{receiver: log}}
receivers: [{{name: log, log_configs: [{{}}]}}]
"""
RULES = "groups:\n- name: serving\n  rules:\n  - {{retrain: Drifted, expr: model_drift > {limit}}}\n"
OTHER = RULES.format(limit="1").replace("Drifted", "Other").replace("serving", "other")


def write(folder: Path, limit: str = "0.6", interval: str = "1m", password: str = "one") -> None:
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "bridge.yml").write_text(BRIDGE.format(interval=interval, password=password))
    (folder / "rules" / "serving.yml").write_text(RULES.format(limit=limit))


def started(folder: Path, store: Store | None = None, at: int = 0, replica: str = "") -> ConfigChanges:
    changes = ConfigChanges(store or MemoryStore(), replica)
    changes.started(load(folder / "bridge.yml"), at)
    return changes


def test_each_reload_has_its_difference_newest_first(tmp_path: Path) -> None:
    """Of the rule files as they are written, and of bridge.yml with its defaults."""
    write(tmp_path)
    changes = started(tmp_path)
    assert changes.latest() == []
    write(tmp_path, limit="0.8")
    changes.applied(load(tmp_path / "bridge.yml"), 1000)
    write(tmp_path, limit="0.8", interval="30s")
    changes.applied(load(tmp_path / "bridge.yml"), 2000)
    second, first = changes.latest()
    assert (first.at, second.at) == (1000, 2000)
    assert first.diff.splitlines() == [
        "--- rules/serving.yml", "+++ rules/serving.yml", "@@ -1,4 +1,4 @@", " groups:", " - name: serving",
        "   rules:", "-  - {retrain: Drifted, expr: model_drift > 0.6}",
        "+  - {retrain: Drifted, expr: model_drift > 0.8}",
    ]  # fmt: skip
    changed = [line for line in second.diff.splitlines() if line[0] in "+-" and line[:3] not in {"+++", "---"}]
    assert changed == ["-  evaluation_interval: 1m", "+  evaluation_interval: 30s"]


def test_secrets_are_hidden_and_files_that_come_and_go_are_named(tmp_path: Path) -> None:
    """A changed password shows no difference."""
    write(tmp_path)
    changes = started(tmp_path)
    write(tmp_path, password="two")
    changes.applied(load(tmp_path / "bridge.yml"), 1)
    assert changes.latest()[0] == ConfigChange(1, "")
    (tmp_path / "rules" / "more.yml").write_text(OTHER)
    changes.applied(load(tmp_path / "bridge.yml"), 2)
    assert changes.latest()[0].diff.startswith("--- /dev/null\n+++ rules/more.yml\n")
    (tmp_path / "rules" / "more.yml").unlink()
    changes.applied(load(tmp_path / "bridge.yml"), 3)
    assert changes.latest()[0].diff.startswith("--- rules/more.yml\n+++ /dev/null\n")


def test_file_name_that_is_not_utf8_is_stored_with_escapes(tmp_path: Path) -> None:
    """The bridge starts with such a file, as `check config` finds no error in it."""
    write(tmp_path)
    (tmp_path / "rules" / "serving.yml").rename(tmp_path / "rules" / os.fsdecode(b"\xff.yml"))
    store = SqlStore.open_sqlite(tmp_path / "store" / "bridge.db")
    started(tmp_path, store)
    assert list(store.config_files()) == ["bridge.yml", "rules/\\udcff.yml"]
    store.close()


def test_memory_is_bounded(tmp_path: Path) -> None:
    """The oldest reloads are forgotten, and a long difference is cut with a note."""
    write(tmp_path)
    changes = started(tmp_path)
    for at in range(KEPT + 5):
        changes.refused("bridge.yml:1: wrong", at)
    assert [item.at for item in changes.latest()] == list(range(KEPT + 4, 4, -1))
    assert changes.latest()[0] == ConfigChange(KEPT + 4, "", "bridge.yml:1: wrong")
    (tmp_path / "rules" / "serving.yml").write_text("# " + "x" * 2 * LONGEST + "\n" + RULES.format(limit="0.6"))
    changes.applied(load(tmp_path / "bridge.yml"), 100)
    text = changes.latest()[0].diff
    assert len(text) < LONGEST + 100
    assert text.endswith("more characters\n")


def test_a_start_with_another_configuration_is_a_change(tmp_path: Path) -> None:
    """Compared with the one that was in force last, also after a reload; the first start and an equal one are none."""
    write(tmp_path)
    database = tmp_path / "bridge.db"

    def run(at: int) -> list[ConfigChange]:
        store = SqlStore.open_sqlite(database)
        try:
            return list(started(tmp_path, store, at).latest())
        finally:
            store.close()

    assert run(1) == []
    assert run(2) == []
    write(tmp_path, limit="0.8", password="two")
    (change,) = run(3)
    assert (change.at, change.event, change.error) == (3, ConfigEvent.START, "")
    assert [line for line in change.diff.splitlines() if line[0] in "+-"] == [
        "--- rules/serving.yml", "+++ rules/serving.yml",
        "-  - {retrain: Drifted, expr: model_drift > 0.6}", "+  - {retrain: Drifted, expr: model_drift > 0.8}",
    ]  # fmt: skip
    assert b"two" not in b"".join(file.read_bytes() for file in tmp_path.glob("bridge.db*"))
    store = SqlStore.open_sqlite(database)
    changes = started(tmp_path, store, 4)
    write(tmp_path, limit="0.9")
    changes.applied(load(tmp_path / "bridge.yml"), 5)
    changes.refused("bridge.yml:1: wrong", 6)
    store.close()
    assert [(item.at, item.event) for item in run(7)] == [
        (6, ConfigEvent.RELOAD), (5, ConfigEvent.RELOAD), (3, ConfigEvent.START),
    ]  # fmt: skip


def test_replicas_are_named(tmp_path: Path) -> None:
    """Each start of an owner is compared with the configuration of the owner before it."""
    store, one, other = MemoryStore(), tmp_path / "a", tmp_path / "b"
    for folder, limit in ((one, "0.6"), (other, "0.8")):
        folder.mkdir()
        write(folder, limit=limit)
    started(one, store, 1, "a")
    started(other, store, 2, "b")
    back = started(one, store, 3, "a").latest()
    assert [(item.at, item.replica, "-  - {retrain: Drifted" in item.diff) for item in back] == [
        (3, "a", True), (2, "b", True),
    ]  # fmt: skip


def test_a_full_store_hides_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is shown until the next start, and the log says that it was not stored."""
    write(tmp_path)
    store = MemoryStore()
    changes = started(tmp_path, store)

    def full(*_: object) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(store, "save_config", full)
    changes.refused("bridge.yml:1: wrong", 6)
    assert changes.latest() == [ConfigChange(6, "", "bridge.yml:1: wrong")]
    assert "was not stored" in caplog.text
