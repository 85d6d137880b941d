"""The configuration in force and its latest changes, in every store."""

from __future__ import annotations

from bridge.domain.config_change import KEPT, ConfigChange, ConfigEvent
from bridge.ports import Store


def test_files_in_force_are_replaced_together_and_keep_their_order(store: Store) -> None:
    """Nothing before the first start."""
    assert (dict(store.config_files()), store.config_changes()) == ({}, [])
    store.save_config({"bridge.yml": "a: 1\n", "rules/b.yml": "b", "rules/a.yml": "ä\n"}, None)
    assert list(store.config_files()) == ["bridge.yml", "rules/b.yml", "rules/a.yml"]
    store.save_config({"bridge.yml": "a: 2\n"}, ConfigChange(1, "-a", "", ConfigEvent.START, "replica-1"))
    store.save_config(None, ConfigChange(2, "", "wrong"))
    assert store.config_files() == {"bridge.yml": "a: 2\n"}
    assert store.config_changes() == [
        ConfigChange(2, "", "wrong"), ConfigChange(1, "-a", "", ConfigEvent.START, "replica-1"),
    ]  # fmt: skip


def test_only_the_latest_changes_are_kept(store: Store) -> None:
    """The files in force stay."""
    store.save_config({"bridge.yml": "a"}, None)
    for at in range(KEPT + 5):
        store.save_config(None, ConfigChange(at, ""))
    assert [item.at for item in store.config_changes()] == list(range(KEPT + 4, 4, -1))
    assert store.config_files() == {"bridge.yml": "a"}
