"""Candidate metrics outside the rule packs."""

from __future__ import annotations

from tests.authoring.suggest.test_suggest import FAILED, Source, found


def test_without_label_queries_candidates_are_found_by_name() -> None:
    """The query for labelled metrics may be too large for a server."""
    source = Source(["churn_model_accuracy", "churn_model_accuracy_created"], labelled=FAILED)
    assert [(item.metric, item.labelled) for item in found(source).candidates] == [("churn_model_accuracy", False)]


def test_the_number_of_candidates_is_bounded() -> None:
    """A list of hundreds would not help."""
    source = Source([f"drift_of_feature_{position:03}" for position in range(300)])
    assert [item.metric for item in found(source).candidates] == [
        f"drift_of_feature_{position:03}" for position in range(10)
    ]
