"""Evaluator of Go templates, bounded in steps, depth and output. Messages are worded as Go's are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.templates.builtins import printable
from bridge.templates.errors import CallError, TemplateError
from bridge.templates.nodes import (
    Action,
    Bool,
    Branch,
    Chain,
    Command,
    Dot,
    Field,
    Identifier,
    Invocation,
    Jump,
    Nil,
    Node,
    Number,
    Pipe,
    String,
    Text,
    Tree,
    Variable,
)
from bridge.templates.values import ANY, Arguments, Function, Zero, is_true, struct_fields, type_name

_MISSING: Any = object()  # no value comes from the stage before


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one execution.

    steps: nodes that are evaluated. depth: templates within templates. output: characters.
    """

    steps: int = 50_000
    depth: int = 30
    output: int = 256 * 1024


class _Break(Exception):  # noqa: N818 - control flow, not an error
    pass


class _Continue(Exception):  # noqa: N818 - control flow, not an error
    pass


def execute(tree: Tree, data: Any, functions: Mapping[str, Function], limits: Limits | None = None) -> str:
    """Return the text of a template for `data`. Raises TemplateError."""
    run = _Execution(tree, functions, limits or Limits())
    run.template(tree.name, tree.body, data)
    return "".join(run.output)


class _Execution:
    def __init__(self, tree: Tree, functions: Mapping[str, Function], limits: Limits) -> None:
        self.output: list[str] = []
        self._tree = tree
        self._functions = functions
        self._limits = limits
        self._steps = self._written = self._depth = 0
        self._node: Node | None = None
        self._name = tree.name
        self._variables: list[tuple[str, Any]] = []

    # ------------------------------------------------------------ errors and bounds

    def _error(self, message: str) -> TemplateError:
        if self._node is None:
            return TemplateError(f"template: {self._name}: {message}")
        before = self._tree.text[: self._node.position]
        line_start = before.rfind("\n") + 1
        column = len(before[line_start:].encode())
        position = f"{self._tree.name}:{before.count(chr(10)) + 1}:{column}"
        return TemplateError(f'template: {position}: executing "{self._name}" at <{self._node}>: {message}')

    def _at(self, node: Node) -> None:
        self._node = node
        self._steps += 1
        if self._steps > self._limits.steps:
            raise self._error(f"more than {self._limits.steps} steps")

    def _write(self, text: str) -> None:
        self._written += len(text)
        if self._written > self._limits.output:
            raise self._error(f"output longer than {self._limits.output} characters")
        self.output.append(text)

    # ------------------------------------------------------------ statements

    def template(self, name: str, body: Sequence[Any], data: Any) -> None:
        """Execute a template as a whole, with variables of its own."""
        before = self._name, self._variables
        self._name, self._variables = name, [("$", data)]
        self._depth += 1
        if self._depth > self._limits.depth:
            raise self._error(f"exceeded maximum template depth ({self._limits.depth})")
        self._walk(data, body)
        self._depth -= 1
        self._name, self._variables = before

    def _walk(self, dot: Any, body: Iterable[Any]) -> None:
        for node in body:
            match node:
                case Text():
                    self._write(node.text)
                case Action():
                    self._at(node.pipe)
                    value = self._pipeline(dot, node.pipe)
                    if not node.pipe.declarations:
                        self._write(printable(value))
                case Branch(keyword="range"):
                    self._range(dot, node)
                case Branch():
                    self._if_or_with(dot, node)
                case Invocation():
                    self._invoke(dot, node)
                case Jump():
                    raise _Break if node.keyword == "break" else _Continue

    def _if_or_with(self, dot: Any, node: Branch) -> None:
        mark = len(self._variables)
        value = self._pipeline(dot, node.pipe)
        if is_true(value):
            self._walk(value if node.keyword == "with" else dot, node.body)
        elif node.otherwise is not None:
            self._walk(dot, node.otherwise)
        del self._variables[mark:]

    def _range(self, dot: Any, node: Branch) -> None:
        outer = len(self._variables)
        value = self._pipeline(dot, node.pipe)
        mark = len(self._variables)
        items = self._items(value)
        try:
            for key, item in items:
                self._set_loop_variables(node.pipe, key, item)
                try:
                    self._walk(item, node.body)
                except _Continue:
                    pass
                finally:
                    del self._variables[mark:]
        except _Break:
            pass
        if not items and node.otherwise is not None:
            self._walk(dot, node.otherwise)
        del self._variables[outer:]

    def _items(self, value: Any) -> list[tuple[Any, Any]]:
        if value is None or isinstance(value, Zero):
            return []
        if isinstance(value, Mapping):
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, list):
            return list(enumerate(value))
        raise self._error(f"range can't iterate over {printable(value)}")

    def _set_loop_variables(self, pipe: Pipe, key: Any, item: Any) -> None:
        names = pipe.declarations
        values = (item,) if len(names) == 1 else (key, item)
        for index, (variable, value) in enumerate(zip(names, values, strict=False)):
            if pipe.assigns:
                self._set(variable.names[0], value)
            else:
                at = len(self._variables) - len(names) + index
                self._variables[at] = (variable.names[0], value)

    def _invoke(self, dot: Any, node: Invocation) -> None:
        self._at(node)
        body = self._tree.defined.get(node.name)
        if body is None:
            raise self._error(f'template "{node.name}" not defined')
        self.template(node.name, body, None if node.pipe is None else self._pipeline(dot, node.pipe))

    # ------------------------------------------------------------ pipelines

    def _pipeline(self, dot: Any, pipe: Pipe) -> Any:
        self._at(pipe)
        value = _MISSING
        for command in pipe.commands:
            value = self._command(dot, command, value)
        for variable in pipe.declarations:
            if pipe.assigns:
                self._set(variable.names[0], value)
            else:
                self._variables.append((variable.names[0], value))
        return value

    def _set(self, name: str, value: Any) -> None:
        for at in range(len(self._variables) - 1, -1, -1):
            if self._variables[at][0] == name:
                self._variables[at] = (name, value)
                return
        raise self._error(f"undefined variable: {name}")

    def _command(self, dot: Any, command: Command, final: Any) -> Any:
        first = command.args[0]
        match first:
            case Field():
                return self._field_node(dot, first, command.args, final)
            case Chain():
                return self._chain(dot, first, command.args, final)
            case Identifier():
                return self._function(dot, first, command, command.args, final)
            case Variable():
                return self._variable(dot, first, command.args, final)
            case Pipe():
                self._refuse_arguments(command.args, final)
                return self._pipeline(dot, first)
        self._at(first)
        self._refuse_arguments(command.args, final)
        if isinstance(first, Nil):
            raise self._error("nil is not a command")
        return self._constant(dot, first)

    def _constant(self, dot: Any, node: Node) -> Any:
        self._at(node)
        match node:
            case Dot():
                return dot
            case Bool():
                return node.value
            case String():
                return node.text
            case Number():
                return self._ideal(node)
        raise self._error(f"can't handle assignment of {node} to empty interface argument")

    def _ideal(self, node: Number) -> Any:
        """Return an untyped constant as float64 where it is written so, else as int."""
        if node.floating:
            return node.as_float
        if node.as_int is None or node.as_int >= 2**63:
            raise self._error(f"{node.text} overflows int")
        return node.as_int

    def _refuse_arguments(self, args: Sequence[Node], final: Any) -> None:
        if len(args) > 1 or final is not _MISSING:
            raise self._error(f"can't give argument to non-function {args[0]}")

    # ------------------------------------------------------------ fields and variables

    def _field_node(self, dot: Any, node: Field, args: Sequence[Node], final: Any) -> Any:
        self._at(node)
        return self._fields(dot, dot, node.names, args, final)

    def _chain(self, dot: Any, node: Chain, args: Sequence[Node], final: Any) -> Any:
        self._at(node)
        if isinstance(node.node, Nil):
            raise self._error(f"indirection through explicit nil in {node}")
        receiver = self._argument(dot, ANY, node.node)
        return self._fields(dot, receiver, node.names, args, final)

    def _variable(self, dot: Any, node: Variable, args: Sequence[Node], final: Any) -> Any:
        self._at(node)
        value = next((value for name, value in reversed(self._variables) if name == node.names[0]), _MISSING)
        if value is _MISSING:
            raise self._error(f"undefined variable: {node.names[0]}")
        if len(node.names) == 1:
            self._refuse_arguments(args or (node,), final)
            return value
        return self._fields(dot, value, node.names[1:], args, final)

    def _fields(self, dot: Any, receiver: Any, names: Sequence[str], args: Sequence[Node], final: Any) -> Any:
        for name in names[:-1]:
            receiver = self._field(dot, receiver, name, (), _MISSING)
        return self._field(dot, receiver, names[-1], args, final)

    def _field(self, dot: Any, receiver: Any, name: str, args: Sequence[Node], final: Any) -> Any:
        if receiver is None or isinstance(receiver, Zero):
            return Zero()
        methods: Mapping[str, Function] = getattr(receiver, "go_methods", {})
        if name in methods:
            return self._call(dot, methods[name], self._node, name, args, final, receiver=receiver)
        has_arguments = len(args) > 1 or final is not _MISSING
        known = dict(struct_fields(receiver))
        if name in known:
            if has_arguments:
                raise self._error(f"{name} has arguments but cannot be invoked as function")
            return known[name]
        if isinstance(receiver, Mapping):
            if has_arguments:
                raise self._error(f"{name} is not a method but has arguments")
            return receiver.get(name, None if isinstance(receiver, Arguments) else "")
        raise self._error(f"can't evaluate field {name} in type {type_name(receiver)}")

    # ------------------------------------------------------------ calls

    def _function(self, dot: Any, node: Identifier, command: Node, args: Sequence[Node], final: Any) -> Any:
        self._at(node)
        function = self._functions.get(node.name)
        if function is None:
            raise self._error(f'"{node.name}" is not a defined function')
        return self._call(dot, function, command, node.name, args, final)

    def _call(
        self, dot: Any, function: Function, node: Node | None, name: str, args: Sequence[Node], final: Any,
        *, receiver: Any = _MISSING,
    ) -> Any:  # fmt: skip
        args = args[1:]
        count = len(args) + (final is not _MISSING)
        fixed = len(function.parameters)
        if function.more is not None and count < fixed:
            raise self._error(f"wrong number of args for {name}: want at least {fixed} got {len(args)}")
        if function.more is None and count != fixed:
            raise self._error(f"wrong number of args for {name}: want {fixed} got {count}")
        if name in {"and", "or"} and receiver is _MISSING:
            return self._and_or(dot, name, args, final)
        types = [*function.parameters, *[function.more or ANY] * (count - fixed)]
        values = [self._argument(dot, kind, arg) for kind, arg in zip(types, args, strict=False)]
        if final is not _MISSING:
            values.append(self._checked(final, types[count - 1]))
        if receiver is not _MISSING:
            values.insert(0, receiver)
        try:
            return function.call(*values)
        except CallError as error:
            if node is not None:
                self._at(node)
            raise self._error(f"error calling {name}: {error}") from None

    def _and_or(self, dot: Any, name: str, args: Sequence[Node], final: Any) -> Any:
        value: Any = None
        for arg in args:
            value = self._argument(dot, ANY, arg)
            if is_true(value) == (name == "or"):
                return value
        return value if final is _MISSING else final

    def _argument(self, dot: Any, kind: str, node: Node) -> Any:  # noqa: PLR0911 - one for each kind of node
        self._at(node)
        match node:
            case Dot():
                return self._checked(dot, kind)
            case Nil():
                if kind in {"string", "float64", "int", "bool"}:
                    raise self._error(f"cannot assign nil to {kind}")
                return None
            case Field():
                return self._checked(self._field_node(dot, node, (), _MISSING), kind)
            case Variable():
                return self._checked(self._variable(dot, node, (), _MISSING), kind)
            case Pipe():
                return self._checked(self._pipeline(dot, node), kind)
            case Identifier():
                return self._checked(self._function(dot, node, node, (), _MISSING), kind)
            case Chain():
                return self._checked(self._chain(dot, node, (), _MISSING), kind)
        return self._literal(dot, kind, node)

    def _literal(self, dot: Any, kind: str, node: Node) -> Any:
        match kind, node:
            case "interface {}", _:
                return self._constant(dot, node)
            case "string", String():
                return node.text
            case "float64", Number() if node.as_float is not None:
                return node.as_float
            case "int", Number() if node.as_int is not None:
                return node.as_int
            case "bool", Bool():
                return node.value
        words = {"string": "string", "float64": "float", "int": "integer", "bool": "bool"}
        if kind in words:
            raise self._error(f"expected {words[kind]}; found {node}")
        raise self._error(f"can't handle {node} for arg of type {kind}")

    def _checked(self, value: Any, kind: str) -> Any:
        if value is None or isinstance(value, Zero):
            if kind in {"string", "float64", "int", "bool"}:
                raise self._error(f"invalid value; expected {kind}")
            return None if kind != ANY else value
        if kind not in {ANY, type_name(value)}:
            raise self._error(f"wrong type for value; expected {kind}; got {type_name(value)}")
        return value
