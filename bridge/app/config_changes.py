"""Changes of the configuration, by reload or by start, as differences of bridge.yml and the rule files."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator, Mapping, Sequence

from bridge.config.load import BridgeConfig
from bridge.domain.config_change import KEPT, ConfigChange, ConfigEvent
from bridge.domain.errors import StoreError
from bridge.domain.times import Timestamp
from bridge.ports.config_log import ConfigLog

LONGEST = 20_000  # characters of one difference

log = logging.getLogger(__name__)


class ConfigChanges:
    """The latest reloads, and starts with another configuration, with what they changed; secrets are hidden.

    replica: name of this replica of a fleet, "" without one. Raises StoreError.
    """

    def __init__(self, store: ConfigLog, replica: str = "") -> None:
        self._store = store
        self._replica = replica
        self._files = store.config_files()
        self._latest = store.config_changes()

    def started(self, config: BridgeConfig, at: Timestamp) -> None:
        """Record the configuration of a start, as a change if another one was in force before."""
        files = _texts(config)
        if files == self._files:
            return
        known = bool(self._files)  # not at the first start
        diff = self._difference(files)
        self._save(files, ConfigChange(at, diff, "", ConfigEvent.START, self._replica) if known else None)

    def applied(self, config: BridgeConfig, at: Timestamp) -> None:
        """Record a configuration that replaced the previous one."""
        files = _texts(config)
        self._save(files, ConfigChange(at, self._difference(files), replica=self._replica))

    def refused(self, error: str, at: Timestamp) -> None:
        """Record a configuration that was not applied."""
        self._save(None, ConfigChange(at, "", error, replica=self._replica))

    def latest(self) -> Sequence[ConfigChange]:
        """Return the latest changes, newest first."""
        return self._latest

    def _save(self, files: Mapping[str, str] | None, change: ConfigChange | None) -> None:
        if change is not None:
            self._latest = [change, *self._latest][:KEPT]
        self._files = self._files if files is None else files
        try:
            self._store.save_config(files, change)
        except StoreError as error:
            log.warning("the change of the configuration was not stored", extra={"error": str(error)})

    def _difference(self, files: Mapping[str, str]) -> str:
        """Return the difference from the files in force, cut to LONGEST."""
        diff = "".join(_lines(self._files, files))
        if len(diff) > LONGEST:
            return f"{diff[:LONGEST]}\n... and {len(diff) - LONGEST} more characters\n"
        return diff


def _texts(config: BridgeConfig) -> Mapping[str, str]:
    """Return the text of each file by its path, relative to bridge.yml where possible."""
    rules = {
        str(path.relative_to(config.base_dir) if path.is_relative_to(config.base_dir) else path): text
        for path, text in config.rule_texts.items()
    }
    texts = {config.path.name: config.redacted(), **rules}
    # A name that is not UTF-8 cannot be stored.
    return {name.encode(errors="backslashreplace").decode(): text for name, text in texts.items()}


def _lines(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a unified difference of all files."""
    for name in dict.fromkeys((*before, *after)):
        old, new = (texts.get(name, "").splitlines() for texts in (before, after))
        source, target = (name if name in texts else "/dev/null" for texts in (before, after))
        for line in difflib.unified_diff(old, new, source, target, lineterm=""):
            yield f"{line}\n"
