"""Templates of alerts: newer functions by their documented examples, bounds, and errors that lose nothing."""

from __future__ import annotations

import pytest

from bridge.templates.alert import AlertTemplate
from bridge.templates.errors import CallError, TemplateError
from bridge.templates.evaluator import Limits
from bridge.templates.prometheus import Context, Query
from bridge.templates.values import AlertData, Sample

NOON = 1_700_000_000_000


def none(expr: str, at: int) -> list[Sample]:
    return []


def expand(
    text: str, value: float = 1.5, limit: float | None = None, query: Query = none, limits: Limits | None = None
) -> str:
    data = AlertData({"pipeline": "ranking"}, {"cluster": "eu"}, "http://p/x", value, limit)
    return AlertTemplate(text, "A").expand(data, Context(NOON, "http://p/x", query), limits)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ now }}", "1.7e+09"),
        ("{{ now | humanizeTimestamp }}", "2023-11-14 22:13:20 +0000 UTC"),
        ('{{ urlQueryEscape "a b&c" }}', "a+b%26c"),
        ("{{ toDuration 3661.5 }}", "1h1m1.5s"),
        ("{{ (toDuration 90).Minutes }}", "1.5"),
        ('{{ define "t" }}<{{ . }}>{{ end }}{{ tmpl "t" $labels.pipeline }}', "<ranking>"),
        ("{{ $value }} above {{ $threshold }}", "1.5 above 0.6"),
        ("{{ .Threshold }}", "0.6"),
        ("{{ . }}", "{map[pipeline:ranking] map[cluster:eu] http://p/x 1.5}"),
    ],
)
def test_what_the_installed_prometheus_does_not_know(template: str, expected: str) -> None:
    assert expand(template, limit=0.6) == expected


def test_a_rule_without_a_limit_has_an_empty_threshold() -> None:
    assert expand("[{{ $threshold }}]") == "[]"


def test_a_query_reads_at_the_instant_of_the_expansion() -> None:
    asked = []

    def query(expr: str, at: int) -> list[Sample]:
        asked.append((expr, at))
        return [Sample({"a": "x"}, 3.0)]

    assert expand('{{ query "up" | first | value }}', query=query) == "3"
    assert asked == [("up", NOON)]


def test_a_query_that_fails_shows_why_in_the_annotation() -> None:
    def query(expr: str, at: int) -> list[Sample]:
        raise CallError("connection refused")

    template = AlertTemplate('{{ query "up" }}', "A")
    told = template.expand_or_tell(AlertData({}, {}, "", 1.0), Context(NOON, "", query))
    assert told.startswith("<error expanding template: error executing template __alert_A:")
    assert told.endswith("error calling query: connection refused>")


@pytest.mark.parametrize(
    ("template", "limits", "message"),
    [
        (
            "{{ range $labels }}{{ range $externalLabels }}{{ . }}{{ end }}{{ end }}",
            Limits(steps=5),
            "more than 5 steps",
        ),
        ('{{ define "t" }}{{ template "t" }}{{ end }}{{ template "t" }}', Limits(), "exceeded maximum template depth"),
        ('{{ define "t" }}{{ tmpl "t" 1 }}{{ end }}{{ tmpl "t" 1 }}', Limits(), "maximum"),
        ('{{ printf "%9000d" 1 }}', Limits(output=8000), "output longer than 8000 characters"),
        ('{{ printf "%999999999d" 1 }}', Limits(), "width or precision above"),
        ('{{ reReplaceAll "" "xxxxxxxxxxxxxxxxxxxxxxxx" (printf "%9999d" 1) }}', Limits(), "result longer than"),
    ],
)
def test_no_template_costs_more_than_its_bounds(template: str, limits: Limits, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        expand(template, limits=limits)


def test_the_number_of_queries_of_a_template_is_bounded() -> None:
    with pytest.raises(TemplateError, match="more than 20 queries"):
        expand('{{ query "up" }}' * 25)


def test_a_template_that_is_too_long_is_refused() -> None:
    with pytest.raises(TemplateError, match="longer than"):
        AlertTemplate("x" * 70_000)


@pytest.mark.parametrize(
    "text", ["{{" * 20_000, "{{ " + "(" * 5_000, "{{ if 1 }}" * 5_000, "{{ 1 |" * 9_000, '{{ "' + "x" * 60_000]
)
def test_malformed_templates_end_with_an_error(text: str) -> None:
    with pytest.raises(TemplateError):
        AlertTemplate(text)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ('{{ lt 1 "a" }}', "incompatible types for comparison"),
        ("{{ lt nil 1 }}", "invalid type for comparison"),
        ("{{ eq 1 $labels }}", "incompatible types for comparison"),
        ("{{ index nil 1 }}", "index of untyped nil"),
        ("{{ index 3 1 }}", "can't index item of type int"),
        ('{{ index "a" nil }}', "cannot index slice/array with nil"),
        ('{{ index "a" "b" }}', "cannot index slice/array with type string"),
        ("{{ index $labels nil }}", "value is nil; should be of type string"),
        ('{{ index "abc" 9 }}', "index out of range: 9"),
        ("{{ slice nil }}", "slice of untyped nil"),
        ('{{ slice "a" 1 2 3 4 }}', "too many slice indexes: 4"),
        ("{{ slice 3 }}", "can't slice item of type int"),
        ('{{ slice "abc" 0 1 2 }}', "cannot 3-index slice a string"),
        ("{{ len nil }}", "len of nil pointer"),
        ("{{ len true }}", "len of type bool"),
        ("{{ toTime 1e300 }}", "cannot be represented as a nanoseconds timestamp"),
        ("{{ (toTime 9e9).Nope }}", "can't evaluate field Nope in type \\*time.Time"),
        ('{{ tmpl "nope" 1 }}', 'template "nope" not defined'),
        ("{{ if 1 }}{{ $value.x }}{{ end }}", "can't evaluate field x in type float64"),
        ("{{ 9223372036854775808 }}", "overflows int"),
    ],
)
def test_an_error_is_worded_as_in_go(template: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        expand(template)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [("0", "0s"), ("0.25", "250ms"), ("0.000002", "2\u00b5s"), ("1e-9", "1ns"), ("-90", "-1m30s"), ("7200", "2h0m0s")],
)
def test_durations_print_as_in_go(seconds: str, shown: str) -> None:
    assert expand(f"{{{{ toDuration {seconds} }}}}") == shown
