"""Text of others, made safe to be printed: labels, annotations and answers may hold whatever drives a terminal."""

from __future__ import annotations

import re

# What could end a line, colour a terminal, move its cursor, turn the text around or not be written at all.
HOSTILE = r"\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f"
_HOSTILE = re.compile(f"[{HOSTILE}]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def printable(text: object) -> str:
    """Return the text with every character escaped that a terminal or a reader could be misled by; one line."""
    return _HOSTILE.sub(escaped, str(text))


def escaped(match: re.Match[str]) -> str:
    """Return what stands for one character, as JSON and logfmt write it."""
    code = ord(match[0])
    return _SHORT.get(match[0], f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")
