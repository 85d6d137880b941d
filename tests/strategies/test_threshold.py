"""The threshold strategy by hand."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.errors import MissingDataError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.verdict import Code
from bridge.strategies.registry import build
from bridge.strategies.threshold import ThresholdStrategy

EXAMPLE = {"max": 0.6, "clear": 0.5}


def batch(values: list[float], kind: EventKind = EventKind.CUSTOM, **columns: list[float]) -> EventBatch:
    table = ModelTable()
    index = np.array([table.row(ModelKey("p", "q", str(position))) for position in range(len(values))], np.int32)
    named = {name: np.array(column) for name, column in (columns or {"value": values}).items()}
    return EventBatch("accuracy", kind, 0, table, index, named, unit_ms=1000.0)


def codes(params: dict[str, float], values: list[float]) -> list[str]:
    verdicts = build(StrategySpec("threshold", params)).analyse_batch(batch(values), None)
    return [Code(code).name.lower() for code in verdicts.code]


def test_max_min_and_both() -> None:
    """The limits themselves are healthy."""
    assert codes({"max": 0.6}, [0.59, 0.6, 0.61]) == ["ok", "ok", "breached"]
    assert codes({"min": 0.9}, [0.89, 0.9, 0.91]) == ["breached", "ok", "ok"]
    assert codes({"min": 0.2, "max": 0.6}, [0.1, 0.4, 0.7]) == ["breached", "ok", "breached"]


def test_clear_makes_a_band_below_max_and_above_min() -> None:
    """From clear (healthy) to the limit (not breached yet) lies the band."""
    assert codes({"max": 0.6, "clear": 0.5}, [0.5, 0.51, 0.6, 0.61]) == ["ok", "band", "band", "breached"]
    assert codes({"min": 0.9, "clear": 0.95}, [0.89, 0.9, 0.94, 0.95]) == ["breached", "band", "band", "ok"]


def test_infinities_are_values() -> None:
    """A latency of +Inf is above every limit."""
    assert codes({"max": 0.6}, [float("inf"), float("-inf")]) == ["breached", "ok"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "give max, min or both"),
        ({"max": 1.0, "min": 1.0}, "min (1) must be below max (1)"),
        ({"max": 1.0, "clear": 1.5}, "clear (1.5) must not be above max (1)"),
        ({"min": 1.0, "clear": 0.5}, "clear (0.5) must not be below min (1)"),
        ({"min": 0.1, "max": 1.0, "clear": 0.5}, "clear cannot be combined with both"),
        ({"maximum": 1.0}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_limits_are_refused(params: dict[str, float], message: str) -> None:
    """Each message says what would be valid."""
    with pytest.raises(ValidationError) as caught:
        build(StrategySpec("threshold", params))
    assert message in str(caught.value)


def test_a_limit_in_milliseconds_meets_a_signal_in_seconds() -> None:
    """max_latency_ms=200 and values in seconds: 0.25 s is breached, and the threshold is in seconds."""
    verdicts = ThresholdStrategy(max_latency_ms=200).analyse_batch(batch([0.15, 0.25], EventKind.LATENCY), None)
    assert verdicts.code.tolist() == [Code.OK, Code.BREACHED]
    assert verdicts.threshold.tolist() == [0.2, 0.2]


def test_an_error_rate_is_errors_over_total_and_no_traffic_is_not_knowing() -> None:
    """5 of 50 is 0.1; 0 of 0 is inconclusive."""
    errors = batch([0, 0], EventKind.INFERENCE_ERROR, errors=[5.0, 0.0], total=[50.0, 0.0])
    verdicts = ThresholdStrategy(max_error_rate=0.05).analyse_batch(errors, None)
    assert verdicts.code.tolist() == [Code.BREACHED, Code.INCONCLUSIVE]
    assert verdicts.statistic[0] == 0.1


def test_a_signal_without_the_column_is_missing_data() -> None:
    """The message names the columns of the signal."""
    with pytest.raises(MissingDataError, match="no column 'value'; it has: n"):
        ThresholdStrategy(max_drift_p=0.6).analyse_batch(batch([1.0], EventKind.DRIFT, n=[3.0]), None)
