"""Records of the ledger."""

from __future__ import annotations

from bridge.domain.model import PipelineKey
from tests.coordinator.test_answers import RECORD


def test_a_record_has_a_reference_and_an_owner() -> None:
    """The reference is the order of arrival: ids are the bridge's."""
    assert (RECORD.reference, RECORD.owner) == ("run-17", PipelineKey("shop", "churn"))
