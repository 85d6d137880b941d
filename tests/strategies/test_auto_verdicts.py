"""What verdicts of auto say to people."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.verdict import Cause, Code
from bridge.strategies.auto_verdicts import DAY_INDEX, EXCESS_INDEX, STATISTICS, AutoVerdicts, describe


def verdict(which: int, side: int, usual: float, highest: float, limit: float) -> AutoVerdicts:
    return AutoVerdicts(
        np.array([Code.BREACHED], np.int8), np.array([Cause.NONE], np.int8), np.array([highest]), np.array([limit]),
        np.array([which], np.int8), np.array([side], np.int8), np.array([usual]), np.array([highest]),
        np.array([0.1]), np.array([0.4]),
    )  # fmt: skip


def batch(event: EventKind, **columns: float) -> EventBatch:
    table = ModelTable()
    index = np.array([table.row(ModelKey("p", "q", "1"))], np.int32)
    return EventBatch(
        "signal", event, 1_700_006_400_000, table, index, {name: np.array([one]) for name, one in columns.items()},
        unit_ms=1000.0 if event is EventKind.LATENCY else 1.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("which", "side", "expected"),
    [
        (0, 1, " is higher than usual highs of 200 ms (6 spreads above usual daily peaks, limit 2)"),
        (0, -1, " is lower than usual lows of 200 ms (6 spreads above usual daily peaks, limit 2)"),
        (1, 1, " rose more steeply than ever; 200 ms was expected (6 spreads above usual daily peaks, limit 2)"),
        (2, 1, " has stayed above its usual 200 ms for this hour (6 spreads above usual daily peaks, limit 2)"),
        (3, 1, " is above the 200 ms that was expected for this hour (6 spreads above usual daily peaks, limit 2)"),
        (4, 1, "; its mean over a day rose above the 200 ms of recent weeks (3 times as far as the limit)"),
        (4, -1, "; its mean over a day fell below the 200 ms of recent weeks (3 times as far as the limit)"),
    ],
)
def test_each_statistic_has_its_sentence(which: int, side: int, expected: str) -> None:
    found = describe(batch(EventKind.LATENCY, value=0.3), 0, verdict(which, side, 0.2, 6.0, 2.0))
    assert found == f"latency signal 300 ms{expected}"
    assert DAY_INDEX == len(STATISTICS) == 4


def test_error_rates_are_described_by_the_number_that_decided() -> None:
    counts = batch(EventKind.INFERENCE_ERROR, errors=3.0, total=100.0)
    assert describe(counts, 0, verdict(0, 1, 0.01, 9.0, 8.0)).endswith("usually 1 % (CUSUM 9, limit 8)")
    text = describe(counts, 0, verdict(EXCESS_INDEX, 1, 0.01, 10.0, 8.0))
    assert text.endswith("usually 1 % (errors of a window 1.25 times as far above usual daily peaks as the limit)")
    text = describe(counts, 0, verdict(DAY_INDEX, 1, 0.01, 10.0, 8.0))
    assert text.endswith("its mean over a day rose above the 1 % of recent weeks (1.25 times as far as the limit)")
