"""MkDocs hooks: README as home page, folders in the navigation, links to files outside docs/."""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, normpath, relpath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(\[[^\]]*\]\()([^)\s#]+)(#[^)\s]*)?(\))")
HOME = "README.md"


def on_config(config: Any) -> Any:
    """Replace each folder in the navigation, written [folder], with its pages."""
    config.nav = _expanded(config.nav)
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the README, and each file outside docs/ that a page links to."""
    files.append(File.generated(config, "index.md", content=_home()))
    texts = {file.src_uri: file.content_string for file in files if file.src_uri.endswith(".md")}
    for target in sorted({target for page, text in texts.items() for target in _outside(page, text)}):
        content = (ROOT / target).read_text(encoding="utf-8")
        files.append(File.generated(config, f"files/{target}.txt", content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point links to files outside docs/ at their copies; make links to folders outside plain text."""
    here = page.file.src_uri

    def rewritten(match: re.Match[str]) -> str:
        target = _project_path(here, match[2])
        if target is None or target.startswith("docs/"):
            return match[0]
        if not (ROOT / target).is_file():
            return match[1][1:-2]
        return f"{match[1]}{relpath(f'files/{target}.txt', dirname(here) or '.')}{match[4]}"

    return LINK.sub(rewritten, markdown)


def _home() -> str:
    text = (ROOT / HOME).read_text(encoding="utf-8")
    return LINK.sub(lambda match: f"{match[1]}{_from_home(match[2])}{match[3] or ''}{match[4]}", text)


def _from_home(target: str) -> str:
    """Return a link target of the README relative to docs/."""
    if re.match(r"[a-z]+:", target):
        return target
    if not target.startswith("docs"):
        return f"../{target}"
    page = target.removeprefix("docs/")
    return (
        "decisions/0001-episodes.md"
        if page == "decisions"
        else "runbooks/RetrainBridgeDown.md"
        if page == "runbooks"
        else page
    )


def _outside(page: str, text: str) -> set[str]:
    found = (_project_path(page, match[2]) for match in LINK.finditer(text))
    return {path for path in found if path and not path.startswith("docs/") and (ROOT / path).is_file()}


def _project_path(page: str, target: str) -> str | None:
    """Return the target of a link relative to the project folder, or None for a URL."""
    return None if re.match(r"[a-z]+:", target) else normpath(f"docs/{dirname(page)}/{target}")


def _expanded(entry: Any) -> Any:
    if isinstance(entry, dict):
        return {title: _expanded(below) for title, below in entry.items()}
    if isinstance(entry, list):
        if len(entry) == 1 and isinstance(entry[0], str) and (ROOT / "docs" / entry[0]).is_dir():
            pages = sorted((ROOT / "docs" / entry[0]).glob("*.md"), key=lambda page: (page.stem != "README", page.name))
            return [f"{entry[0]}/{page.name}" for page in pages if page.stem != "writing"]
        return [_expanded(item) for item in entry]
    return entry
