"""Real series: pieces, planted changes, and what counts as detected."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.real import SHAPES, SLOT, START, Piece, compare, detected, planted, read
from bridge.domain.times import DAY, HOUR, SECOND


def noise(days: int = 28) -> Piece:
    """Return a latency of an hourly series."""
    at = START + np.arange(days * 24) * HOUR
    return Piece("noise.0", "latency", at, np.exp(0.1 * np.random.default_rng(1).standard_normal(len(at))))


def test_series_are_cut_into_pieces_that_keep_the_time_of_the_week(tmp_path: Path) -> None:
    """70 days from a Wednesday on, 16:01, give two pieces of 28 days, moved by whole weeks to slots of five minutes."""
    (tmp_path / "drift").mkdir()
    begin = (START + 3 * 7 * DAY + 2 * DAY + 16 * HOUR) // SECOND + 60
    rows = "".join(f"{begin + hour * 3600},{hour}\n" for hour in range(70 * 24))
    (tmp_path / "drift" / "score.csv").write_text("timestamp,value\n" + rows)
    first, second = read(tmp_path, 28, 3)
    assert (first.name, second.name, first.event) == ("score.0", "score.1", "drift")
    assert first.at[0] == second.at[0] == START + 2 * DAY + 16 * HOUR
    assert (first.at % SLOT == 0).all()
    assert second.values[0] == 28 * 24


def test_each_change_is_planted_once_for_each_size_and_only_within_its_time() -> None:
    before = noise()
    copies, plants = planted([before], np.random.default_rng(2))
    assert [each.piece for each in plants] == list(range(len(copies)))
    assert {each.change for each in plants} <= set(SHAPES)
    for each in plants:
        inside = (before.at >= each.start) & (before.at < each.end)
        ratio = copies[each.piece].values / before.values
        earlier = (before.at >= each.start - DAY) & (before.at < each.end - DAY) & (each.change == "next day")
        assert np.allclose(ratio[~inside & ~earlier], 1.0)
        if SHAPES[each.change][0] == "step":
            assert np.allclose(ratio[inside], each.size)


def test_a_request_within_a_change_detects_it() -> None:
    copies, plants = planted([noise()], np.random.default_rng(3))
    right = [np.zeros(len(piece.at), np.bool_) for piece in copies]
    for each in plants:
        right[each.piece] |= (copies[each.piece].at >= each.start) & (copies[each.piece].at < each.end)
    assert all(detected(copies, plants, right))
    assert not any(detected(copies, plants, [np.zeros_like(one) for one in right]))


def test_simple_detectors_make_no_more_requests_than_auto() -> None:
    result = compare([noise()], np.random.default_rng(4))
    most = result["auto"]["requests_per_quarter"]
    assert all(one["requests_per_quarter"] <= most for one in result.values())  # type: ignore[operator]
    assert {one["planted"] for one in result.values()} == {result["auto"]["planted"]}
