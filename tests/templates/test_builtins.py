"""Functions that Go's templates predefine. test_alert.py has their errors within a template."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.templates import builtins
from bridge.templates.builtins import BUILTINS
from bridge.templates.errors import CallError
from bridge.templates.values import Sample, Vector, Zero


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("eq", (1, 2, 1), True), ("eq", ("a", "b"), False), ("eq", (None, None), True), ("ne", (1.0, 1.5), True),
        ("lt", ("Z", "a"), True), ("lt", (2, 1), False), ("le", (1, 1), True), ("gt", (2.0, 1.0), True),
        ("ge", (1, 1), True), ("not", ("",), True), ("len", ("\u00e9",), 2), ("len", ({"a": "b"},), 1),
        ("index", ({"a": "x"}, "a"), "x"), ("index", ({"a": "x"}, "b"), ""), ("index", ("ab", 1), 98),
        ("index", (Vector(["x", "y"]), 1), "y"), ("slice", ("hello", 1, 3), "el"), ("slice", ("hello", 2), "llo"),
        ("slice", (Vector([1, 2, 3]), 1), [2, 3]), ("print", ("a", 1, 2), "a1 2"), ("println", ("a", 1), "a 1\n"),
        ("printf", ("%d-%s", 1, "a"), "1-a"), ("urlquery", ("a b&c~",), "a+b%26c~"),
        ("html", ("<a href=\"'\">&\0",), "&lt;a href=&#34;&#39;&#34;&gt;&amp;\ufffd"),
        ("js", ("'<\n=\u00e9",), "\\'\\u003C\\u000A\\u003D\u00e9"),
    ],
)  # fmt: skip
def test_results(name: str, arguments: tuple[Any, ...], result: Any) -> None:
    assert BUILTINS[name].call(*arguments) == result


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("eq", (1,), "missing argument for comparison"),
        ("eq", ({}, {}), "non-comparable type"),
        ("eq", (1, 1.0), "incompatible types"),
        ("lt", (True, False), "invalid type for comparison"),
        ("index", ({"a": "x"}, 1), "value has type int; should be string"),
        ("index", (Vector(["x"]), True), "with type bool"),
        ("index", (Vector(["x"]), 1), "reflect: slice index out of range"),
        ("index", ("a", 1), "reflect: string index out of range"),
        ("slice", ("abc", 2, 1), "invalid slice index: 2 > 1"),
        ("slice", ("abc", 4), "index out of range: 4"),
        ("call", (None,), "call of nil"),
        ("call", ("a",), "non-function of type string"),
    ],
)
def test_errors(name: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(CallError, match=message):
        BUILTINS[name].call(*arguments)


def test_a_part_of_a_list_keeps_its_type() -> None:
    assert isinstance(builtins.slice_(Vector([1, 2]), 1), Vector)


def test_an_action_prints_a_missing_value_as_go_does() -> None:
    assert [builtins.printable(value) for value in (None, Zero(), "", 1e6)] == ["<no value>", "<no value>", "", "1e+06"]
    assert builtins.printable(Sample({}, 2.0)) == "{map[] 2}"
