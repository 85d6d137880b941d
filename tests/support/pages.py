"""The project's pages: their headings, sections, links and examples."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """README and its neighbours, docs/, and what is beside dashboards and examples."""
    folders = ("docs", "grafana", "examples", "benchmarks")
    return sorted([*ROOT.glob("*.md"), *(page for folder in folders for page in (ROOT / folder).rglob("*.md"))])


def prose(page: Path) -> str:
    """The text without its code blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def fences(page: Path) -> list[tuple[str, str]]:
    """Return language and text of every code block, in their order."""
    return _FENCE.findall(page.read_text(encoding="utf-8"))


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a language."""
    return [text for kind, text in fences(page) if kind == language]


def headings(page: Path) -> list[str]:
    """As written, backticks included."""
    return [text for _, text in _HEADING.findall(prose(page))]


def section(page: Path, heading: str) -> str:
    """What stands below a heading (with or without backticks), up to the next one of its rank or above."""
    text = prose(page)
    for match in _HEADING.finditer(text):
        if match[2].replace("`", "") == heading.replace("`", ""):
            end = re.compile(rf"^#{{1,{len(match[1])}}} ", re.MULTILINE).search(text, match.end())
            return text[match.end() : end.start() if end else len(text)]
    raise AssertionError(f"{page.name} has no heading {heading!r}")


def links(page: Path) -> list[str]:
    """Targets inside the project."""
    return [target for target in _LINK.findall(prose(page)) if not re.match(r"[a-z]+:", target)]


def slugs(page: Path) -> set[str]:
    """The anchors that GitHub gives the page's headings."""
    found: set[str] = set()
    for text in headings(page):
        bare = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", bare).replace(" ", "-")
        number, unique = 0, slug
        while unique in found:
            number += 1
            unique = f"{slug}-{number}"
        found.add(unique)
    return found
