"""Selectors in an expression."""

from __future__ import annotations

import pytest

from bridge.authoring.suggest.selectors import Selector, metric_names, selectors


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("up", {"up"}),
        ('max by (project, pipeline) (drift{job="a{b}", x!~"up"}) > 0.6', {"drift"}),
        ("rate(errors_total[5m]) / on (project) group_left (team) rate(requests_total[5m] offset 1h)",
         {"errors_total", "requests_total"}),
        ("histogram_quantile(0.95, sum by (le) (rate(seconds_bucket[5m])))", {"seconds_bucket"}),
        ("sum(a:b:rate5m) without (x) and c or d unless e", {"a:b:rate5m", "c", "d", "e"}),
        ('{__name__=~"drift.*"}', set()),
        ("vector(1) > bool Inf # not a metric", set()),
        ("max_over_time(drift[1h:5m]) @ end() ^ 2 - 1e3", {"drift"}),
        ("topk(3, drift) == NaN", {"drift"}),
    ],
)  # fmt: skip
def test_only_metrics_are_taken_for_metrics(expression: str, names: set[str]) -> None:
    """Not functions, aggregations, operators, labels, strings or durations."""
    assert metric_names(expression) == names


def test_selectors_are_given_as_they_are_written() -> None:
    """With their matchers and ranges; a subquery's range is not one of samples."""
    text = 'rate(e{a="]}", b!~`x`} [5m]) / on (a) sum by (e) (t) + max_over_time(up{}[1h:5m]) + t + {job="a"}'
    assert selectors(text) == [
        Selector('e{a="]}", b!~`x`}', "e", 300_000),
        Selector("t", "t", 0),
        Selector("up{}", "up", 0),
        Selector('{job="a"}', "", 0),
    ]
    assert selectors("up[5x]") == [Selector("up", "up", 0)]
