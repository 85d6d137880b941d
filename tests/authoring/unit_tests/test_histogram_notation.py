"""Native histograms in promtool's notation."""

from __future__ import annotations

import pytest

from bridge.authoring.unit_tests.histogram_notation import NativeHistogram, parse, shown
from bridge.authoring.unit_tests.series_notation import values


def test_every_property_is_read() -> None:
    """In any order; what is not given is 0."""
    zero, buckets = "z_bucket:7.1 z_bucket_w:0.05", "buckets:[5.1 10 7] n_buckets:[4.1] n_offset:5"
    assert parse(f"{{{{offset:-3 schema:1 sum:-0.3 count:3.1 {zero} {buckets}}}}}") == NativeHistogram(
        1, -0.3, 3.1, 7.1, 0.05, (5.1, 10, 7), -3, (4.1,), 5
    )
    assert parse("{{}}") == NativeHistogram()
    assert parse("{{counter_reset_hint:gauge}}").hint == 3


@pytest.mark.parametrize(
    "text", ["1", "{{", "{{sum}}", "{{sum:x}}", "{{sum:1 sum:2}}", "{{size:1}}", "{{buckets:[a]}}", "{{schema:1.5}}"]
)
def test_an_invalid_histogram_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a histogram; write \{\{schema:0 sum:3 count:2 buckets:\[1 1\]\}\}"):
        parse(text)


def test_histograms_are_repeated_and_added_up() -> None:
    """Buckets at other indexes too."""
    first, second, third = values("{{sum:3 count:2 buckets:[2]}}+{{sum:1.5 count:1 buckets:[1] offset:2}}x2")
    assert isinstance(first, NativeHistogram)
    assert isinstance(second, NativeHistogram)
    assert (first.buckets, second.buckets, second.sum) == ((2,), (2, 0, 1), 4.5)
    assert isinstance(third, NativeHistogram)
    assert (third.buckets, third.offset, third.count) == ((2, 0, 2), 0, 4)
    assert values("1 {{count:1}}x1 _ {{count:3}}-{{count:1}}x1") == [
        1.0, parse("{{count:1}}"), parse("{{count:1}}"), None, parse("{{count:3}}"), parse("{{count:2}}"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["{{count:1}}x", "{{count:1}}+1x2", "{{schema:1}}+{{schema:2}}x1", "{{count:1}}x1y"])
def test_a_wrong_series_of_histograms_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"histogram|is none of"):
        values(text)


def test_buckets_are_shown_as_in_the_api() -> None:
    """Boundaries and counts, negative ones first, without empty ones."""
    histogram = parse("{{schema:0 sum:5 count:7 z_bucket:1 z_bucket_w:0.1 buckets:[2 0 1] n_buckets:[3] n_offset:1}}")
    theirs = {
        "count": "7", "sum": "5",
        "buckets": [[1, "-2", "-1", "3"], [3, "-0.1", "0.1", "1"], [0, "0.5", "1", "2"], [0, "2", "4", "1"]],
    }  # fmt: skip
    assert histogram.shown() == shown(dict(theirs))
