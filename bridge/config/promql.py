"""Checks of expressions before Prometheus sees them. No parser: brackets, quotes, variables."""

from __future__ import annotations

import re

from bridge.files.yaml import Document, KeyPath

WINDOW = "$window"
WINDOW_SHOWN = "5m".ljust(len(WINDOW))  # as long as the variable, so that offsets are those of the file
_CLOSING = {")": "(", "]": "[", "}": "{"}
# Texts (with their escapes) and comments hold anything; what is left over of them does not end.
_PIECE = re.compile(
    r"""(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)|(?P<comment>\#[^\n]*)|(?P<open_text>["'`])"""
    r"""|(?P<bracket>[()\[\]{}])|(?P<variable>\$\w*)"""
)


def check_expression(text: str, document: Document, path: KeyPath) -> None:
    """Note the problem of an expression that is the value at a path; `$window` stands in it as written.

    An expression without one is noted for `check`, which parses it.
    """
    as_written = text.replace(WINDOW, WINDOW_SHOWN)
    found = promql_problem(as_written)
    if found is not None:
        document.add_in(path, text, *found)
    else:
        document.expressions[path] = as_written


def promql_problem(text: str) -> tuple[int, str] | None:
    """Return offset and message of the problem of an expression, or None when none is found."""
    opened: list[tuple[int, str]] = []
    for piece in _PIECE.finditer(text):
        found, offset = piece.group(), piece.start()
        if piece.lastgroup == "open_text":
            return offset, f"a string that begins with {found} is not closed in the expression"
        if piece.lastgroup == "variable":
            return offset, f"{found} is not PromQL; the only variable is {WINDOW}, in signals"
        if piece.lastgroup == "bracket" and found in _CLOSING:
            if not opened or opened.pop()[1] != _CLOSING[found]:
                return offset, f"unexpected {found!r} in the expression"
        elif piece.lastgroup == "bracket":
            opened.append((offset, found))
    if opened:
        return opened[-1][0], f"{opened[-1][1]!r} is not closed in the expression"
    bare = _PIECE.sub(lambda piece: "" if piece.lastgroup == "comment" else piece.group(), text)
    return None if bare.strip() else (0, "the expression is empty")
