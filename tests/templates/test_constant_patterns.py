"""Constant regular expressions of templates."""

from __future__ import annotations

import pytest

from bridge.templates.constant_patterns import invalid_patterns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{ reReplaceAll "(a" "b" $labels.pipeline }}', [("reReplaceAll", "(a", 1, 17)]),
        ('a\nb {{ $labels.pipeline | reReplaceAll "*" "" }}', [("reReplaceAll", "*", 2, 38)]),
        ('{{ if match "[x" .Value }}y{{ else }}{{ match `+` "z" }}{{ end }}',
         [("match", "[x", 1, 13), ("match", "+", 1, 47)]),
        ('{{ range query "up" }}{{ reReplaceAll ("(?<x") "" .Value }}{{ end }}', [("reReplaceAll", "(?<x", 1, 40)]),
        ('{{ define "x" }}{{ match "(" . }}{{ end }}{{ template "x" $value }}', [("match", "(", 1, 26)]),
        ('{{ with $x := (match "(" "a") }}{{ $x }}{{ end }}', [("match", "(", 1, 22)]),
        ('{{ reReplaceAll "(?P<a>x)" "$a" $labels.pipeline }} {{ match $labels.pipeline "(" }}', []),
        ('{{ $threshold }} {{ $externalURL }} {{ printf "(" }} no template (', []),
    ],
)  # fmt: skip
def test_an_invalid_constant_is_found_where_it_is(text: str, expected: list[tuple[str, str, int, int]]) -> None:
    """Anywhere in the template; what is computed cannot be checked."""
    found = invalid_patterns(text)
    assert [(item.function, item.pattern, item.line, item.column) for item in found] == expected


def test_the_reason_is_that_of_prometheus() -> None:
    """As the alert would show it."""
    assert [item.reason for item in invalid_patterns('{{ match "(a" "b" }}')] == ["missing closing ): `(a`"]
