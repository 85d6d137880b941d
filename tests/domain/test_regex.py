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


@pytest.mark.parametrize("text", ["a?" * 3000, "](?i){1,50}" * 106, "(?:a?){30}" * 100], ids=lambda text: text[:12])
def test_a_long_chain_of_optional_pieces_is_refused(text: str) -> None:
    """RE2's time to compile it is quadratic: each piece leads to all that follow."""
    with pytest.raises(ValueError, match="too large; write fewer repetitions"):
        Regex(text)


def test_many_alternatives_and_a_short_chain_of_optional_pieces_are_accepted() -> None:
    """A list of models and an address with optional digits need no limit."""
    names = "|".join(f"model-{number:03}" for number in range(500))
    assert Regex(f"({names})(-v[0-9]{{1,3}})?").matches("model-042-v17")
    assert Regex("(?:[0-9]{1,3}[.]){3}[0-9]{1,3}").matches("192.168.1.20")
    assert Regex("a?" * 400).matches("a" * 400)


def test_nested_repetition_takes_linear_time() -> None:
    """A backtracking matcher would not end."""
    assert not Regex("((.+)+)+z").matches("a" * 50_000)
