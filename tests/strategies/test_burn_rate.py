"""Burn rates by hand; the Wilson bound against scipy."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import binomtest

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import HOUR, MINUTE
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.strategies.base import RetrainStrategy
from bridge.strategies.burn_rate import wilson_lower
from bridge.strategies.registry import build

EXAMPLE: dict[str, Any] = {
    "slo": 0.99,
    "pairs": [{"long": "1h", "short": "5m", "factor": 10}],
    "min_coverage": 0.01,
    "confidence": 0.5,
}
PLAIN = {**EXAMPLE, "min_coverage": 0.5}
START = 1_700_000_100_000  # a multiple of five minutes
NAN = float("nan")


def batch(slot: int, errors: list[float], total: list[float]) -> EventBatch:
    table = ModelTable()
    index = np.array([table.row(ModelKey("p", "q", str(position))) for position in range(len(errors))], np.int32)
    columns = {"errors": np.array(errors, np.float64), "total": np.array(total, np.float64)}
    return EventBatch("failures", EventKind.INFERENCE_ERROR, slot, table, index, columns)


class Story:
    """Run of a strategy over the samples of one model."""

    def __init__(self, params: dict[str, Any], step: int = 5 * MINUTE) -> None:
        self.strategy: RetrainStrategy = build(StrategySpec("burn_rate", params))
        self.state = self.strategy.new_state(1)
        self.step, self.slot = step, START
        self.last: tuple[EventBatch, Verdicts] | None = None

    def see(self, errors: float, total: float, times: int = 1) -> tuple[str, str, float, float]:
        """Return code, cause, statistic and threshold after so many samples."""
        for _ in range(times):
            self.slot += self.step
            one = batch(self.slot, [errors], [total])
            verdicts = self.strategy.analyse_batch(one, self.state)
            self.last = one, verdicts
        code, cause = Code(verdicts.code[0]).name, Cause(verdicts.cause[0]).name
        return code, cause, round(float(verdicts.statistic[0]), 4), float(verdicts.threshold[0])

    def reason(self) -> str:
        assert self.last is not None
        return self.strategy.describe(self.last[0], 0, self.last[1])


def test_both_windows_have_to_burn() -> None:
    """An hour at 20 % errors with 1 % allowed burns 20-fold; five good minutes end it, though the hour is still bad."""
    story = Story(PLAIN)
    assert story.see(0, 100, 12) == ("OK", "NONE", 0.0, 10.0)
    assert story.see(20, 100, 5) == ("OK", "NONE", 8.3333, 10.0)
    assert story.see(20, 100, 7) == ("BREACHED", "NONE", 20.0, 10.0)
    assert story.see(0, 100) == ("OK", "NONE", 0.0, 10.0)
    assert story.see(20, 100) == ("BREACHED", "NONE", 18.3333, 10.0)


def test_the_long_window_forgets_what_is_older() -> None:
    """An hour after the last error, the window is clear."""
    story = Story({**PLAIN, "pairs": [{"long": "1h", "short": "30m", "factor": 1}]})
    story.see(100, 100, 12)
    assert story.see(0, 100, 3)[0] == "BREACHED"
    assert story.see(0, 100, 3) == ("OK", "NONE", 0.0, 1.0)
    story.see(0, 100, 6)
    assert story.see(1, 100) == ("OK", "NONE", 0.0833, 1.0)


def test_a_gap_is_not_traffic() -> None:
    """After two hours without samples, earlier samples are dropped, and the verdict is inconclusive."""
    story = Story(PLAIN)
    story.see(20, 100, 12)
    story.slot += 2 * HOUR
    assert story.see(20, 100)[:2] == ("INCONCLUSIVE", "WARMING_UP")


def test_a_short_window_is_known_before_the_long_one() -> None:
    """Half of a window must be seen: until then a calm short window is healthy, and a burning one inconclusive."""
    calm, burning = Story(PLAIN), Story(PLAIN)
    assert calm.see(0, 100) == ("OK", "NONE", 0.0, 10.0)
    assert burning.see(50, 100, 5)[:2] == ("INCONCLUSIVE", "WARMING_UP")
    assert burning.see(50, 100)[0] == "BREACHED"


def test_one_pair_that_burns_is_enough_and_all_have_to_be_calm() -> None:
    """6x over 6h and 30m or 1x over 3d and 6h, as is the default: 2x is slow, and found after half of three days."""
    calm, story = Story({"slo": 0.99}), Story({"slo": 0.99})
    assert calm.see(0, 100, 3 * 12 - 1)[:2] == ("INCONCLUSIVE", "WARMING_UP")
    assert calm.see(0, 100)[:2] == ("OK", "NONE")
    assert story.see(2, 100, 36 * 12 - 1)[:2] == ("INCONCLUSIVE", "WARMING_UP")
    assert story.see(2, 100) == ("BREACHED", "NONE", 1.8922, 1.0)
    fast = Story({"slo": 0.99})
    assert fast.see(30, 100, 36)[0] == "BREACHED"
    assert fast.last is not None
    assert fast.last[1].threshold.tolist() == [6.0]


def test_few_requests_prove_nothing() -> None:
    """One of ten requests is 10-fold, and so is 100 of 1000; only the latter is sure at 95 %."""
    params = {**PLAIN, "pairs": [{"long": "1h", "short": "30m", "factor": 5}], "confidence": 0.95}
    few, many = Story(params), Story(params)
    few.see(0, 1, 9)
    many.see(0, 100, 9)
    assert few.see(1, 1)[:3] == ("OK", "NONE", 2.2635)
    assert many.see(100, 100)[:3] == ("BREACHED", "NONE", 8.5459)


def test_the_wilson_bound_is_that_of_scipy() -> None:
    """The two-sided interval at 90 % has the one-sided bound at 95 %; none of ten gives exactly 0."""
    draw = random.Random(20)
    total = [draw.randint(1, 5000) for _ in range(200)]
    errors = [draw.randint(0, size) for size in total]
    ours = wilson_lower(np.array(errors, float), np.array(total, float), 1.6448536269514722)
    theirs = [binomtest(k, n).proportion_ci(0.9, "wilson").low for k, n in zip(errors, total, strict=True)]
    assert np.allclose(ours, theirs, rtol=0, atol=1e-12)
    assert wilson_lower(np.array([0.0]), np.array([10.0]), 1.6448536269514722).tolist() == [0.0]


def test_windows_that_overlap_are_counted_once() -> None:
    """A five-minute increase queried every minute: every fifth sample counts, and one failure counts once."""
    dense, sparse = Story(PLAIN, MINUTE), Story(PLAIN)
    for errors in (0, 0, 0, 20, 20, 20, 0, 3, 3, 40):
        assert dense.see(errors, 100, 5)[2:] == sparse.see(errors, 100)[2:]
    assert dense.state is not None
    assert dense.state["ring"][0, 1].sum(axis=1).tolist() == [106.0, 1000.0, 10.0]


def test_rates_are_made_counts_again() -> None:
    """0.1/s over five minutes is 30 requests: the same verdicts as from increases."""
    rates, increases = Story({**PLAIN, "samples": "rate", "confidence": 0.95}), Story({**PLAIN, "confidence": 0.95})
    assert rates.see(6 / 300, 30 / 300, 8) == increases.see(6, 30, 8)
    assert rates.see(6 / 300, 30 / 300)[0] == "BREACHED"


@pytest.mark.parametrize(
    ("errors", "total"), [(NAN, 100.0), (1.0, NAN), (NAN, NAN), (float("inf"), 100.0), (-1.0, 100.0), (0.0, -1.0)]
)
def test_invalid_counts_are_inconclusive_and_not_stored(errors: float, total: float) -> None:
    """It neither fires nor resolves; the next valid sample continues from the last one."""
    story = Story(PLAIN)
    story.see(20, 100, 12)
    assert story.see(errors, total)[:2] == ("INCONCLUSIVE", "NAN")
    assert story.state is not None
    assert story.state["ring"][0, 1].sum(axis=1).tolist() == [220.0, 1100.0, 11.0]
    assert story.see(20, 100)[0] == "BREACHED"


def test_more_errors_than_requests_are_all_requests() -> None:
    """Two queries can see a scrape between them."""
    story = Story(PLAIN)
    assert story.see(120, 100, 12) == ("BREACHED", "NONE", 100.0, 10.0)


def test_no_traffic_is_not_known() -> None:
    """0 of 0 over all windows; but a calm long window is healthy, whatever the idle short one would say."""
    idle, pausing = Story(PLAIN), Story(PLAIN)
    assert idle.see(0, 0, 12)[:2] == ("INCONCLUSIVE", "INSUFFICIENT")
    pausing.see(1, 100, 12)
    assert pausing.see(0, 0)[:2] == ("OK", "NONE")


def test_a_model_does_not_change_what_is_computed_for_another() -> None:
    """Ten models over random samples and gaps, in one batch and separately."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    strategy = build(StrategySpec("burn_rate", PLAIN))
    together, alone = strategy.new_state(10), [strategy.new_state(1) for _ in range(10)]
    assert together is not None
    breached = 0
    for step in range(60):
        slot = START + step * 5 * MINUTE
        here = [position for position in range(10) if draw.random() < 0.8]
        total = [draw.choice([0, 50, 200, NAN]) for _ in here]
        errors = [draw.choice([0, 0.05, 0.3]) * size for size in total]
        state = together[here]
        verdicts = strategy.analyse_batch(batch(slot, errors, total), state)
        together[here] = state
        for row, position in enumerate(here):
            one = strategy.analyse_batch(batch(slot, [errors[row]], [total[row]]), alone[position])
            assert (one.code[0], one.cause[0]) == (verdicts.code[row], verdicts.cause[row])
            assert repr(one.statistic[0]) == repr(verdicts.statistic[row])
        breached += int((verdicts.code == Code.BREACHED).sum())
    assert breached > 0


