"""Annotation templates: a part of Prometheus' language, with the same output."""

from __future__ import annotations

import math

import pytest

from bridge.domain.template import Template, go_float


def rendered(text: str, value: float = 0.702, threshold: float | None = 0.6, **labels: str) -> str:
    return Template(text).render(labels, value, threshold)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Drift {{ $value }} on {{ $labels.pipeline }}", "Drift 0.702 on ranking"),
        ("{{$value}}/{{$threshold}}", "0.702/0.6"),
        ("{{ $labels.nowhere }}.", "."),
        ("no action", "no action"),
        ("", ""),
        ("a {{- $value -}} b", "a0.702b"),
        ("a\n  {{- $value }} b", "a0.702 b"),
        ("{{ $value | humanizePercentage }}", "70.2%"),
        ("{{ $threshold | humanizePercentage }}", "60%"),
        ('{{ $value | printf "%.2f" }}', "0.70"),
        ('{{ printf "%.1e" $value }}', "7.0e-01"),
        ("{{ $labels.pipeline }}{{ $labels.pipeline }}", "rankingranking"),
        ("{ $value } } {", "{ $value } } {"),
    ],
)
def test_a_template_is_filled_in(text: str, result: str) -> None:
    """Labels, the value and the threshold; a label that is not there is empty."""
    assert rendered(text, pipeline="ranking") == result


def test_a_rule_without_a_threshold_shows_none() -> None:
    """A plain expression has its limit inside."""
    assert rendered("[{{ $threshold }}{{ $threshold | humanize }}]", threshold=None) == "[]"


@pytest.mark.parametrize(
    "hostile", ["{{ $value }}", "{{ $labels.a }}", "%s %(a)s {0}", "$value", "}}{{", "__import__('os')"]
)
def test_data_is_never_evaluated(hostile: str) -> None:
    """What a label holds appears as it is."""
    assert rendered("<{{ $labels.a }}>", a=hostile) == f"<{hostile}>"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"), (1.0, "1"), (100000.0, "100000"), (999999.5, "999999.5"), (1e6, "1e+06"),
        (1234567.5, "1.2345675e+06"),
        (-1234567.5, "-1.2345675e+06"), (123456789.0, "1.23456789e+08"), (1e15, "1e+15"), (1e16, "1e+16"),
        (1e20, "1e+20"), (1e21, "1e+21"), (1e100, "1e+100"), (0.0001, "0.0001"), (0.00001, "1e-05"), (5e-324, "5e-324"),
        (0.1 + 0.2, "0.30000000000000004"), (math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf"),
    ],
)  # fmt: skip
def test_a_number_prints_as_in_go(value: float, shown: str) -> None:
    """Shortest digits, an exponent from a million on."""
    assert go_float(value) == shown
    assert rendered("{{ $value }}", value) == shown
    assert rendered('{{ $value | printf "%g" }}', value) == shown


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("humanize", 1234567.0, "1.235M"), ("humanize", 0.0, "0"), ("humanize", 0.0042, "4.2m"),
        ("humanize", -999.96, "-1000"), ("humanize", 1e30, "1e+06Y"), ("humanize", 1e-27, "0.001y"),
        ("humanize", math.inf, "+Inf"),
        ("humanizeDuration", 0.0, "0s"), ("humanizeDuration", 0.702, "702ms"), ("humanizeDuration", 59.5, "59.5s"),
        ("humanizeDuration", -3.5, "-3.5s"), ("humanizeDuration", 62.0, "1m 2s"),
        ("humanizeDuration", 3723.0, "1h 2m 3s"), ("humanizeDuration", -90061.0, "-1d 1h 1m 1s"),
        ("humanizeDuration", math.nan, "NaN"), ("humanizeDuration", 1e300, "1e+300s"),
        ("humanizePercentage", 0.1234, "12.34%"), ("humanizePercentage", math.nan, "NaN%"),
        ('printf "%.2f"', math.nan, "NaN"), ('printf "%.2f"', -math.inf, "-Inf"), ('printf "%f"', 1.5, "1.500000"),
    ],
)  # fmt: skip
def test_a_filter_shows_a_number_for_people(text: str, value: float, shown: str) -> None:
    """As Prometheus' functions of these names do."""
    assert rendered("{{ $value | " + text + " }}", value) == shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ $vlaue }}", "is not understood; known are \\$labels.NAME, \\$value"),
        ("{{ }}", "is not understood"),
        ('{{ query "up" }}', "is not understood"),
        ("{{ $labels }}", "is not understood"),
        ("{{ $value", "braces do not pair up"),
        ("$value }}", "braces do not pair up"),
        ("{{ $value | shout }}", "unknown filter 'shout'; known are"),
        ('{{ $value | printf "%d" }}', "unknown filter"),
        ('{{ $value | printf "%.2f" $threshold }}', "unknown filter"),
        ("{{ $labels.a | humanize }}", "a label is text"),
        ("{{ $value | humanize | humanize }}", "one filter at most"),
    ],
)
def test_what_is_not_understood_is_refused_when_the_rule_is_read(text: str, said: str) -> None:
    """Not when the alert fires; the message says what there is."""
    with pytest.raises(ValueError, match=said):
        Template(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{" * 20_000, "}}" * 20_000, "{{ " * 20_000, "{{-" * 20_000, "{{" + " " * 40_000, "{{- " + " " * 40_000 + "}}",
        "{" * 40_001, "{{ $value" + " | " * 20_000 + "}}", "{{ printf " + " " * 40_000 + "}}", "{{ $labels." * 20_000,
    ],
)  # fmt: skip
def test_no_braces_take_more_than_linear_time(text: str) -> None:
    """Each of these is refused in milliseconds; some took hours."""
    with pytest.raises(ValueError, match=r"braces do not pair up|is not understood|one filter at most"):
        Template(text)


def test_many_actions_are_many_actions() -> None:
    """White space and all."""
    assert Template("{{ $value }} " * 10_000).render({}, 1.5, None) == "1.5 " * 10_000
