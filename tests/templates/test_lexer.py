"""Lexer of templates: tokens, trimming, and errors with their line."""

from __future__ import annotations

import pytest

from bridge.templates.errors import TemplateError
from bridge.templates.lexer import Kind, Lexer, show_rune


def tokens(text: str) -> list[tuple[str, str]]:
    return [(token.kind.name, token.text) for token in Lexer("t", text).tokens() if token.kind is not Kind.SPACE]


def test_text_and_actions_alternate() -> None:
    assert tokens("a {{ .X }} b") == [
        ("TEXT", "a "), ("LEFT", "{{"), ("FIELD", ".X"), ("RIGHT", "}}"), ("TEXT", " b"), ("EOF", ""),
    ]  # fmt: skip


def test_trim_markers_remove_spaces_of_the_text() -> None:
    """A minus without a space belongs to a number."""
    assert [text for _, text in tokens("a \n{{- 1 -}}\t b")] == ["a", "{{", "1", "}}", "b", ""]
    assert ("NUMBER", "-1") in tokens("a {{-1}} b")
    assert tokens("a {{-1}} b")[0] == ("TEXT", "a ")


def test_comments_leave_no_token() -> None:
    """Only directly behind the delimiter."""
    assert ("CHAR", "/") in tokens("{{ /* x */ }}")
    assert tokens("a {{- /* x }} */ -}} b") == [("TEXT", "a"), ("TEXT", "b"), ("EOF", "")]


@pytest.mark.parametrize(
    ("inside", "kinds"),
    [
        ("$x := true", ["VARIABLE", "DECLARE", "BOOL"]),
        ("if eq . 0x1F", ["KEYWORD", "IDENTIFIER", "DOT", "NUMBER"]),
        ('("a" | f)', ["LEFT_PAREN", "STRING", "PIPE", "IDENTIFIER", "RIGHT_PAREN"]),
        ("'a' `b\nc`", ["CHAR_CONSTANT", "RAW_STRING"]),
        ("$i, $x = .5e-3", ["VARIABLE", "CHAR", "VARIABLE", "ASSIGN", "NUMBER"]),
    ],
)
def test_kinds_of_tokens(inside: str, kinds: list[str]) -> None:
    assert [kind for kind, _ in tokens(f"{{{{{inside}}}}}")][1:-2] == kinds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n{{ 1", "template: t:2: unclosed action"),
        ("{{/* x", "unclosed comment"),
        ("{{/* x */ y}}", "comment ends before closing delimiter"),
        ("{{ (1 }}", "unclosed left paren"),
        ("{{ 1) }}", "unexpected right paren"),
        ('{{ "a\n" }}', "unterminated quoted string"),
        ("{{ `a }}", "unterminated raw quoted string"),
        ("{{ 1x }}", 'bad number syntax: "1x"'),
        ("{{ a: }}", "expected :="),
        ("{{ .a#b }}", "bad character U+0023 '#'"),
        ("{{ \u20ac }}", "unrecognized character in action: U+20AC"),
    ],
)
def test_errors_have_a_line_and_a_reason(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Lexer("t", text).tokens()
    assert message in str(caught.value)


def test_characters_are_shown_as_go_shows_them() -> None:
    assert (show_rune("a"), show_rune("\x07")) == ("U+0061 'a'", "U+0007")
