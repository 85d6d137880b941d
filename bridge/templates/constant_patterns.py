"""Constant regular expressions in a template, checked before the template is expanded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from bridge.templates.alert import NAMES
from bridge.templates.errors import CallError
from bridge.templates.nodes import Command, Identifier, Node, Pipe, String
from bridge.templates.parser import parse
from bridge.templates.prometheus import compiled_pattern

FUNCTIONS = ("match", "reReplaceAll")  # their first argument is a regular expression


@dataclass(frozen=True, slots=True)
class InvalidPattern:
    """Regular expression that cannot be compiled.

    line, column: of the expression in the template, from 1.
    reason: what is wrong with it.
    """

    function: str
    pattern: str
    line: int
    column: int
    reason: str


def invalid_patterns(text: str) -> list[InvalidPattern]:
    """Return the invalid constant regular expressions of a template, in its order. Raises TemplateError."""
    definitions = "".join(f"{{{{${name} := .}}}}" for name in ("labels", "externalLabels", "externalURL", "value"))
    definitions += "{{$threshold := .}}"
    tree = parse("template", definitions + text, NAMES)
    found = []
    for body in (tree.body, *tree.defined.values()):
        for function, constant in _constants(body):
            try:
                compiled_pattern(constant.text)
            except CallError as error:
                before = text[: constant.position - len(definitions)]
                line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
                reason = str(error).removeprefix("error parsing regexp: ")
                found.append(InvalidPattern(function, constant.text, line, column, reason))
    return sorted(found, key=lambda item: (item.line, item.column))


def _constants(part: Any) -> Iterator[tuple[str, String]]:
    """Yield each function with its first argument, if that is a constant."""
    if isinstance(part, Command) and len(part.args) > 1:
        first, constant = part.args[0], _bare(part.args[1])
        if isinstance(first, Identifier) and first.name in FUNCTIONS and isinstance(constant, String):
            yield first.name, constant
    if isinstance(part, Node):
        for item in fields(part):
            yield from _constants(getattr(part, item.name))
    elif isinstance(part, Sequence) and not isinstance(part, str):
        for item in part:
            yield from _constants(item)


def _bare(node: Any) -> Any:
    """Return a constant without its parentheses."""
    while isinstance(node, Pipe) and len(node.commands) == 1 and len(node.commands[0].args) == 1:
        node = node.commands[0].args[0]
    return node
