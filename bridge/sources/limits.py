"""Expressions that differ only in a limit at their end: one query with the weakest limit serves all of them."""

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
_TOKEN = re.compile(
    r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|(?P<open>["'`])|(?P<bracket>[(){}\[\]])|(?P<plain>.)""", re.DOTALL
)
_CLOSING = {")": "(", "]": "[", "}": "{"}
_WEAKER = re.compile(r"[<>=!#]|\b(?:and|or|unless|bool|default|if|ifnot)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limit:
    """Comparison `left sign number` that makes up a whole expression."""

    left: str
    sign: str
    number: float

    def holds(self, values: Floats) -> NDArray[np.bool_]:
        """Return which values pass the comparison; NaN never does."""
        compare = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}[self.sign]
        passing: NDArray[np.bool_] = compare(values, self.number)
        return passing


def limit_of(expr: str) -> Limit | None:
    """Return the limit at the end of an expression; None without one, or if an operator of lower precedence occurs."""
    match = _ENDS.fullmatch(expr)
    if match is None or not match["left"].strip() or not _plain(match["left"]):
        return None
    return Limit(match["left"].strip(), match["sign"], float(match["number"]))


def _plain(left: str) -> bool:
    """Return whether every operator outside brackets has a higher precedence than a comparison."""
    opened: list[str] = []
    outside: list[str] = []
    for token in _TOKEN.finditer(left):
        text = token.group()
        if token.lastgroup == "open":
            return False  # an unterminated string
        if token.lastgroup != "bracket":
            outside += [] if opened else [text if token.lastgroup == "plain" else " "]
        elif text not in _CLOSING:
            opened.append(text)
            outside.append(" ")
        elif not opened or opened.pop() != _CLOSING[text]:
            return False
    return not opened and _WEAKER.search("".join(outside)) is None


def weakest(limits: Iterable[Limit]) -> Limit:
    """Return the limit that lets most values pass, of limits with the same left side and sign."""
    ascending = sorted(limits, key=lambda limit: limit.number)
    return ascending[0] if ascending[0].sign.startswith(">") else ascending[-1]
