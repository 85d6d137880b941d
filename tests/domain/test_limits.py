"""Size limits: truncation with a mark."""

from __future__ import annotations

from bridge.domain.limits import MOST_LABELS, bounded, cut, mark


def test_a_text_within_the_limit_is_unchanged() -> None:
    """The limit itself is allowed."""
    assert cut("abcd", 4) == "abcd"


def test_a_cut_text_states_its_kept_length() -> None:
    """The mark names both numbers."""
    assert cut("abcdefghi", 4) == "abcd… (cut, 4 of 9 characters)"
    assert mark(1, 3, "labels") == "(cut, 1 of 3 labels)"


def test_labels_that_do_not_fit_together_are_left_out() -> None:
    """The first ones are kept."""
    fits = {"a": "x" * (MOST_LABELS - 100), "b": "y"}
    assert bounded(fits) == fits
    assert list(bounded({**fits, "c": "z" * 200, "d": ""})) == ["a", "b"]
