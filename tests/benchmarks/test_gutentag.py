"""Series of GutenTAG: which requests are detections, and which are false."""

from __future__ import annotations

import numpy as np

from benchmarks.gutentag import Labelled, score
from benchmarks.real import COOLDOWN, SLOT, START, Piece
from bridge.domain.times import DAY


def test_a_request_from_the_anomaly_until_six_hours_after_it_is_a_detection() -> None:
    """Others are false: before it (one on the first day), and later. Of three series, two are detected."""
    at = START + np.arange(90 * DAY // SLOT) * SLOT
    start, end = START + 40 * DAY, START + 40 * DAY + 6 * SLOT
    found = [Labelled(Piece("sine", "custom", at, np.zeros(len(at))), "sine", "mean", start, end)] * 3
    breached = [np.zeros(len(at), np.bool_) for _ in found]
    for alarms, times in zip(
        breached,
        ([START + DAY, start - SLOT], [start, end + COOLDOWN + SLOT], [START + 50 * DAY, end + COOLDOWN]),
        strict=True,
    ):
        alarms[np.searchsorted(at, times)] = True
    result = score(found, breached)
    assert (result["detected"], result["anomalies"], result["by_kind"]) == (2, 3, {"mean": "2 of 3"})
    assert (result["false_per_quarter"], result["after_first_days"]) == (1.33, 1.0)
    assert result["false_by_base"] == {"sine": 4}
