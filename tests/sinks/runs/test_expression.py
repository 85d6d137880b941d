"""JMESPath expressions: errors with their column, and values that are absent."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from bridge.sinks.runs.expression import Expression, decoded, find, find_link, find_text


@pytest.mark.parametrize("text", ["a..b", "[", "foo(", "`1", "unknown_function(@) |"])
def test_a_wrong_expression_is_refused(text: str) -> None:
    """With its column, or that it ends too early."""
    with pytest.raises(ValidationError, match="is not a JMESPath expression"):
        TypeAdapter(Expression).validate_python(text)


def test_an_expression_that_does_not_apply_finds_nothing() -> None:
    """An error page, null, or a value of another type is no exception."""
    values: list[object] = [None, "page", 7, [], {"a": None}]
    for value in values:
        assert find("join('-', a)", value) is None
        assert find_text("a.b", value) == ""
    assert find_text("a", {"a": 455}) == "455"
    assert find_text("a", {"a": "x\0y"}) == "x\ufffdy"
    assert find_text("a", decoded(b'{"a": "cut in a pair: \\ud83d"}')) == "cut in a pair: \ufffd"
    assert find_link("a", {"a": "javascript:alert(1)"}) == ""


@pytest.mark.parametrize(
    ("value", "link"),
    [("https://x", "https://x"), ("http://x", "http://x"), ("//x", ""), (7, ""), (None, ""), ("HTTP://x", "")],
)
def test_only_web_addresses_are_links(value: object, link: str) -> None:
    assert find_link("a", {"a": value}) == link
    assert find_link("", {"a": value}) == ""


def test_a_body_that_is_not_json_is_none() -> None:
    """Also one that is nested too deep."""
    assert decoded(b'{"a": [1]}') == {"a": [1]}
    assert [decoded(body) for body in (b"", b"<html>", b"\xff", b"[" * 100_000)] == [None] * 4
