"""Label matchers in Alertmanager's syntax: severity="page", team=~"ml|search", env!=dev."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

_MATCHER = re.compile(r'\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^"]*?)\s*', re.DOTALL)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


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
            raise ValueError(f'{text!r} is not a matcher; write it as in Alertmanager, for example severity="page"')
        name, op, value = match.groups()
        if value.startswith('"'):
            value = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), value[1:-1])
        if op in {"=~", "!~"}:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"{text!r}: not a regular expression: {error}") from None
        return Matcher(name, op, value)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
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
