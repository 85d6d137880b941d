"""What is wrong with files, before they run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bridge.config import load
from bridge.domain.errors import ConfigError, Problem


def check_config(path: Path) -> list[Problem]:
    """Every problem of bridge.yml and of the rule files that it names, in file order."""
    try:
        load.load(path)
    except ConfigError as error:
        return error.problems
    return []


def check_rules(paths: Sequence[Path]) -> list[Problem]:
    """Every problem of rule files by themselves."""
    return load.check_rules(paths)
