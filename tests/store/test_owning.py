"""A SQLite database whose files are removed, replaced or emptied while the bridge is running."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.domain.errors import StoreError, StoreLostError
from bridge.ports import TickChanges
from bridge.store.sql import SqlStore
from tests.support.store_records import HOOK, queued, record_of


def removed(path: Path) -> None:
    path.unlink()


def moved_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def replaced(path: Path) -> None:
    copy = path.with_name("copy.db")
    shutil.copyfile(path, copy)
    copy.replace(path)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def overwritten(path: Path) -> None:
    """Overwrite it with an older copy, as cp does: the same file with other contents."""
    other = path.with_name("other.db")
    SqlStore.open_sqlite(other).close()
    path.write_bytes(other.read_bytes())


def without_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def without_index(path: Path) -> None:
    path.with_name(path.name + "-shm").unlink()


def without_lock(path: Path) -> None:
    path.with_name(path.name + ".lock").unlink()


def with_another_lock(path: Path) -> None:
    path.with_name(path.name + ".lock").unlink()
    path.with_name(path.name + ".lock").touch()


@pytest.mark.parametrize(
    "spoil",
    [removed, moved_away, replaced, emptied, overwritten, without_log, without_index, without_lock, with_another_lock],
)
def test_nothing_is_written_or_claimed_once_the_files_are_others(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    """What is written would be missing after a restart: requests would be sent again with new ids."""
    path = tmp_path / "bridge.db"
    store = SqlStore.open_sqlite(path)
    queued(store, record_of())
    store.check()
    spoil(path)
    with pytest.raises(StoreLostError, match="while the bridge was running"):
        store.check()
    for write in (
        lambda: store.commit(TickChanges("g", 200, at=200)),
        lambda: store.claim(HOOK, "w", 200, 1000),
        lambda: store.save_request(record_of()),
    ):
        with pytest.raises(StoreError):
            write()
    store.close()


def test_a_file_that_is_put_back_is_used_again(tmp_path: Path) -> None:
    """A moved database is still the same one."""
    path = tmp_path / "bridge.db"
    store = SqlStore.open_sqlite(path)
    moved_away(path)
    with pytest.raises(StoreLostError, match="removed or moved away"):
        store.check()
    assert not path.exists()
    path.with_name("elsewhere.db").rename(path)
    store.commit(TickChanges("g", 300, at=300))
    assert dict(store.load(0).slots) == {"g": 300}
    store.close()


def test_a_backup_and_other_readers_disturb_nothing(tmp_path: Path) -> None:
    """A copy as by `sqlite3 ... .backup`, repeatedly, between commits."""
    path = tmp_path / "bridge.db"
    store = SqlStore.open_sqlite(path)
    for slot in range(1, 6):
        store.commit(TickChanges("g", slot, at=slot))
        source, target = sqlite3.connect(path), sqlite3.connect(tmp_path / f"backup{slot}.db")
        source.backup(target)
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert target.execute("SELECT slot FROM slots").fetchall() == [(slot,)]
        source.close()
        target.close()
    store.check()
    store.close()
    again = SqlStore.open_sqlite(path)
    assert dict(again.load(0).slots) == {"g": 5}
    again.close()
