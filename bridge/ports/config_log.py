"""Interface of the store to the configuration in force and its latest changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from bridge.domain.config_change import ConfigChange


class ConfigLog(Protocol):
    """Files of the configuration in force, secrets hidden, and the latest KEPT changes. Raises StoreError."""

    def config_files(self) -> Mapping[str, str]:
        """Return the text of each file in force by its path; empty before the first start."""
        ...

    def config_changes(self) -> list[ConfigChange]:
        """Return the latest changes, newest first."""
        ...

    def save_config(self, files: Mapping[str, str] | None, change: ConfigChange | None) -> None:
        """Store in one transaction what is in force now, and add a change; None = nothing."""
        ...
