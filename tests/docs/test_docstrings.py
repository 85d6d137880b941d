"""Docstrings: functions start with an imperative verb, modules and classes with a noun phrase."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import ROOT

ANCHORS = {
    "What",
    "Whose",
    "Of",
    "As",
    "By",
    "How",
    "Which",
    "That",
    "Nothing",
    "Whether",
    "Who",
    "Where",
    "When",
    "From",
}
NOT_VERBS = ANCHORS | {
    "A", "All", "An", "And", "Any", "At", "Both", "Each", "Every", "False", "For", "If", "In", "It", "Its", "Like",
    "None", "No", "Nobody", "Not", "On", "One", "Only", "Or", "So", "Some", "Such", "The", "Their", "There", "These",
    "They", "This", "To", "True", "With", "Without",
}  # fmt: skip
THIRD_PERSON = {
    "Returns",
    "Gets",
    "Sets",
    "Checks",
    "Makes",
    "Reads",
    "Writes",
    "Sends",
    "Yields",
    "Gives",
    "Tells",
    "Says",
}
FILES = sorted((ROOT / "bridge").rglob("*.py"))


def documented(tree: ast.Module, name: str) -> Iterator[tuple[str, bool, str | None]]:
    """Yield name, whether it is a function, and docstring of the module, its classes and its functions."""
    yield name, False, ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, False, ast.get_docstring(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            words = {getattr(item, "attr", getattr(item, "id", "")) for item in node.decorator_list}
            yield node.name, not words & {"property", "cached_property", "setter", "fixture"}, ast.get_docstring(node)


def complaints(code: str, name: str = "module") -> list[str]:
    """Return what is wrong with the docstrings of a module."""
    found = []
    for owner, is_function, text in documented(ast.parse(code), name):
        first = text.split()[0].strip("`\"',.:;") if text else ""
        if first in (NOT_VERBS | THIRD_PERSON if is_function else ANCHORS):
            found.append(f"{owner}: {text}")
    return found


def undocumented(code: str) -> list[str]:
    """Return the public functions and classes of a module, and public methods, that have no docstring."""
    return [node.name for node in _public(ast.parse(code)) if ast.get_docstring(node) is None]


def _public(node: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for item in node.body:
        if isinstance(item, kinds) and not item.name.startswith("_"):
            yield item
            if isinstance(item, ast.ClassDef):
                yield from _public(item)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_start_as_they_should(path: Path) -> None:
    assert complaints(path.read_text(encoding="utf-8"), path.stem) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_public_name_has_a_docstring(path: Path) -> None:
    assert undocumented(path.read_text(encoding="utf-8")) == []


def test_the_rule_notices_what_it_forbids() -> None:
    code = (
        '"""What a module is."""\n\nclass A:\n    """How it is."""\n\n'
        'def look():\n    """The number."""\n\ndef bare(): ...\n\n'
        'class B:\n    """A thing."""\n\n    def inner(self): ...\n\n    def _own(self): ...\n'
    )
    assert complaints(code) == ["module: What a module is.", "A: How it is.", "look: The number."]
    assert undocumented(code) == ["bare", "inner"]
    assert complaints('"""A module."""\n\ndef look():\n    """Return the number."""\n') == []
