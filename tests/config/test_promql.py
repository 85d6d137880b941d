"""What is seen of a wrong expression without Prometheus; what is right is never refused."""

from __future__ import annotations

import pytest

from bridge.config.promql import promql_problem


@pytest.mark.parametrize(
    "text",
    [
        "up",
        'sum by (a) (rate(x{b="c",d=~"e|f"}[5m]))',
        "x{a='}'} > 1",
        'x{a="say \\"(\\""}',
        "x{a=`raw \\`} == 1",
        'up # (not closed, nor "this, and $that\n> 0',
        '{"quoted.name", a="#"}',
        'x{a="\\\\"}',
        'label_replace(x, "v", "$1", "a", "(.*)")',
        "1",
    ],
)
def test_a_right_expression_is_let_through(text: str) -> None:
    """Texts and comments may hold anything."""
    assert promql_problem(text) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the expression is empty"),
        (" \n# only a comment (", "the expression is empty"),
        ("sum(x", "'(' is not closed in the expression"),
        ("x[5m", "'[' is not closed in the expression"),
        ("sum(x))", "unexpected ')' in the expression"),
        ("rate(x[5m)]", "unexpected ')' in the expression"),
        ('x{a="b}', 'a string that begins with " is not closed in the expression'),
        ("x{a='b\n'}", "a string that begins with ' is not closed in the expression"),
        ("x > $limit", "$limit is not PromQL; the only variable is $window, in signals"),
        ("x[$window]", "$window is not PromQL; the only variable is $window, in signals"),
    ],
)
def test_a_wrong_expression_is_named(text: str, problem: str) -> None:
    """Before the first evaluation finds out."""
    found = promql_problem(text)
    assert found is not None
    assert found[1] == problem
