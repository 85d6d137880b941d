"""Positions inside YAML scalars: where a character of a value stands in the file."""

from __future__ import annotations

import re

_PROPERTIES = re.compile(r"(?:[&!][^\s]*\s+)+")  # anchors and tags before the value
_HEADER = re.compile(r"[|>][-+0-9]*[^\n]*\n?")  # of a block scalar, with its comment
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\r?\n|.)", re.DOTALL)
_BLANK = {"t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", " ": " ", "N": "\x85", "_": "\xa0", "L": "\u2028"}
_BLANK |= {"P": "\u2029", "\t": "\t"}


def position(source: str, begin: int, end: int, value: str, offset: int) -> tuple[int, int]:
    """Return line and column, from 1, of `value[offset]`; the value is the scalar at `source[begin:end]`.

    Folding and indentation change blanks only, so characters that are not blank are counted in both texts.
    """
    if found := _PROPERTIES.match(source, begin, end):
        begin = found.end()
    offset = min(offset, max(len(value) - 1, 0))
    wanted = sum(not char.isspace() for char in value[:offset])
    last = begin
    for index in _visible(source, begin, end):
        last = index
        if not wanted:
            break
        wanted -= 1
    line_begin = source.rfind("\n", 0, last) + 1
    return source.count("\n", 0, last) + 1, last - line_begin + 1


def _visible(source: str, begin: int, end: int) -> list[int]:
    """Return the index in `source` of every character of the value that is not blank."""
    opening = source[begin : begin + 1]
    if opening in {"|", ">"} and (header := _HEADER.match(source, begin, end)):
        begin = header.end()
    elif opening in {'"', "'"}:
        begin, end = begin + 1, end - 1
    found = []
    index = begin
    while index < end:
        length, blank = 1, source[index].isspace()
        if opening == "'" and source[index : index + 2] == "''":
            length = 2
        elif opening == '"' and (escape := _ESCAPE.match(source, index, end)):
            length, blank = len(escape.group()), _is_blank(escape.group()[1:])
        if not blank:
            found.append(index)
        index += length
    return found


def _is_blank(escape: str) -> bool:
    """Return whether an escape of a double-quoted scalar stands for a blank, or for nothing (at the end of a line)."""
    if escape.strip() == "" or escape in _BLANK:
        return True
    return len(escape) > 1 and escape[0] in "xuU" and chr(int(escape[1:], 16)).isspace()
