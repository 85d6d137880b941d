"""Where a character of a YAML scalar stands in the file."""

from __future__ import annotations

import pytest

from bridge.files.yaml import Document, parse

PLACES = ("key",)


@pytest.mark.parametrize(
    ("text", "char", "expected"),
    [
        ("key: ab!c", "!", (1, 8)),
        ("key: ab\n  c!d\n", "!", (2, 4)),
        ("key: 'it''s !'", "!", (1, 13)),
        ('key: "a\\"\\n\\u0041!"', "!", (1, 18)),
        ('key: "a\\\n  b!"', "!", (2, 4)),
        ('key: "a\\x20\\U0001f600\\t!"', "!", (1, 24)),
        ("key: |\n  a\n\n  b !\n", "!", (4, 5)),
        ("key: |2-  # a comment!\n    a\n  b!\n", "!", (3, 4)),
        ("key: >+\n  a\n  b\n\n  !c\n\n", "!", (5, 3)),
        ("key: &name !!str 5!", "!", (1, 19)),
        ("key: |\r\n  a\r\n  b!\r\n", "!", (3, 4)),
        ("# é\nkey: 'é!'", "!", (2, 8)),
        ("{key: [x], key2: 5}", "2", (1, 2)),
    ],
)
def test_a_character_is_found_in_every_style(text: str, char: str, expected: tuple[int, int]) -> None:
    """Plain, quoted, folded, literal; with escapes, comments, anchors and tags."""
    document = parse(text, Document("f.yml"))
    value = document.value["key"]
    offset = value.index(char) if isinstance(value, str) else 0
    assert document.position(PLACES, value, offset) == expected


def test_the_place_behind_the_text_is_its_last_character() -> None:
    """As of an expression that ends too early; an empty text is where it begins."""
    document = parse("a: x >\nb: ''\n", Document("f.yml"))
    assert document.position(("a",), "x >", 99) == (1, 6)
    assert document.position(("b",), "", 0) == (2, 4)


def test_a_problem_shows_line_and_column() -> None:
    """As compilers do."""
    document = parse("a: {b: x > >}", Document("f.yml"))
    document.add_in(("a", "b"), "x > >", 4, "unexpected '>'", "remove it")
    (problem,) = document.problems
    assert str(problem) == "f.yml:1:12: a.b: unexpected '>' (remove it)"
