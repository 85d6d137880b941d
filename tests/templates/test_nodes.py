"""Nodes of templates: printed as Go prints them in its messages."""

from __future__ import annotations

import pytest

from bridge.templates.nodes import (
    Bool,
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
    Variable,
)

ONE = Number(0, "0x1", 1, 1.0, floating=False)
CALL = Command(0, (Identifier(0, "f"), ONE))
PIPE = Pipe(0, (), False, (CALL,))


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (Dot(0), "."),
        (Nil(0), "nil"),
        (Bool(0, value=False), "false"),
        (ONE, "0x1"),
        (String(0, "`a`", "a"), "`a`"),
        (Field(0, ("A", "B")), ".A.B"),
        (Variable(0, ("$x", "A")), "$x.A"),
        (Chain(0, PIPE, ("A",)), "(f 0x1).A"),
        (Chain(0, Nil(0), ("A",)), "nil.A"),
        (Command(0, (Identifier(0, "g"), PIPE)), "g (f 0x1)"),
        (Pipe(0, (), False, (CALL, Command(0, (Identifier(0, "g"),)))), "f 0x1 | g"),
        (Pipe(0, (Variable(0, ("$k",)), Variable(0, ("$v",))), False, (CALL,)), "$k, $v := f 0x1"),
        (Pipe(0, (Variable(0, ("$k",)),), True, (CALL,)), "$k = f 0x1"),
        (Jump(0, "break"), "{{break}}"),
        (Invocation(0, "t", None), '{{template "t"}}'),
        (Invocation(0, "t", PIPE), '{{template "t" f 0x1}}'),
    ],
)
def test_a_node_prints_as_in_go(node: Node, text: str) -> None:
    assert str(node) == text
