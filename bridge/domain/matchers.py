"""Label matchers in Alertmanager's syntax: severity="page", team=~"ml|search", env!=dev."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

_MATCHER = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
# Pieces between commas; a quoted text may hold commas, and quotes behind a backslash.
_PIECE = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"\\]|\\.|["\\])+', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_UNQUOTED = re.compile(r'(?:[^"\\]|\\.|\\$)*', re.DOTALL)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}
_EXAMPLE = 'write it as in Alertmanager, for example severity="page"'


@dataclass(frozen=True)
class Matcher:
    """One condition on one label; a label that is missing counts as empty, regular expressions match the whole."""

    name: str
    op: str
    value: str

    @staticmethod
    def parse(text: str) -> Matcher:
        """A matcher from its text; ValueError says what one looks like."""
        match = _MATCHER.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a matcher; {_EXAMPLE}")
        name, op, written = match.groups()
        matcher = Matcher(name, op, _unquoted(written, text))
        if op in {"=~", "!~"}:
            try:
                matcher._pattern  # noqa: B018 - compiled here, so that a wrong one is found here
            except (re.error, FutureWarning, OverflowError, RecursionError) as error:
                raise ValueError(f"{text!r}: not a regular expression: {error}") from None
        return matcher

    @staticmethod
    def parse_list(text: str) -> list[Matcher]:
        """One or more matchers, separated by commas, in braces or not: {severity="page",team="ml"}."""
        inner = text.strip().removeprefix("{").removesuffix("}")
        pieces = _PIECE.findall(inner)
        if not any(piece.strip() for piece in pieces):
            raise ValueError(f"{text!r} holds no matcher; {_EXAMPLE}")
        return [Matcher.parse(piece) for piece in pieces]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        with warnings.catch_warnings():
            # What Python only warns of ([[:alpha:]]) means something else where the pattern was copied from.
            warnings.simplefilter("error")
            return re.compile(self.value)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the label set satisfies the condition."""
        value = labels.get(self.name, "")
        if self.op in {"=", "!="}:
            return (value == self.value) == (self.op == "=")
        return (self._pattern.fullmatch(value) is not None) == (self.op == "=~")

    def __str__(self) -> str:
        quoted = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.op}"{quoted}"'


def _unquoted(written: str, text: str) -> str:
    """The value without its quotes; an escape that means nothing stays as it is, as in Alertmanager."""
    quoted = _QUOTED.fullmatch(written)
    if quoted is None and _UNQUOTED.fullmatch(written) is None:
        raise ValueError(f"{text!r}: a quote in the value does not pair up; {_EXAMPLE}")
    inner = written if quoted is None else quoted.group(1)
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), inner, flags=re.DOTALL)
