"""Expressions that differ in a limit at their end: one query at the weakest limit answers all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.domain.verdict import Floats

_ENDS = re.compile(
    r"(?P<left>.*[^<>=!])(?P<sign>>=|<=|>|<)\s*(?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)\s*", re.DOTALL
)
_PIECE = re.compile(
    r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|(?P<open>["'`])|(?P<bracket>[(){}\[\]])|(?P<plain>.)""", re.DOTALL
)
_CLOSING = {")": "(", "]": "[", "}": "{"}
_WEAKER = re.compile(r"[<>=!#]|\b(?:and|or|unless|bool|default|if|ifnot)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limit:
    """`left sign number`, as the whole of an expression."""

    left: str
    sign: str
    number: float

    def holds(self, values: Floats) -> NDArray[np.bool_]:
        """Which values the comparison lets through; NaN never."""
        compare = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}[self.sign]
        found: NDArray[np.bool_] = compare(values, self.number)
        return found


def limit_of(expr: str) -> Limit | None:
    """The limit at the end of an expression; None when it has none, or when something binds less tightly."""
    found = _ENDS.fullmatch(expr)
    if found is None or not found["left"].strip() or not _plain(found["left"]):
        return None
    return Limit(found["left"].strip(), found["sign"], float(found["number"]))


def _plain(left: str) -> bool:
    """Whether everything outside brackets binds more tightly than a comparison."""
    opened: list[str] = []
    outside: list[str] = []
    for piece in _PIECE.finditer(left):
        found = piece.group()
        if piece.lastgroup == "open":
            return False  # a text that does not end
        if piece.lastgroup != "bracket":
            outside += [] if opened else [found if piece.lastgroup == "plain" else " "]
        elif found not in _CLOSING:
            opened.append(found)
            outside.append(" ")
        elif not opened or opened.pop() != _CLOSING[found]:
            return False
    return not opened and _WEAKER.search("".join(outside)) is None


def weakest(limits: Iterable[Limit]) -> Limit:
    """Of limits with the same left side and sign, the one that lets most through."""
    found = sorted(limits, key=lambda limit: limit.number)
    return found[0] if found[0].sign.startswith(">") else found[-1]
