"""Changes of the configuration since the start, as differences of bridge.yml and the rule files."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from bridge.config.load import BridgeConfig
from bridge.domain.config_change import ConfigChange
from bridge.domain.times import Timestamp

KEPT = 20  # latest reloads
LONGEST = 20_000  # characters of one difference


class ConfigChanges:
    """The latest reloads with what they changed; secrets are hidden."""

    def __init__(self, config: BridgeConfig) -> None:
        self._texts = _texts(config)
        self._latest: deque[ConfigChange] = deque(maxlen=KEPT)

    def applied(self, config: BridgeConfig, at: Timestamp) -> None:
        """Record a configuration that replaced the previous one."""
        texts = _texts(config)
        diff = "".join(_difference(self._texts, texts))
        if len(diff) > LONGEST:
            diff = f"{diff[:LONGEST]}\n... and {len(diff) - LONGEST} more characters\n"
        self._texts = texts
        self._latest.appendleft(ConfigChange(at, diff))

    def refused(self, error: str, at: Timestamp) -> None:
        """Record a configuration that was not applied."""
        self._latest.appendleft(ConfigChange(at, "", error))

    def latest(self) -> Sequence[ConfigChange]:
        """Return the latest reloads, newest first."""
        return list(self._latest)


def _texts(config: BridgeConfig) -> Mapping[str, str]:
    """Return the text of each file by its path, relative to bridge.yml where possible."""
    rules = {
        str(path.relative_to(config.base_dir) if path.is_relative_to(config.base_dir) else path): text
        for path, text in config.rule_texts.items()
    }
    return {config.path.name: config.redacted(), **rules}


def _difference(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a unified difference of all files."""
    for name in dict.fromkeys((*before, *after)):
        old, new = (texts.get(name, "").splitlines() for texts in (before, after))
        source, target = (name if name in texts else "/dev/null" for texts in (before, after))
        for line in difflib.unified_diff(old, new, source, target, lineterm=""):
            yield f"{line}\n"
