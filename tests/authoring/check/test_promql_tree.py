"""Properties of an expression, from its syntax tree."""

from __future__ import annotations

import pytest

from bridge.authoring.check.promql_errors import MOST_WALKED, parsed
from bridge.authoring.check.promql_tree import Labels, can_be_empty, has_bool, metrics_with_absence, result_labels


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x > 5", True), ("5 < sum(x)", True), ("absent(x)", True), ("x and on () y", True), ("x unless y", True),
        ("time() - x > 5", True), ("count(x == 0)", True), ("max_over_time((x > 5)[5m:])", True),
        ("-(x > 5)", True), ("x > 5 or y > 3", True), ('ALERTS{alertstate="firing"}', True),
        ("x > scalar(y)", True),
        ("x > bool 5", False), ("x", False), ("rate(x[5m])", False), ("x > 5 or y", False), ("sum(x)", False),
        ("vector(1)", False), ("x > bool 5 + 1", False), ("x / y", False), ("time() > bool 5", False),
    ],
)  # fmt: skip
def test_a_comparison_decides_what_is_in_a_result(text: str, expected: bool) -> None:
    """One with `bool` does not."""
    tree = parsed(text)
    assert tree is not None
    assert can_be_empty(tree) is expected
    assert has_bool(tree) is ("bool" in text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("x", "a version"), ("x{version=''}", "a"), ("sum(x)", ""), ("sum by (version) (x)", "version"),
        ("sum without (version) (x)", "a"), ("sum by (a, version) (sum without (a) (x))", "version"),
        ("topk by (a) (3, x)", "a version"), ("count_values('version', x)", "version"),
        ("label_replace(sum(x), 'version', '$1', 'a', '(.*)')", "version"), ("label_join(sum(x), 'a', ',', 'b')", "a"),
        ("absent(x{version='1', a=~'b'})", "version"), ("x * on (a) y", "a"), ("x * ignoring (a) y", "version"),
        ("sum by (a) (x) * on (a) group_left (version) y", "a version"),
        ("y * on (a) group_right (version) sum by (a) (x)", "a version"),
        ("sum by (a) (x) and on (a) y", "a"), ("sum by (a) (x) or y", "a version"),
        ("sum(x) or sum by (a) (x)", "a"), ("2 * sum by (a) (x) + 1", "a"), ("vector(1)", ""),
        ("histogram_quantile(0.9, sum by (le, a) (rate(x[5m])))", "a"), ("rate(x[5m])", "a version"),
        ("scalar(x) + sum by (a) (y)", "a"), ("-sum by (a) (x)", "a"), ("x{a=''} or sum by (version) (y)", "version"),
    ],
)  # fmt: skip
def test_the_labels_of_a_result_follow_from_the_expression(text: str, names: str) -> None:
    """As Prometheus computes them."""
    tree = parsed(text)
    assert tree is not None
    labels = result_labels(tree)
    assert [name for name in ("a", "version") if name in labels] == names.split()


def test_labels_of_either_side_are_joined() -> None:
    """Each of the four combinations."""
    a, b = frozenset("a"), frozenset("b")
    assert Labels(a).either(Labels(a | b)) == Labels(a)
    assert Labels(a, others=False).either(Labels(b, others=False)) == Labels(a | b, others=False)
    assert Labels(a | b).either(Labels(b, others=False)) == Labels(a)
    assert Labels(b, others=False).either(Labels(a | b)) == Labels(a)


def test_metrics_whose_absence_is_looked_for_are_marked() -> None:
    """Those inside absent() and absent_over_time()."""
    tree = parsed("absent(x) or absent_over_time(y[5m]) or z > 3 or {a='b'} > 1")
    assert tree is not None
    assert list(metrics_with_absence(tree)) == [("x", True), ("y", True), ("z", False)]


def test_deep_trees_are_walked_within_pythons_limit() -> None:
    """As deep as one may be."""
    for text in ("(" * (MOST_WALKED - 1) + "x > 1" + ")" * (MOST_WALKED - 1), "x" + " + x" * MOST_WALKED):
        tree = parsed(text)
        assert tree is not None
        assert can_be_empty(tree) is (">" in text)
        assert "a" in result_labels(tree)
