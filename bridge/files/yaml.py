"""YAML with positions: the values of a file, and the line of every key and value. Strict, and safe on any input."""

from __future__ import annotations

import math
import re
from codecs import BOM_UTF8
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from bridge.domain.errors import ConfigError, Problem
from bridge.files.position import position
from bridge.net.files import MIB, read_bytes

KeyPath = tuple[str | int, ...]
MOST_BYTES, MOST_NODES, MOST_DEPTH = 4 * MIB, 500_000, 50
MOST_DOCUMENTS = 1_000  # in one file

_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WORDS |= dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf)
_WORDS |= dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf) | dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan)
_TEXT_TAG = "tag:yaml.org,2002:str"
# Built where a problem was noted: its key is left out, and counts as given all the same (Document.lines).
_WRONG: Any = object()


@dataclass(slots=True)
class Document:
    """One file, or one YAML document of a file.

    lines, columns: path -> line and column of its key (or of a list's element), counted from 1.
    lenient: read as Prometheus reads its own files: numbers and booleans are taken as written where text is wanted,
    and keys may be empty. texts: path -> an unquoted number or boolean as written. empty: path -> line of a key without
    a value, which counts as absent. spots: path of a text -> begin and end of its scalar in `source`, the file's text.
    expressions: path -> PromQL.
    """

    file: str
    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    columns: dict[KeyPath, int] = field(default_factory=dict)
    lenient: bool = False
    texts: dict[KeyPath, str] = field(default_factory=dict)
    empty: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    source: str = ""
    spots: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    expressions: dict[KeyPath, str] = field(default_factory=dict)

    def line(self, path: KeyPath) -> int:
        """Return the line of a path, or of the nearest path around it."""
        return self.lines.get(self._known(path), 1)

    def column(self, path: KeyPath) -> int:
        """Return the column of a path, or of the nearest path around it; 0: unknown."""
        return self.columns.get(self._known(path), 0)

    def _known(self, path: KeyPath) -> KeyPath:
        while path and path not in self.lines:
            path = path[:-1]
        return path

    def at(self, path: KeyPath) -> Any:
        """Return the value at a path; None: there is none."""
        value = self.value
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def reported(self, path: KeyPath) -> bool:
        """Return whether a problem was noted at a path or inside it, so that what follows from it need not be."""
        text = path_text(path)
        return any(
            problem.path == text or problem.path.startswith((f"{text}.", f"{text}[")) for problem in self.problems
        )

    def add(self, path: KeyPath, message: str, hint: str = "") -> None:
        """Note a problem at a path."""
        self.add_at(self.line(path), self.column(path), path, message, hint)

    def add_at(self, line: int, column: int, path: KeyPath, message: str, hint: str = "") -> None:
        """Note a problem at a position of its own, once."""
        problem = Problem(self.file, line, path_text(path), message, hint, column=column)
        if problem not in self.problems:
            self.problems.append(problem)

    def position(self, path: KeyPath, text: str, offset: int) -> tuple[int, int]:
        """Return line and column, from 1, of `text[offset]`, where `text` is the value at a path."""
        if path not in self.spots:
            return self.line(path), self.column(path)
        return position(self.source, *self.spots[path], text, offset)

    def add_in(self, path: KeyPath, text: str, offset: int, message: str, hint: str = "") -> None:
        """Note a problem at `text[offset]`, where `text` is the value at a path."""
        line, column = self.position(path, text, offset)
        self.problems.append(Problem(self.file, line, path_text(path), message, hint, column=column))

    def refused(self, line: int, message: str, hint: str = "", column: int = 0) -> ConfigError:
        """Return the error for a file of which nothing can be used. line 0: none can be named."""
        return ConfigError([Problem(self.file, line, "", message, hint, column=column)])


def path_text(path: KeyPath) -> str:
    """Return a path as text: groups[0].rules[2].for."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else (f".{step}" if text else step)
    return text


def read(path: Path, shown: str = "", *, lenient: bool = False) -> Document:
    """Read a file; ConfigError when it cannot be read or is not one YAML document."""
    document = Document(shown or str(path), lenient=lenient)
    return parse(_text_of(path, document), document)


def read_several(path: Path, *, lenient: bool = False) -> list[Document]:
    """Read every YAML document of a file that holds something, the first one always. Raises ConfigError."""
    first = Document(str(path), lenient=lenient)
    nodes = _composed(_text_of(path, first), first, several=True)
    documents = [_built(node, Document(first.file, lenient=lenient, source=first.source)) for node in nodes]
    return [document for document in documents if document.value is not None] or documents[:1] or [first]


def _text_of(path: Path, document: Document) -> str:
    try:
        data = read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise document.refused(0, f"cannot be read: {error.strerror}") from None
    data = data.removeprefix(BOM_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line, column = _position(data[: error.start].decode())
        raise document.refused(line, "is not UTF-8", "save the file as UTF-8", column) from None
    return text


def _position(before: str) -> tuple[int, int]:
    """Return line and column, counted from 1, of what follows a text."""
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _position_of(mark: yaml.Mark) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


def parse(text: str, document: Document) -> Document:
    """Fill `document` from YAML text; ConfigError when the text is not one YAML document."""
    (node,) = _composed(text, document)
    return _built(node, document)


def _composed(text: str, document: Document, *, several: bool = False) -> list[yaml.Node | None]:
    """Return the node of the text's only document, or of each. Raises ConfigError."""
    document.source = text
    try:
        if not several:
            return [yaml.compose(text, Loader=_Loader)]
        nodes: list[yaml.Node | None] = list(islice(yaml.compose_all(text, Loader=_Loader), MOST_DOCUMENTS + 1))
    except ReaderError as error:
        line, column = _position(text[: error.position])
        message = f"holds the control character U+{error.character:04X}"
        raise document.refused(line, message, "remove it", column) from None
    except yaml.MarkedYAMLError as error:
        line, column = _position_of(error.problem_mark) if error.problem_mark is not None else (0, 0)
        raise document.refused(line, *_syntax(error, text, line), column) from None
    except RecursionError:
        raise document.refused(0, "is nested too deeply", f"at most {MOST_DEPTH} levels") from None
    if len(nodes) > MOST_DOCUMENTS:
        raise document.refused(0, f"holds more than {MOST_DOCUMENTS} documents")
    return nodes


