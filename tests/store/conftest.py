"""A store on a new SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.store.sql import SqlStore


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqlStore]:
    store = SqlStore.open_sqlite(tmp_path / "bridge.db")
    yield store
    store.close()
