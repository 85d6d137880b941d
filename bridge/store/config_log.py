"""Configuration in force and its latest changes, in the SQL store and in the store in memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict

from sqlalchemy import delete, insert, select

from bridge.domain.config_change import KEPT, ConfigChange, ConfigEvent
from bridge.store import tables
from bridge.store.base import SqlTransactions

_files, _changes = tables.config_files, tables.config_changes


class SqlConfigLog(SqlTransactions):
    """Implementation of ports.ConfigLog."""

    def config_files(self) -> Mapping[str, str]:
        """Return the text of each file in force by its path; empty before the first start."""
        with self._read() as connection:
            return {row.path: row.text for row in connection.execute(select(_files).order_by(_files.c.number))}

    def config_changes(self) -> list[ConfigChange]:
        """Return the latest changes, newest first."""
        with self._read() as connection:
            return [
                ConfigChange(row.at, row.diff, row.error, ConfigEvent(row.event), row.replica)
                for row in connection.execute(select(_changes).order_by(_changes.c.seq.desc()))
            ]

    def save_config(self, files: Mapping[str, str] | None, change: ConfigChange | None) -> None:
        """Store in one transaction what is in force now, and add a change; None = nothing."""
        with self._write() as connection:
            if files is not None:
                connection.execute(delete(_files))
                rows = [{"number": n, "path": path, "text": text} for n, (path, text) in enumerate(files.items())]
                connection.execute(insert(_files), rows)
            if change is not None:
                connection.execute(insert(_changes), asdict(change))
                latest = select(_changes.c.seq).order_by(_changes.c.seq.desc()).limit(KEPT)
                connection.execute(delete(_changes).where(_changes.c.seq.not_in(latest)))


class MemoryConfigLog:
    """Implementation of ports.ConfigLog in memory."""

    def __init__(self) -> None:
        self._config_files: Mapping[str, str] = {}
        self._config_changes: list[ConfigChange] = []
        self._config_lock = threading.Lock()

    def config_files(self) -> Mapping[str, str]:
        """Return the text of each file in force by its path; empty before the first start."""
        return self._config_files

    def config_changes(self) -> list[ConfigChange]:
        """Return the latest changes, newest first."""
        return self._config_changes

    def save_config(self, files: Mapping[str, str] | None, change: ConfigChange | None) -> None:
        """Store in one transaction what is in force now, and add a change; None = nothing."""
        with self._config_lock:
            if files is not None:
                self._config_files = dict(files)
            if change is not None:
                self._config_changes = [change, *self._config_changes][:KEPT]
