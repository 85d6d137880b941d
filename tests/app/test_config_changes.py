"""Changes of the configuration since the start."""

from __future__ import annotations

from pathlib import Path

from bridge.app.config_changes import KEPT, LONGEST, ConfigChanges
from bridge.config.load import load
from bridge.domain.config_change import ConfigChange

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


def test_each_reload_has_its_difference_newest_first(tmp_path: Path) -> None:
    """Of the rule files as they are written, and of bridge.yml with its defaults."""
    write(tmp_path)
    changes = ConfigChanges(load(tmp_path / "bridge.yml"))
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
    changes = ConfigChanges(load(tmp_path / "bridge.yml"))
    write(tmp_path, password="two")
    changes.applied(load(tmp_path / "bridge.yml"), 1)
    assert changes.latest()[0] == ConfigChange(1, "")
    (tmp_path / "rules" / "more.yml").write_text(OTHER)
    changes.applied(load(tmp_path / "bridge.yml"), 2)
    assert changes.latest()[0].diff.startswith("--- /dev/null\n+++ rules/more.yml\n")
    (tmp_path / "rules" / "more.yml").unlink()
    changes.applied(load(tmp_path / "bridge.yml"), 3)
    assert changes.latest()[0].diff.startswith("--- rules/more.yml\n+++ /dev/null\n")


def test_memory_is_bounded(tmp_path: Path) -> None:
    """The oldest reloads are forgotten, and a long difference is cut with a note."""
    write(tmp_path)
    config = load(tmp_path / "bridge.yml")
    changes = ConfigChanges(config)
    for at in range(KEPT + 5):
        changes.refused("bridge.yml:1: wrong", at)
    assert [item.at for item in changes.latest()] == list(range(KEPT + 4, 4, -1))
    assert changes.latest()[0] == ConfigChange(KEPT + 4, "", "bridge.yml:1: wrong")
    (tmp_path / "rules" / "serving.yml").write_text("# " + "x" * 2 * LONGEST + "\n" + RULES.format(limit="0.6"))
    changes.applied(load(tmp_path / "bridge.yml"), 100)
    text = changes.latest()[0].diff
    assert len(text) < LONGEST + 100
    assert text.endswith("more characters\n")
