"""Syntax tree of a template; str() of a node is how Go prints it in messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a template. position: offset in characters."""

    position: int


@dataclass(frozen=True, slots=True)
class Text(Node):
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class Dot(Node):
    """The cursor `.`."""

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Nil(Node):
    """The constant nil."""

    def __str__(self) -> str:
        return "nil"


@dataclass(frozen=True, slots=True)
class Bool(Node):
    """True or false."""

    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A numeric constant without a type yet.

    as_int, as_float: its value as such, None where it has none. floating: written as a floating-point number.
    """

    text: str
    as_int: int | None
    as_float: float | None
    floating: bool

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class String(Node):
    """A string constant. quoted: as written."""

    quoted: str
    text: str

    def __str__(self) -> str:
        return self.quoted


@dataclass(frozen=True, slots=True)
class Identifier(Node):
    """A function's name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Field(Node):
    """Fields of the cursor: .A.B."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """A variable, with fields: $x.A.B."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """Fields of a term in parentheses: (x).A.B."""

    node: Node
    names: tuple[str, ...]

    def __str__(self) -> str:
        inner = f"({self.node})" if isinstance(self.node, Pipe) else str(self.node)
        return inner + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Command(Node):
    """A function or value with its arguments."""

    args: tuple[Node, ...]

    def __str__(self) -> str:
        return " ".join(f"({arg})" if isinstance(arg, Pipe) else str(arg) for arg in self.args)


@dataclass(frozen=True, slots=True)
class Pipe(Node):
    """Commands joined by |, with variables declared or assigned. line: for messages."""

    declarations: tuple[Variable, ...]
    assigns: bool
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        sign = " = " if self.assigns else " := "
        names = ", ".join(map(str, self.declarations)) + sign if self.declarations else ""
        return names + " | ".join(map(str, self.commands))


@dataclass(frozen=True, slots=True)
class Action(Node):
    """{{ pipeline }}."""

    pipe: Pipe


@dataclass(frozen=True, slots=True)
class Branch(Node):
    """{{ if }}, {{ range }} or {{ with }}."""

    keyword: str
    pipe: Pipe
    body: Sequence[Any]
    otherwise: Sequence[Any] | None


@dataclass(frozen=True, slots=True)
class Jump(Node):
    """{{ break }} or {{ continue }}."""

    keyword: str

    def __str__(self) -> str:
        return "{{" + self.keyword + "}}"


@dataclass(frozen=True, slots=True)
class Invocation(Node):
    """{{ template "name" pipeline }}."""

    name: str
    pipe: Pipe | None

    def __str__(self) -> str:
        behind = "" if self.pipe is None else f" {self.pipe}"
        return f'{{{{template "{self.name}"{behind}}}}}'


@dataclass(slots=True)
class Tree:
    """A parsed template: its body, and the templates that it defines by name."""

    name: str
    text: str
    body: Sequence[Any] = ()
    defined: dict[str, Sequence[Any]] = field(default_factory=dict)
