"""The configuration in force in the SQL store, beyond the contract of all stores."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.domain.config_change import ConfigChange
from bridge.domain.errors import StoreError
from bridge.store import config_log
from bridge.store.sql import SqlStore


def test_files_and_change_are_stored_together_or_not_at_all(sqlite: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a restart would compare with files whose change was never shown."""
    sqlite.save_config({"bridge.yml": "a"}, None)

    def fail(*_: Any) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(config_log, "asdict", fail)
    with pytest.raises(StoreError):
        sqlite.save_config({"bridge.yml": "b"}, ConfigChange(1, "-a"))
    assert sqlite.config_files() == {"bridge.yml": "a"}
