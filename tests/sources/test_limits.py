"""Expressions that differ in a limit at their end."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.sources.limits import Limit, limit_of, weakest


@pytest.mark.parametrize(
    ("expr", "limit"),
    [
        ("x > 0.6", Limit("x", ">", 0.6)),
        ("  x>=5 ", Limit("x", ">=", 5.0)),
        ('max by (a) (x{b="c > 1"}) < -1e3', Limit('max by (a) (x{b="c > 1"})', "<", -1000.0)),
        ("sum(x > 1) > 2", Limit("sum(x > 1)", ">", 2.0)),
        ("(a or b) <= .5", Limit("(a or b)", "<=", 0.5)),
        ("rate(x[5m]) / on (p) y > 0.05", Limit("rate(x[5m]) / on (p) y", ">", 0.05)),
    ],
)
def test_a_limit_at_the_end_is_recognised(expr: str, limit: Limit) -> None:
    """Any operator of higher precedence than a comparison may precede it."""
    assert limit_of(expr) == limit


@pytest.mark.parametrize(
    "expr",
    [
        "x", "a or b > 5", "a and b > 5", "a unless b > 5", "a > 5 > 3", "x > bool 0.6", "x > 2 * 3", "x == 5",
        "x != 5", "x > y", "x # all > 5", "a > 0.6 and b > 0.5", "x > 5 or y",
        "> 5", 'x{a="b} > 5', "x default 0 > 5", "x > Inf",
    ],
)  # fmt: skip
def test_an_expression_without_a_limit_has_none(expr: str) -> None:
    """With an operator of lower precedence, the limit is not that of the whole expression."""
    assert limit_of(expr) is None


def test_the_weakest_lets_most_through() -> None:
    """The lowest of lower bounds, the highest of upper bounds."""
    assert weakest([Limit("x", ">", 0.7), Limit("x", ">", 0.5)]) == Limit("x", ">", 0.5)
    assert weakest([Limit("x", "<=", 0.7), Limit("x", "<=", 0.9)]) == Limit("x", "<=", 0.9)


@pytest.mark.parametrize(
    ("sign", "held"),
    [
        (">", [False, False, True, False, True]),
        (">=", [False, True, True, False, True]),
        ("<", [True, False, False, False, False]),
        ("<=", [True, True, False, False, False]),
    ],
)
def test_values_pass_as_in_promql(sign: str, held: list[bool]) -> None:
    """NaN never does."""
    assert Limit("x", sign, 1.0).holds(np.array([0.5, 1.0, 2.0, np.nan, np.inf])).tolist() == held
