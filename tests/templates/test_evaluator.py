"""Evaluator of templates: control flow, variables, calls, and errors with their column."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.templates.builtins import BUILTINS
from bridge.templates.errors import CallError, TemplateError
from bridge.templates.evaluator import Limits, execute
from bridge.templates.parser import parse
from bridge.templates.values import FLOAT, STRING, Function, Sample, Vector


def fail() -> None:
    raise CallError("broken")


FUNCTIONS = {
    **BUILTINS,
    "fail": Function(fail),
    "half": Function(lambda value: value / 2, (FLOAT,)),
    "join": Function(lambda *texts: "+".join(texts), (STRING,), STRING),
}
DATA: dict[str, Any] = {"b": "2", "a": "1", "empty": ""}


def expand(text: str, data: Any = DATA, limits: Limits | None = None) -> str:
    return execute(parse("t", text, FUNCTIONS), data, FUNCTIONS, limits)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a{{.b}}c", "a2c"),
        ("{{.missing}}|{{index . `missing`}}", "|"),
        ("{{if .empty}}x{{else if .a}}y{{else}}z{{end}}", "y"),
        ("{{with .a}}[{{.}}]{{end}}{{with .empty}}x{{else}}{{.b}}{{end}}", "[1]2"),
        ("{{range $k, $v := .}}{{$k}}={{$v}};{{end}}", "a=1;b=2;empty=;"),
        ("{{range .}}{{if eq . `2`}}{{break}}{{end}}{{.}}{{end}}", "1"),
        ("{{range .}}{{if eq . `1`}}{{continue}}{{end}}<{{.}}>{{end}}", "<2><>"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"),
        ("{{define `t`}}{{.}}{{$}}{{end}}{{template `t` .a}}", "11"),
        ("{{`a` | join `b` `c`}}", "b+c+a"),
        ("{{half 3}}", "1.5"),
        ("{{and 1 0 fail}}|{{or 0 2 fail}}", "0|2"),
        ("{{1.0}} {{1e6}} {{0x10}}", "1 1e+06 16"),
    ],
)
def test_results(source: str, text: str) -> None:
    """and, or: what follows the argument that decides is not evaluated."""
    assert expand(source) == text


def test_a_range_over_nothing_runs_its_else() -> None:
    assert expand("{{range .}}x{{else}}none{{end}}", Vector()) == "none"
    assert expand("{{range .}}{{.Value}} {{end}}", Vector([Sample({}, 1.0), Sample({}, 2.0)])) == "1 2 "


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a\n\u00e9{{ fail }}", 'template: t:2:5: executing "t" at <fail>: error calling fail: broken'),
        ("{{define `d`}}{{fail}}{{end}}{{template `d`}}", 'executing "d" at <fail>'),
        ("{{join}}", "wrong number of args for join: want at least 1 got 0"),
        ("{{half 1 2}}", "wrong number of args for half: want 1 got 2"),
        ("{{half `a`}}", "expected float; found `a`"),
        ("{{half .a}}", "wrong type for value; expected float64; got string"),
        ("{{join nil}}", "cannot assign nil to string"),
        ("{{1 2}}", "can't give argument to non-function 1"),
        ("{{nil}}", "nil is not a command"),
        ("{{.a.b}}", "can't evaluate field b in type string"),
        ("{{.a 1}}", "a is not a method but has arguments"),
        ("{{template `none`}}", 'template "none" not defined'),
        ("{{range 1}}{{end}}", "range can't iterate over 1"),
    ],
)
def test_errors_name_position_and_part(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        expand(source)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("source", "limits", "message"),
    [
        ("{{1}}{{1}}", Limits(steps=5), "more than 5 steps"),
        ("abc{{`de`}}", Limits(output=4), "output longer than 4 characters"),
        (
            "{{define `t`}}{{template `t`}}{{end}}{{template `t`}}",
            Limits(depth=3),
            "exceeded maximum template depth (3)",
        ),
    ],
)
def test_an_execution_is_bounded(source: str, limits: Limits, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        expand(source, limits=limits)
    assert message in str(caught.value)
    assert expand("abc{{`d`}}", limits=Limits(output=4)) == "abcd"
