"""Escaping of untrusted text for output."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from bridge.domain.printable import printable, storable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 漢字 🎉 {a=\"b\\c\"}", "größe 漢字 🎉 {a=\"b\\c\"}"), ("", ""), ("\x1b[2J", r"\u001b[2J"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"), ("\x9b31m\x07", r"\u009b31m\u0007"), ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("\ud800", r"\ud800"), ("\U000e0041", r"\U000e0041"),
    ],
)  # fmt: skip
def test_what_could_drive_a_terminal_is_spelled_out(text: str, shown: str) -> None:
    """Everything else stays."""
    assert printable(text) == shown


@pytest.mark.parametrize("character", ["\0", "\ud83d"])
def test_what_databases_cannot_store_is_replaced(character: str) -> None:
    assert storable(f"a{character}b\n\U0001f600") == "a\ufffdb\n\U0001f600"


def test_every_control_and_every_invisible_format_character_of_unicode_is_spelled_out() -> None:
    """A few that belong to letters of real scripts are exempt."""
    unescaped = [char for char in map(chr, range(sys.maxunicode + 1)) if printable(char) == char]
    kept = {char for char in unescaped if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert not {char for char in kept if unicodedata.bidirectional(char) in {"LRE", "RLE", "LRO", "RLO", "PDF", "B"}}
    assert not {char for char in kept if unicodedata.category(char) != "Cf"}
    assert {"\u0600", "\u00ad"} <= kept