def _built(node: yaml.Node | None, document: Document) -> Document:
    builder = _Builder(document)
    value = None if node is None else builder.build(node, (), 0)
    document.value = {} if value is _WRONG else value
    return document


def _syntax(error: yaml.MarkedYAMLError, text: str, line: int) -> tuple[str, str]:
    problem = error.problem or error.context or "cannot be understood"
    if problem == "but found another document":
        return "holds more than one document", "write one file for each"
    if problem == "mapping values are not allowed here":
        return f"is not YAML: {problem}", "quote a text that holds ': ', and indent keys alike"
    lines = text.splitlines()
    tab = 0 < line <= len(lines) and "\t" in lines[line - 1]
    if tab:
        return f"is not YAML: {problem}", "indent with spaces, not tabs"
    mark = error.context_mark
    return (
        f"is not YAML: {problem}",
        f"{error.context} that begins on line {mark.line + 1}" if mark and mark.line + 1 < line else "",
    )


class _Loader(yaml.SafeLoader):
    """Leaves the meaning of a scalar to `plain`: PyYAML's own is YAML 1.1's, where `no` is false and 1:30 is ninety."""

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: object) -> str:
        return ""


class _Builder:
    """Turns nodes into values by YAML 1.2's core schema, noting lines; counts nodes, so that aliases cannot explode."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0

    def build(self, node: yaml.Node, path: KeyPath, depth: int) -> Any:
        self._count += 1
        line, column = _position_of(node.start_mark)
        if path not in self._document.lines:
            self._document.lines[path], self._document.columns[path] = line, column
        if self._count > MOST_NODES:
            message = f"has more than {MOST_NODES} values once its aliases are followed"
            raise self._document.refused(line, message, "", column)
        if depth > MOST_DEPTH:
            raise self._document.refused(line, "is nested too deeply", f"at most {MOST_DEPTH} levels", column)
        if node.tag not in {"", _TEXT_TAG}:
            self._document.add_at(line, column, path, f"tag {_short(node.tag)} is not allowed", "remove it")
            return _WRONG
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            items = [self.build(item, (*path, number), depth + 1) for number, item in enumerate(node.value)]
            return _WRONG if any(item is _WRONG for item in items) else items
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            position = _position_of(key_node.start_mark)
            key = self._key(key_node, path)
            if key is None:
                continue
            inner = (*path, key)
            if key in found or inner in self._document.lines:
                hint = f"first on line {self._document.lines[inner]}"
                self._document.add_at(*position, inner, f"key {key!r} is defined twice", hint)
                continue
            self._document.lines[inner], self._document.columns[inner] = position
            value = self.build(value_node, inner, depth + 1)
            if value is None and self._document.lenient:
                self._document.empty[inner] = self._document.lines.pop(inner)
            elif value is None:
                self._document.add_at(*position, inner, "has no value", "write one, or remove the key")
            elif value is not _WRONG:
                found[key] = value
        return found

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        """Return the key as text; None: it was wrong."""
        position = _position_of(node.start_mark)
        if not isinstance(node, yaml.ScalarNode):
            self._document.add_at(*position, path, "a key must be a plain word")
            return None
        if node.value == "<<" and not node.style:
            hint = "write the keys out; an alias for a whole value is fine"
            self._document.add_at(*position, path, "merge keys (<<) are not part of YAML 1.2", hint)
            return None
        return self._text(node, path)

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        text = self._text(node, path)
        if text is None:
            return _WRONG
        self._document.spots[path] = (node.start_mark.index, node.end_mark.index)
        if node.tag == _TEXT_TAG or getattr(node, "style", None):
            return text
        value = plain(text)
        if isinstance(value, float) and not math.isfinite(value):
            self._document.add_at(*_position_of(node.start_mark), path, f"{text} is not a finite number")
            return _WRONG
        if value is not None and not isinstance(value, str):
            self._document.texts[path] = text
        return value

    def _text(self, node: yaml.Node, path: KeyPath) -> str | None:
        """Return text that stores, labels and headers can hold; None: it is not."""
        text: str = node.value
        try:
            # JSON writes characters beyond U+FFFF as two escapes, which belong together.
            whole = text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            whole = "\0"
        if "\0" not in whole:
            return whole
        position = _position_of(node.start_mark)
        self._document.add_at(*position, path, "text holds a NUL or half a surrogate pair", "remove it")
        return None


def _short(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


def plain(text: str) -> Any:
    """Return an unquoted scalar by YAML 1.2: yes, no, on and off are words, 1:30 is text, 010 is ten."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > 300:  # no number that is meant; int() refuses thousands of digits
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
