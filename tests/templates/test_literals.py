"""Literals of Go: strings, character constants, numbers."""

from __future__ import annotations

import pytest

from bridge.templates.literals import parse_number, unquote


@pytest.mark.parametrize(
    ("quoted", "text"),
    [
        (r'"a\tb\x41\101\u00e9\U0001F600"', "a\tbAA\u00e9\U0001f600"),
        (r'"\xc3\xa9"', "\u00e9"),  # bytes of one character
        (r'"\xff"', "\ufffd"),
        (r'"\\\""', '\\"'),
        ("`a\\n\r`", "a\\n"),  # raw: nothing is escaped, carriage returns are dropped
    ],
)
def test_strings_are_unquoted(quoted: str, text: str) -> None:
    assert unquote(quoted) == text


@pytest.mark.parametrize("quoted", [r'"\q"', r'"\'"', r'"\400"', r'"\ud800"', r'"\U00110000"', r'"\x4"'])
def test_invalid_escapes_are_rejected(quoted: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax"):
        unquote(quoted)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", (12, 12.0, False)),
        ("-0x1F", (-31, -31.0, False)),
        ("017", (15, 15.0, False)),
        ("0b101", (5, 5.0, False)),
        ("1_000", (1000, 1000.0, False)),
        ("'a'", (97, 97.0, False)),
        (r"'\''", (39, 39.0, False)),
        ("2.0", (2, 2.0, True)),
        ("1.5e3", (1500, 1500.0, True)),
        ("1e300", (None, 1e300, True)),
        (".5", (None, 0.5, True)),
        ("0x1p-2", (None, 0.25, True)),
        ("18446744073709551615", (2**64 - 1, float(2**64 - 1), False)),
    ],
)
def test_numbers_have_a_value_as_integer_and_as_float(text: str, number: tuple[int | None, float, bool]) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("18446744073709551616", "integer overflow"),
        ("1e400", "illegal number syntax"),
        ("+-1", "illegal number syntax"),
        ("08", "integer overflow"),
        ("2i", "complex constant"),
        ("'ab'", "malformed character constant"),
    ],
)
def test_other_numbers_are_rejected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_number(text)
