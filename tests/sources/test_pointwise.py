"""Detection of expressions that may depend on the query range."""

from __future__ import annotations

import pytest

from bridge.sources.pointwise import depends_on_range


@pytest.mark.parametrize(
    ("expr", "what"),
    [
        ("drift @ end() > 0.6", "end()"),
        ("drift @start()", "start()"),
        ("drift @ END ( ) > 0.6", "END()"),
        ("drift @ # of the query\n end() > 0.6", "end()"),
        ("max_over_time(drift[5m] @ end())", "end()"),
        ("rate(m_total[step() * 2])", "step()"),
        ("m offset (range())", "range()"),
        ("avg_over_time(drift[5i])", "5i"),
        ("rate(m_total)", "a window without a length"),
        ("max_over_time(rate(m_total)[1h:5m])", "a window without a length"),
        ("range_avg(drift)", "range_avg()"),
        ("a_new_function(drift)", "a_new_function()"),
        ("# it's a text\ndrift @ end()", "end()"),
        ("""drift{a="it's", b='"'} @ end()""", "end()"),
        ('drift{a="\\""} @ end()', "end()"),
    ],
)
def test_an_expression_that_depends_on_the_range_is_detected(expr: str, what: str) -> None:
    """In any spelling; unknown functions too."""
    assert depends_on_range(expr) == what


@pytest.mark.parametrize(
    "expr",
    [
        "drift > 0.6",
        "drift @ 1780272000 > 0.6",
        "max by (project, end) (drift) > bool (0.5)",
        'drift{when="@ end()"} > 0.6',
        "drift{when='@ end()'} + drift{when=`@ start()`}",
        "drift > 0.6 # not @ end()",
        "end > start",
        "end{start='1'} and on (step) range",
        "sum by (le) (rate(seconds_bucket[5m] offset 1h)) / on (le) group_left (job) (a unless (b or (c)))",
        "QUANTILE(0.9, histogram_quantile(0.99, rate(seconds_bucket[5m])))",
        "max_over_time(rate(m_total[5m])[1h:])",
        "drift{a='[5i]'}",
        "time() - timestamp(drift)",
    ],
)
def test_an_expression_of_instants_is_sent_as_a_range_query(expr: str) -> None:
    """Names in strings, comments and labels are not functions."""
    assert depends_on_range(expr) == ""
