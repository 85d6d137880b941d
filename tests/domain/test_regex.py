"""Regular expressions in the syntax of Go, matched by RE2."""

from __future__ import annotations

import pytest

from bridge.domain.regex import LONGEST, PROMETHEUS, Regex


@pytest.mark.parametrize(
    ("text", "value", "matches"),
    [("a|b", "b", True), ("a|b", "ab", False), ("[[:alpha:]]+", "abc", True), (r"\pL+", "été", True), ("", "", True)],
)
def test_the_whole_value_has_to_match(text: str, value: str, matches: bool) -> None:
    """Classes of RE2 are supported."""
    assert Regex(text).matches(value) is matches


def test_the_dot_matches_a_line_end_only_in_prometheus() -> None:
    """Alertmanager's dialect is the default."""
    assert Regex("a.b", PROMETHEUS).matches("a\nb")
    assert not Regex("a.b").matches("a\nb")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(", "not a regular expression: missing )"),
        (r"\C", "not supported"),
        ("\ud800", "half of a surrogate pair"),
        ("a" * (LONGEST + 1), "write at most"),
        (r"(\pL{100}){10}", "too large"),
    ],
)
def test_an_invalid_expression_is_refused_with_its_reason(text: str, message: str) -> None:
    """The reason is short, whatever the length of the expression."""
    with pytest.raises(ValueError, match="not a regular expression") as error:
        Regex(text)
    assert message in str(error.value)
    assert len(str(error.value)) < 200


def test_nested_repetition_takes_linear_time() -> None:
    """A backtracking matcher would not end."""
    assert not Regex("((.+)+)+z").matches("a" * 50_000)
