"""Codes of verdicts and causes: they are stored, and their words are part of the API."""

from __future__ import annotations

from bridge.domain.codes import Cause, Code


def test_causes_have_words() -> None:
    assert [cause.word for cause in Cause] == [
        "none", "no_data", "nan", "query_error", "partial", "insufficient", "stale", "blind", "warming_up",
    ]  # fmt: skip


def test_numbers_fit_a_column_and_do_not_move() -> None:
    """Stored states contain them."""
    assert [int(code) for code in Code] == [0, 1, 2, 3]
    assert [int(cause) for cause in Cause] == list(range(9))
