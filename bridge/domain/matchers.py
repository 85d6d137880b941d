"""Label matchers in Alertmanager's syntax: severity="page", team=~"ml|search", env!=dev."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from bridge.domain.regex import ALERTMANAGER, Dialect, Regex

LONGEST = 256 * 1024
_SHOWN = 200
# A name is any UTF-8 text: between quotes, or as it is unless it has a character of the syntax.
_MATCHER = re.compile(r"""("(?:[^"\\]|\\.)+"|[^\s{}!=~,\\"'`]+)\s*(=~|!~|!=|=)\s*(.*)""", re.DOTALL)
_PLAIN_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
# Text between commas; a quoted string may contain commas and escaped quotes.
_PIECE = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"\\]|\\.|["\\])+', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_UNQUOTED = re.compile(r'(?:[^"\\]|\\.|\\$)*', re.DOTALL)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}
_EXAMPLE = 'write it as in Alertmanager, for example severity="page"'


@dataclass(frozen=True)
class Matcher:
    """Condition on one label. A missing label counts as empty; regular expressions are anchored.

    dialect: flavour of the regular expressions.
    """

    name: str
    op: str
    value: str
    dialect: Dialect = ALERTMANAGER

    @staticmethod
    def parse(text: str, dialect: Dialect = ALERTMANAGER) -> Matcher:
        """Return the parsed matcher. Raises ValueError with an example of a valid one."""
        match = _MATCHER.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{_shown(text)} is not a matcher; {_EXAMPLE}")
        name, op, written = match.groups()
        matcher = Matcher(_unquoted(name, text), op, _unquoted(written, text), dialect)
        try:
            matcher.compile()
        except ValueError as error:
            raise ValueError(f"{_shown(text)}: {error}") from None
        return matcher

    @staticmethod
    def parse_list(text: str, dialect: Dialect = ALERTMANAGER) -> list[Matcher]:
        """Return one or more matchers, separated by commas, optionally in braces: {severity="page",team="ml"}."""
        if len(text) > LONGEST:
            raise ValueError(f"{_shown(text)}: matchers of {len(text)} characters; write at most {LONGEST}")
        inner = text.strip().removeprefix("{").removesuffix("}")
        pieces = _PIECE.findall(inner)
        if not any(piece.strip() for piece in pieces):
            raise ValueError(f"{_shown(text)} contains no matcher; {_EXAMPLE}")
        return [Matcher.parse(piece, dialect) for piece in pieces]

    def compile(self) -> None:
        """Compile the regular expression, if there is one. Raises ValueError if it is invalid."""
        if self.op in {"=~", "!~"}:
            self._regex  # noqa: B018 - fills the cache

    @cached_property
    def _regex(self) -> Regex:
        return Regex(self.value, self.dialect)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the label set satisfies the matcher."""
        value = labels.get(self.name, "")
        if self.op in {"=", "!="}:
            return (value == self.value) == (self.op == "=")
        return self._regex.matches(value) == (self.op == "=~")

    def __str__(self) -> str:
        name = self.name if _PLAIN_NAME.fullmatch(self.name) else _quoted(self.name)
        return f"{name}{self.op}{_quoted(self.value)}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def _quoted(text: str) -> str:
    inner = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{inner}"'


def _unquoted(written: str, text: str) -> str:
    """Return the value without its quotes; an unknown escape stays unchanged, as in Alertmanager."""
    quoted = _QUOTED.fullmatch(written)
    if quoted is None and _UNQUOTED.fullmatch(written) is None:
        raise ValueError(f"{_shown(text)}: unbalanced quote in the value; {_EXAMPLE}")
    inner = written if quoted is None else quoted.group(1)
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), inner, flags=re.DOTALL)
