"""Files of a coordinator and a bridge are readable by their own user only, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.coordinator.config import CoordinatorConfig
from bridge.coordinator.output import RunLog
from bridge.coordinator.service import Coordinator
from bridge.net.private import private_folder
from bridge.store.sql import SqlStore


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    try:
        yield request.param
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    """Return the permissions of a directory and everything below it."""
    paths = [folder, *folder.rglob("*")]
    return {str(path.relative_to(folder.parent)): oct(stat.S_IMODE(path.stat().st_mode)) for path in paths}


def private(folder: Path) -> dict[str, str]:
    """Return the expected permissions."""
    return {
        str(path.relative_to(folder.parent)): oct(0o700 if path.is_dir() else 0o600)
        for path in [folder, *folder.rglob("*")]
    }


def run_coordinator(storage: Path) -> None:
    """Open the ledger, write a run log, and look before it is closed: the WAL exists only then."""
    coordinator = Coordinator(CoordinatorConfig(storage=storage), lambda: 1_000)
    try:
        with RunLog(storage / "runs" / "a.log", 1_000) as log:
            log.write(b"secret of a training")
        assert len(modes(storage)) >= 6
        assert modes(storage) == private(storage)
    finally:
        coordinator.stop()


def test_ledger_and_run_logs_are_private(tmp_path: Path, umask: int) -> None:
    """From the first byte."""
    run_coordinator(tmp_path / "below" / "coordinator")


def test_files_of_an_older_version_get_private_modes(tmp_path: Path) -> None:
    """Folder, ledger and logs that others could read."""
    storage = tmp_path / "coordinator"
    run_coordinator(storage)
    (storage / "runs" / "old.log").write_bytes(b"x")
    for path in [storage, *storage.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)
    run_coordinator(storage)


def test_the_store_of_the_bridge_is_private_too(tmp_path: Path, umask: int) -> None:
    """Its folder, database, WAL and lock; also those that others could read."""
    folder = tmp_path / "data"
    for _ in range(2):
        with closing(SqlStore.open_sqlite(folder / "retrain-bridge.db")):
            assert len(modes(folder)) >= 4
            assert modes(folder) == private(folder)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o777 if path.is_dir() else 0o666)


def test_a_shared_folder_keeps_its_mode(tmp_path: Path) -> None:
    """Such as /tmp: only the files in it are ours."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    private_folder(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
