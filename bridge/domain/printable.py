"""Escaping of untrusted text for output: labels, annotations and responses may contain terminal control sequences."""

from __future__ import annotations

import re

# Characters that end a line, control a terminal, reverse the text direction or cannot be encoded.
HOSTILE = r"\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f"
_HOSTILE = re.compile(f"[{HOSTILE}]")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def printable(text: object) -> str:
    """Return the text on one line, with every character escaped that could mislead a terminal or a reader."""
    return _HOSTILE.sub(escaped, str(text))


def storable(text: str) -> str:
    """Return the text with U+FFFD in place of what databases cannot store: NUL, and half of a surrogate pair."""
    return _UNSTORABLE.sub("\ufffd", text)


def escaped(match: re.Match[str]) -> str:
    """Return the escape sequence of one character, as in JSON and logfmt."""
    code = ord(match[0])
    return _SHORT.get(match[0], f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")
