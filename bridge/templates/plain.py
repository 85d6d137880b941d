"""Fast path of templates that only insert values: text, the value, the limit, labels, and functions of those.

Most annotations are such, and an evaluator of trees takes ten times as long for each of 10,000 alerts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bridge.templates.builtins import printable
from bridge.templates.floats import shortest
from bridge.templates.nodes import Action, Command, Field, Identifier, Node, String, Text, Variable
from bridge.templates.values import ANY, AlertData, Function, type_name

Getter = Callable[[AlertData], Any]
_ROOTS: Mapping[str, str] = {
    "$value": "Value", "$labels": "Labels", "$externalLabels": "ExternalLabels", "$externalURL": "ExternalURL",
    "$threshold": "Threshold",
}  # fmt: skip
_LAZY = frozenset({"and", "or"})  # they do not evaluate every argument


def compiled(body: Sequence[Any], functions: Mapping[str, Function]) -> Callable[[AlertData], str] | None:
    """Return a function that expands a template, None if it does more than insert values.

    body: without the definitions of `_ROOTS`.
    The function raises an exception of any kind where the evaluator must decide, for instance on errors.
    """
    parts: list[str | Getter] = []
    for node in body:
        match node:
            case Text():
                parts.append(node.text)
            case Action() if node.pipe.declarations:
                return None
            case Action():
                getter = _pipeline(node.pipe.commands, functions)
                if getter is None:
                    return None
                parts.append(getter)
            case _:
                return None
    return lambda data: "".join([part if isinstance(part, str) else _shown(part(data)) for part in parts])


def _shown(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is float and -1e300 < value < 1e300:
        return shortest(value)
    return printable(value)


def _pipeline(commands: Sequence[Command], functions: Mapping[str, Function]) -> Getter | None:
    """Return a getter of a pipeline's value; each command after the first is a function of the value before."""
    getter: Getter | None = None
    for number, command in enumerate(commands):
        before = (getter,) if number and getter is not None else ()
        getter = _command(command, functions, before)
        if getter is None:
            return None
    return getter


def _command(command: Command, functions: Mapping[str, Function], before: tuple[Getter, ...]) -> Getter | None:
    first, *others = command.args
    if not isinstance(first, Identifier):
        return None if others or before else _value(first)
    function, given = functions.get(first.name), [_value(node) for node in others]
    arguments = [item for item in given if item is not None] + list(before)
    if function is None or first.name in _LAZY or None in given:
        return None
    count, fixed = len(arguments), len(function.parameters)
    if count < fixed or (function.more is None and count != fixed):
        return None
    types = [*function.parameters, *[function.more or ANY] * (count - fixed)]
    call = function.call

    def called(data: AlertData) -> Any:
        values = [argument(data) for argument in arguments]
        if any(kind not in {ANY, type_name(value)} for kind, value in zip(types, values, strict=True)):
            raise TypeError
        return call(*values)

    return called


def _value(node: Node) -> Getter | None:
    """Return a getter of a field or variable, or of a text constant."""
    match node:
        case String():
            text = node.text
            return lambda _: text
        case Variable(names=(name, *inner)) if name in _ROOTS:
            return _field(_ROOTS[name], inner)
        case Field(names=(name, *inner)) if name in _ROOTS.values():
            return _field(name, inner)
    return None


def _field(name: str, inner: Sequence[str]) -> Getter | None:
    match name, list(inner):
        case "Value", []:
            return lambda data: data.Value
        case "ExternalURL", []:
            return lambda data: data.ExternalURL
        case "Threshold", []:
            return lambda data: "" if data.limit is None else data.limit
        case "Labels", [label]:
            return lambda data: data.Labels.get(label, "")
        case "ExternalLabels", [label]:
            return lambda data: data.ExternalLabels.get(label, "")
    return None
