"""Every store: in memory, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.ports import (
    Store,
)
from bridge.store.memory import MemoryStore
from bridge.store.sql import SqlStore
from tests.support.postgres import Postgres, postgres


@pytest.fixture(scope="session")
def cluster() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store
    if request.param == "memory":
        opened = MemoryStore()
    elif request.param == "sqlite":
        opened = SqlStore.open_sqlite(tmp_path / "bridge.db")
    else:
        opened = SqlStore.open_url(request.getfixturevalue("cluster").database())
    yield opened
    opened.close()
