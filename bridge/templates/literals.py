"""Go's literals: quoted strings, character constants and numbers."""

from __future__ import annotations

import re

_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}
_ESCAPE = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\'\"])|x(?P<hex>[0-9a-fA-F]{2})|u(?P<u4>[0-9a-fA-F]{4})"
    r"|U(?P<u8>[0-9a-fA-F]{8})|(?P<octal>[0-7]{3})|(?P<wrong>.|$))",
    re.DOTALL,
)
_DECIMAL = re.compile(r"[+-]?(?:\d[\d_]*)?(?:\.[\d_]*)?(?:[eE][+-]?\d[\d_]*)?")
_HEX_FLOAT = re.compile(r"[+-]?0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?[pP][+-]?\d+")
_LARGEST_UINT, _SMALLEST_INT, _LARGEST_INT = 2**64 - 1, -(2**63), 2**63 - 1


def unquote(quoted: str) -> str:
    """Return the text of a quoted or raw string. Raises ValueError."""
    inner = quoted[1:-1]
    if quoted[0] == "`":
        return inner.replace("\r", "")
    if quoted[0] == '"' and "\\'" in inner.replace("\\\\", ""):
        raise ValueError("invalid syntax")
    parts, at, raw = [], 0, bytearray()
    for match in _ESCAPE.finditer(inner):
        raw += inner[at : match.start()].encode()
        raw += _escaped(match)
        at = match.end()
    raw += inner[at:].encode()
    parts.append(raw.decode("utf-8", "replace"))
    return "".join(parts)


def _escaped(match: re.Match[str]) -> bytes:
    if match["simple"]:
        return _SIMPLE[match["simple"]].encode()
    if match["hex"]:
        return bytes([int(match["hex"], 16)])
    if match["octal"] and int(match["octal"], 8) < 256:
        return bytes([int(match["octal"], 8)])
    code = match["u4"] or match["u8"]
    if not code or int(code, 16) > 0x10FFFF or 0xD800 <= int(code, 16) < 0xE000:
        raise ValueError("invalid syntax")
    return chr(int(code, 16)).encode()


def parse_number(text: str) -> tuple[int | None, float | None, bool]:
    """Return a constant as integer and as float, None where it is none, and whether it is written as a float.

    Raises ValueError.
    """
    if text[0] == "'":
        char = unquote(f'"{text[1:-1]}"' if text[1:-1] != "\\'" else '"' + "'" + '"')
        if len(char) != 1:
            raise ValueError(f"malformed character constant: {text}")
        return ord(char), float(ord(char)), False
    if text.endswith("i"):
        raise ValueError(f"complex constant {text} is not supported")
    bare = text.replace("_", "") if re.fullmatch(r"[+-]?[0-9a-zA-Z.]+(?:_[0-9a-zA-Z.]+)*[+-]?\d*", text) else text
    integer = _integer(bare)
    if integer is not None:
        if not _SMALLEST_INT <= integer <= _LARGEST_UINT:
            raise ValueError(f"integer overflow: {_quoted(text)}")
        return integer, float(integer), False
    if _HEX_FLOAT.fullmatch(bare):
        number = float.fromhex(bare)
    elif _DECIMAL.fullmatch(bare) and re.search(r"\d", bare):
        if not re.search("[.eE]", bare):
            raise ValueError(f"integer overflow: {_quoted(text)}")
        number = float(bare)
        if number - number != 0:
            raise ValueError(f"illegal number syntax: {_quoted(text)}")
    else:
        raise ValueError(f"illegal number syntax: {_quoted(text)}")
    whole = int(number) if number.is_integer() and _SMALLEST_INT <= number <= _LARGEST_INT else None
    return whole, number, True


def _integer(bare: str) -> int | None:
    """Return an integer in Go's syntax, in which a leading 0 means octal; None when it is none."""
    match = re.fullmatch(r"([+-]?)(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|0[0-7]+|0|[1-9]\d*)", bare)
    if match is None:
        return None
    digits = match[2]
    octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    value = int(digits, 8) if octal else int(digits, 0)
    return -value if match[1] == "-" else value


def _quoted(text: str) -> str:
    return f'"{text}"'
