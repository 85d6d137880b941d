"""YAML with positions: the values of a file, and the line of every key and value. Strict, and safe on any input."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bridge.domain.errors import ConfigError, Problem

Place = tuple[str | int, ...]
MOST_BYTES, MOST_NODES, MOST_DEPTH = 4 * 1024 * 1024, 500_000, 100

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WORDS |= {".inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}


@dataclass(slots=True)
class Document:
    """One file. lines: place -> line of its key (or of a list's element), counted from 1."""

    file: str
    value: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest place around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def add(self, place: Place, message: str, hint: str = "") -> None:
        """Note a problem at a place."""
        self.problems.append(Problem(self.file, self.line(place), path_text(place), message, hint))


def path_text(place: Place) -> str:
    """A place as people write it: groups[0].rules[2].for."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else (f".{step}" if text else step)
    return text


def read(path: Path, shown: str = "") -> Document:
    """Read a file; ConfigError when it cannot be read or is not one YAML document."""
    document = Document(shown or str(path))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _refused(document, 0, f"cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise _refused(document, 0, f"is larger than {MOST_BYTES // 1024 // 1024} MiB", "split it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _refused(document, line, "is not UTF-8", "save the file as UTF-8") from None
    return parse(text, document)


def parse(text: str, document: Document) -> Document:
    """Fill `document` from YAML text; ConfigError when the text is not one YAML document."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 0
        message = f"is not YAML: {error.problem or error.context or 'cannot be understood'}"
        hint = "a file holds one document" if "document" in message else _tab_hint(text, line)
        raise _refused(document, line, message, hint) from None
    except yaml.YAMLError as error:
        raise _refused(document, 0, f"is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise _refused(document, 0, "is nested too deeply") from None
    builder = _Builder(document)
    document.value = None if node is None else builder.build(node, (), 0)
    return document


def _tab_hint(text: str, line: int) -> str:
    lines = text.splitlines()
    return "indent with spaces, not tabs" if 0 < line <= len(lines) and "\t" in lines[line - 1] else ""


def _refused(document: Document, line: int, message: str, hint: str = "") -> ConfigError:
    return ConfigError([Problem(document.file, line, "", message, hint)])


class _Builder:
    """Turns nodes into values by YAML 1.2's core schema, noting lines; counts nodes, so that aliases cannot explode."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0

    def build(self, node: yaml.Node, place: Place, depth: int) -> Any:
        self._count += 1
        self._document.lines.setdefault(place, node.start_mark.line + 1)
        if self._count > MOST_NODES or depth > MOST_DEPTH:
            raise _refused(self._document, node.start_mark.line + 1, "is too large once its aliases are followed")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*place, number), depth + 1) for number, item in enumerate(node.value)]
        return self._scalar(node, place)

    def _mapping(self, node: yaml.MappingNode, place: Place, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(line, place, "a key must be a plain word")
                continue
            key = str(key_node.value)
            if key in found:
                first = self._document.lines[*place, key]
                self._problem(line, (*place, key), f"key {key!r} is there twice", f"first on line {first}")
                continue
            self._document.lines[*place, key] = line
            found[key] = self.build(value_node, (*place, key), depth + 1)
        return found

    def _scalar(self, node: yaml.Node, place: Place) -> Any:
        text = str(node.value)
        if node.tag == "tag:yaml.org,2002:str" and getattr(node, "style", None):
            return text
        if not node.tag.startswith("tag:yaml.org,2002:"):
            self._problem(node.start_mark.line + 1, place, f"tag {node.tag} is not allowed")
            return None
        if getattr(node, "style", None):
            return text
        return plain(text)

    def _problem(self, line: int, place: Place, message: str, hint: str = "") -> None:
        self._document.problems.append(Problem(self._document.file, line, path_text(place), message, hint))


def plain(text: str) -> Any:
    """An unquoted scalar by YAML 1.2: yes, no, on and off are words, 1:30 is text, 010 is text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text) and len(text) < 300:
        return int(text)
    if _FLOAT.fullmatch(text) and not re.fullmatch(r"[-+]?0[0-9]+", text):
        return float(text)
    return text
