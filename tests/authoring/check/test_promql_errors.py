"""Errors in PromQL without a server: what Prometheus takes has none, and each error has its place."""

from __future__ import annotations

import pytest

from bridge.authoring.check.promql_errors import MOST_NESTED, parsed, promql_error


@pytest.mark.parametrize(
    "text",
    [
        'sum by (a) (rate(x{b=~"c|d"}[5m])) > bool 3',
        "holt_winters(x[5m], 0.1, 0.2)",
        "double_exponential_smoothing(x[5m], 0.1, 0.2)",
        "x > 1_000",
        "x smoothed > 3",
        "rate(x[5m] anchored)",
        'x{a=~"{.*"}',
        r"x{a!~`\d+`} and y{b=`c\d`}",
        'x{a=~"\\\\d+"} @ start()',
        '{"gen_ai.request.model"="a", a="b"} > 5',
        'a + on (x) group_left (y) b or label_replace(c, "a", "$1", "b", "(.*)")',
        "x offset -5m  # a comment with rat( and '",
        "count_values('version', build_info)",
        "smoothed > anchored",
        "mad_over_time(x[5m])",
    ],
)
def test_what_a_prometheus_takes_has_no_error(text: str) -> None:
    """Of any version, also where the parser alone would refuse it."""
    assert promql_error(text) is None
    assert parsed(text) is not None


@pytest.mark.parametrize(
    ("text", "at", "message", "hint"),
    [
        ("rat(x[5m])", "rat", "unknown function 'rat'", "did you mean 'rate'?"),
        ("sum(rat(x[5m]))", "rat", "unknown function 'rat'", "did you mean 'rate'?"),
        ("x > > 0.1", "> 0", "unexpected '>'", ""),
        ("sum by (a b) (x)", "b) ", "unexpected 'b'", ""),
        ("x = 5", "= 5", "unexpected '='", "compare with =="),
        ("x > 5 || y", "|| y", "unexpected '||'", "write 'or'"),
        ("x > 3 for 5m", "for 5m", "unexpected 'for'", ""),
        ("sum(rate(x)) > 1", "rate(x)", "function 'rate' needs a range such as x[5m], not an instant vector", ""),
        ("a and 1 > 2", "a and", "comparisons between scalars must use BOOL modifier", ""),
        ("x and (y{a=~'('} > 2)", "'('", "=~'(': not a regular expression", ""),
        ("x >", ">", "the expression ends too early, after '>'", ""),
        ("error_ratio > 5%", "%", "the expression ends too early", "write 5 % as 0.05"),
        ('x{a="b" or c="d"}', "or", "unexpected 'or' in a selector", "write two selectors"),
        ('x{a="b" c="d"}', "c=", "unexpected 'c'", ""),
        ("max by (a) (topk(x))", "topk(x)", "wrong number of arguments", ""),
    ],
)
def test_an_error_has_its_place_and_a_hint(text: str, at: str, message: str, hint: str) -> None:
    """The place is that of the first token that is wrong, or of the smallest part that is."""
    error = promql_error(text)
    assert error is not None
    assert error.offset == text.index(at)
    assert error.message.startswith(message)
    assert hint in error.hint


@pytest.mark.parametrize("text", ["(" * 5000 + "x" + ")" * 5000, "x" + " + x" * 5000, "-" * 5000 + "x"])
def test_what_is_too_deep_for_the_parser_is_left_to_the_server(text: str) -> None:
    """The parser would end the process."""
    assert promql_error(text) is None
    assert parsed(text) is None


def test_what_is_long_and_flat_is_parsed() -> None:
    """Many matchers are no depth."""
    matchers = ", ".join(f'a{number}="b"' for number in range(2 * MOST_NESTED))
    assert promql_error(f"x{{{matchers}}}") is None
    error = promql_error(f"x{{{matchers}}} > > 1")
    assert error is not None
    assert error.message == "unexpected '>' in the expression"