def test_what_it_remembers_goes_through_bytes() -> None:
    """At most 2 KB per model with three pairs of different windows."""
    pairs = [
        {"long": "1h", "short": "5m", "factor": 14.4},
        {"long": "6h", "short": "30m", "factor": 6},
        {"long": "3d", "short": "2h", "factor": 1},
    ]
    story = Story({"slo": 0.99, "pairs": pairs})
    story.see(50, 100, 11)
    assert story.strategy.state_dtype is not None
    assert story.strategy.state_dtype.itemsize == 1792
    assert story.state is not None
    story.state = np.frombuffer(story.state.tobytes(), story.strategy.state_dtype).copy()
    assert story.see(50, 100)[0] == "BREACHED"


def test_the_reason_is_reported_in_factors_and_shares_of_the_budget() -> None:
    """20-fold for an hour is 20 of 720 hours: 2.78 % of the month."""
    story = Story(PLAIN)
    story.see(20, 100, 12)
    assert story.reason() == (
        "signal 'failures': the error budget burns at least 20 times as fast as an objective of 99 % allows,"
        " over 1h and 5m (limit 10): 2.78 % of the 30d budget spent in 1h"
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "Field required"),
        ({"slo": 1.0}, "less than 1"),
        ({"slo": 0.9}, None),
        ({"slo": 0.5}, "factor 6 cannot be passed: when all requests fail, it is 2"),
        ({"slo": 0.99, "pairs": []}, "at least 1 item"),
        ({"slo": 0.99, "pairs": [{"long": "1h", "short": "1h", "factor": 2}]}, "short (1h) must be below long (1h)"),
        ({"slo": 0.99, "pairs": [{"long": "1h", "short": "1m", "factor": 2}]}, "not below window"),
        ({"slo": 0.99, "pairs": [{"long": "1h", "short": "0", "factor": 2}]}, "must be longer than 0"),
        ({"slo": 0.99, "pairs": [{"long": "1h", "short": "5x", "factor": 2}]}, "'5x' is not a duration"),
        ({"slo": 0.99, "pairs": EXAMPLE["pairs"] * 2}, "two pairs have the same factor"),
    ],
)
def test_wrong_parameters_are_refused(params: dict[str, Any], message: str | None) -> None:
    """Each message says what would be valid."""
    if message is None:
        assert build(StrategySpec("burn_rate", params)).name == "burn_rate"
        return
    with pytest.raises(ValidationError) as caught:
        build(StrategySpec("burn_rate", params))
    assert message in str(caught.value)
