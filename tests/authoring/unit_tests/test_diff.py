"""What was expected against what was there."""

from __future__ import annotations

from bridge.authoring.unit_tests.diff import Failure, difference, matched
from bridge.authoring.unit_tests.file import ExpectedRequest

SEVEN = {"pipeline": "ranking", "version": "7", "reason": "drift 0.7 above 0.6", "triggered_at": "40s"}
EIGHT = {**SEVEN, "version": "8"}


def expected(**keys: str) -> ExpectedRequest:
    """An expectation as a test file has it."""
    return ExpectedRequest.model_validate(keys)


def test_order_is_of_no_importance() -> None:
    """On either side."""
    assert list(difference("alerts", [{"a": 1}, {"b": 2}], [{"b": 2}, {"a": 1}], 3)) == []


def test_equal_ones_count() -> None:
    """Two of a kind are not one; both sides are told, sorted."""
    got = list(difference("alerts", [{"a": 1}, {"c": 3}], [{"b": 2}, {"a": 1}, {"a": 1}], 3))
    assert got == [
        Failure(
            3,
            'alerts:\n    expected, and not there: {"c": 3}\n'
            '    there, and not expected: {"a": 1}\n    there, and not expected: {"b": 2}',
        )
    ]


def test_a_wide_expectation_leaves_the_one_that_a_narrow_one_needs() -> None:
    """In whatever order they are written: nobody takes what only another can take."""
    wide, narrow = ExpectedRequest(pipeline="ranking"), ExpectedRequest(version="7")
    for wanted in ([wide, narrow], [narrow, wide]):
        for got in ([SEVEN, EIGHT], [EIGHT, SEVEN]):
            assert list(matched("requests", wanted, got, 1)) == []
    (failure,) = matched("requests", [narrow, narrow], [SEVEN, EIGHT], 1)
    assert failure.text.count("expected, and not there") == 1
    assert '"version": "8"' in failure.text


def test_instants_and_parts_of_reasons_fit() -> None:
    """A reason by a part of it, an instant exactly."""
    assert list(matched("requests", [expected(reason="above", triggered_at="40s")], [SEVEN], 1)) == []
    (failure,) = matched("requests", [expected(triggered_at="41s")], [SEVEN], 1)
    assert 'expected, and not there: {"triggered_at": "41s"}' in failure.text


def test_some_labels_are_enough() -> None:
    """But those have to be there, with that value."""
    got = [{"exp_labels": {"severity": "page", "team": "a"}}]
    assert list(matched("requests", [ExpectedRequest(exp_labels={"team": "a"})], got, 1)) == []
    for labels in ({"team": "b"}, {"other": "a"}):
        assert len(list(matched("requests", [ExpectedRequest(exp_labels=labels)], got, 1))) == 1
