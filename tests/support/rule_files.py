"""Rule files as text: their groups, their problems, and a file with one rule."""

from __future__ import annotations

from pathlib import Path

from bridge.authoring.check.check import check_rules
from bridge.config.load import load_rules
from bridge.domain.rule import Group


def groups(folder: Path, text: str) -> tuple[Group, ...]:
    (folder / "r.yml").write_text(text, encoding="utf-8")
    return load_rules([folder / "r.yml"])


def problems(folder: Path, text: str) -> list[str]:
    (folder / "r.yml").write_text(text, encoding="utf-8")
    return [str(problem).replace(f"{folder}/", "") for problem in check_rules([folder / "r.yml"])]


def rule(lines: str) -> str:
    """Return a file whose only rule has these lines."""
    return f"groups:\n- name: g\n  rules:\n  - {lines}\n"
