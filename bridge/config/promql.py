"""Checks of expressions before Prometheus sees them. No parser: brackets, quotes, variables."""

from __future__ import annotations

import re

WINDOW = "$window"
_CLOSING = {")": "(", "]": "[", "}": "{"}
# Texts (with their escapes) and comments hold anything; what is left over of them does not end.
_PIECE = re.compile(
    r"""(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)|(?P<comment>\#[^\n]*)|(?P<open_text>["'`])"""
    r"""|(?P<bracket>[()\[\]{}])|(?P<variable>\$\w*)"""
)


def promql_problem(text: str) -> str:
    """Return the problem of an expression, or "" when none is found."""
    opened: list[str] = []
    for piece in _PIECE.finditer(text):
        found = piece.group()
        if piece.lastgroup == "open_text":
            return f"a text that begins with {found} does not end in the expression"
        if piece.lastgroup == "variable":
            return f"{found} is not PromQL; the only variable is {WINDOW}, in signals"
        if piece.lastgroup == "bracket" and found in _CLOSING:
            if not opened or opened.pop() != _CLOSING[found]:
                return f"unexpected {found!r} in the expression"
        elif piece.lastgroup == "bracket":
            opened.append(found)
    if opened:
        return f"{opened[-1]!r} is not closed in the expression"
    bare = _PIECE.sub(lambda piece: "" if piece.lastgroup == "comment" else piece.group(), text)
    return "" if bare.strip() else "the expression is empty"
