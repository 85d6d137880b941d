"""auto: detection of new behaviour, silence on usual behaviour, reasons, and its parts against formulas."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.strategies.registry import build
from bridge.strategies.stats.block_maxima import BLOCK, BlockMaxima
from bridge.strategies.stats.seasonal_baseline import SeasonalBaseline
from bridge.strategies.stats.share_cusum import ShareCusum

EXAMPLE: dict[str, Any] = {}
START = 1_700_006_400_000  # Wednesday, 15 November 2023, 00:00 UTC
Floats = NDArray[np.float64]


class Story:
    """Run of `auto` over some models."""

    def __init__(
        self, event: EventKind = EventKind.CUSTOM, models: int = 1, step: int = 5 * MINUTE, **params: Any
    ) -> None:
        self.strategy = build(StrategySpec("auto", params))
        self.state = self.strategy.new_state(models)
        self.event, self.step, self.slot = event, step, START - step
        self.table = ModelTable()
        self.index = np.array(
            [self.table.row(ModelKey("p", "q", str(position))) for position in range(models)], np.int32
        )
        self.batch: EventBatch | None = None
        self.verdicts: Verdicts | None = None

    def see(self, **columns: Any) -> list[str]:
        """Evaluate one sample per model; return each code, or the cause of an inconclusive verdict."""
        self.slot += self.step
        arrays = {name: np.atleast_1d(np.asarray(numbers, float)) for name, numbers in columns.items()}
        unit = 1000.0 if self.event is EventKind.LATENCY else 1.0
        self.batch = EventBatch("p95", self.event, self.slot, self.table, self.index, arrays, unit_ms=unit)
        self.verdicts = self.strategy.analyse_batch(self.batch, self.state)
        text = zip(self.verdicts.code.tolist(), self.verdicts.cause.tolist(), strict=True)
        return [Cause(cause).name if cause else Code(code).name for code, cause in text]

    def run(self, values: Floats) -> list[int]:
        """Return the positions of samples (n,) of one model at which it becomes breached."""
        codes = [self.see(value=value)[0] for value in values]
        return [
            position for position, code in enumerate(codes) if code == "BREACHED" and codes[position - 1] != "BREACHED"
        ]

    def reason(self) -> str:
        assert self.batch is not None
        assert self.verdicts is not None
        return self.strategy.describe(self.batch, 0, self.verdicts)


def course(days: float, seed: int, sigma: float = 0.05, step: int = 5 * MINUTE) -> Floats:
    """Return a latency in seconds with a daily wave and AR(0.5) noise."""
    draw = np.random.default_rng(seed)
    count = int(days * DAY / step)
    noise = draw.standard_normal(count) * sigma * math.sqrt(0.75)
    for position in range(1, count):
        noise[position] += 0.5 * noise[position - 1]
    return np.asarray(0.2 * np.exp(0.3 * np.sin(2 * np.pi * np.arange(count) * step / DAY) + noise))


def drawn() -> int:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    return seed


def test_a_quiet_latency_requests_nothing_and_a_slow_one_is_found_within_two_hours() -> None:
    """A permanent +30 % after three weeks; no alarm before."""
    values = course(22, drawn())
    values[21 * 288 :] *= 1.3
    story = Story(EventKind.LATENCY)
    begins = story.run(values[: 21 * 288 + 24])
    assert begins[-1] >= 21 * 288
    assert len(begins) <= 2  # a false one in three weeks may be


def test_a_shift_is_reported_with_the_usual_value_for_the_hour() -> None:
    """A seventh more, in noise as large: no single sample is an outlier."""
    values = course(10, 23, sigma=0.1)
    values[9 * 288 :] *= 1.2
    story = Story(EventKind.LATENCY)
    story.run(values[: 9 * 288])
    while story.see(value=values[(story.slot - START) // story.step + 1]) != ["BREACHED"]:
        pass
    assert " has stayed above its usual " in story.reason()
    assert " for this hour (score " in story.reason()


def test_a_value_that_was_never_there_is_found_at_once() -> None:
    """Three times the level: the first sample alarms, and the reason shows the usual level."""
    values = course(8, drawn())
    story = Story(EventKind.LATENCY)
    story.run(values[:-1])
    assert story.see(value=3 * values[-1]) == ["BREACHED"]
    assert "(score " in story.reason()
    assert "limit 5.5)" in story.reason()


@pytest.mark.parametrize(
    ("event", "params", "factor", "code"),
    [(EventKind.LATENCY, {}, 0.2, "OK"), (EventKind.LATENCY, {"side": "down"}, 0.2, "BREACHED"),
     (EventKind.LATENCY, {"side": "down"}, 5, "OK"), (EventKind.CUSTOM, {}, 0.2, "BREACHED"),
     (EventKind.CUSTOM, {}, 5, "BREACHED"), (EventKind.CUSTOM, {"side": "up"}, 0.2, "OK")],
)  # fmt: skip
def test_only_changes_for_the_worse_count_unless_said_otherwise(
    event: EventKind, params: dict[str, Any], factor: float, code: str
) -> None:
    """A fast response is no fault; for a custom signal the bad direction is unknown."""
    values = course(4, 7)
    story = Story(event, **params)
    story.run(values[:-1])
    assert story.see(value=factor * values[-1]) == [code]


def test_an_alarm_lasts_an_hour_after_the_last_odd_sample() -> None:
    """This gives `for` time to elapse."""
    values = course(4, 7)
    story = Story(EventKind.LATENCY)
    story.run(values[:-20])
    assert story.see(value=3.0) == ["BREACHED"]
    text = story.reason()[story.reason().index("(score") :]
    codes = [story.see(value=value)[0] for value in values[-20:-10]]
    assert story.reason().endswith(text)  # the highest, not what is left of it
    codes += [story.see(value=value)[0] for value in values[-10:]]
    lasting = codes.index("OK")
    assert codes == ["BREACHED"] * lasting + ["OK"] * (20 - lasting)
    assert 11 <= lasting <= 13


def test_a_new_model_warms_up_for_a_day() -> None:
    """Until there are past peaks."""
    story = Story(EventKind.LATENCY)
    codes = [story.see(value=value)[0] for value in course(1.5, 3)]
    assert codes[:287] == ["WARMING_UP"] * 287
    assert codes[-1] == "OK"
    assert set(codes) == {"WARMING_UP", "OK"}


def test_numbers_every_minute_are_put_together_to_five() -> None:
    """The mean of five, evaluated with the last of them, equals a single sample of that value."""
    minutes = course(3, 11, step=MINUTE)
    means = minutes.reshape(-1, 5).mean(1)
    fine, coarse = Story(step=MINUTE), Story(step=5 * MINUTE)
    coarse.slot += 4 * MINUTE  # the end of its window
    for position, mean in enumerate(means):
        for value in minutes[5 * position : 5 * position + 5]:
            fine.see(value=value)
        coarse.see(value=mean)
    assert fine.state is not None
    assert coarse.state is not None
    assert math.isclose(float(fine.state["score"][0]), float(coarse.state["score"][0]), rel_tol=1e-6, abs_tol=1e-6)
    assert fine.state["looked"] == coarse.state["looked"]


def test_a_number_that_is_only_scraped_again_is_no_new_one() -> None:
    """An hourly source gives the same state whether queried every five minutes or every hour."""
    hours = course(6, 5, step=HOUR)
    story = Story(step=5 * MINUTE)
    for value in hours:
        for _ in range(12):
            story.see(value=value)
    assert story.state is not None
    assert len(hours) <= story.state["habits"]["count"][0] + 24 <= len(hours) + 24


def test_a_repeated_peak_becomes_usual() -> None:
    """A nightly batch run alarms once; after some nights it does not."""
    values = course(20, 13)
    values[40::288] *= 4
    begins = Story(EventKind.LATENCY).run(values)
    assert all(position < 9 * 288 for position in begins)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1e300, -1e31])
def test_what_is_no_number_is_neither_judged_nor_learnt(odd: float) -> None:
    """The state is unchanged for the next sample."""
    values = course(3, 17)
    one, other = Story(), Story()
    one.run(values[:-2])
    other.run(values[:-2])
    assert one.see(value=odd) == ["NAN"]
    other.slot += other.step
    assert one.see(value=values[-1]) == other.see(value=values[-1]) == ["OK"]


# ---------------------------------------------------------------- errors among requests


def test_an_error_rate_that_trebles_is_found_and_becomes_usual() -> None:
    """Within an hour at 200 requests per window; after the alarm the new rate is the usual one."""
    draw = np.random.default_rng(drawn())
    story = Story(EventKind.INFERENCE_ERROR)
    codes = [story.see(errors=draw.binomial(200, 0.02), total=200)[0] for _ in range(3 * 288)]
    assert set(codes[150:]) == {"OK"}
    codes = [story.see(errors=draw.binomial(200, 0.06), total=200)[0] for _ in range(288)]
    assert "BREACHED" in codes[:12]
    assert codes[100:] == ["OK"] * 188


def test_the_reason_of_an_error_rate_has_both_shares() -> None:
    """Now, and before."""
    story = Story(EventKind.INFERENCE_ERROR)
    for _ in range(288):
        story.see(errors=2, total=200)
    while story.see(errors=20, total=200) != ["BREACHED"]:
        pass
    assert story.reason().startswith("error rate p95 10 %, usually 1")


def test_windows_without_requests_say_nothing_new() -> None:
    """No traffic is neither good nor bad: the verdict stays."""
    story = Story(EventKind.INFERENCE_ERROR)
    for _ in range(288):
        story.see(errors=2, total=200)
    before = story.state["shares"].copy() if story.state is not None else None
    assert story.see(errors=0, total=0) == ["OK"]
    assert story.state is not None
    assert before is not None
    assert story.state["shares"].tobytes() == before.tobytes()


def test_the_evidence_is_the_binomial_likelihood_ratio() -> None:
    """Compared with scipy, for twice the learnt odds."""
    shares = ShareCusum()
    own = np.zeros(1, list(shares.fields))
    own["errors"], own["requests"], own["lived"], own["bursts"] = 49.5, 999.0, DAY, 1.0
    found = shares.step(np.array([9.0]), np.array([60.0]), np.array([5 * MINUTE]), np.array([5 * MINUTE]), own)
    usual = 50.0 / 1000.0
    odds = 2 * usual / (1 - usual)
    expected = stats.binom.logpmf(9, 60, odds / (1 + odds)) - stats.binom.logpmf(9, 60, usual)
    assert found.total[0] == pytest.approx(expected, abs=1e-12)
    assert found.usual[0] == pytest.approx(usual)
    assert found.now[0] == pytest.approx(9 / 60)


# ---------------------------------------------------------------- extremes and habits


def test_scores_are_in_spreads_of_the_peaks_of_blocks() -> None:
    """Ten blocks by hand, with equal weights while there are few."""
    draw = np.random.default_rng(drawn())
    extremes = BlockMaxima(1)
    own = np.zeros(1, extremes.fields)
    numbers = draw.gumbel(size=(10, 48))
    for position, value in enumerate([*numbers.ravel().tolist(), 9.0]):
        values = np.array([[[value, -value]]])
        scores = extremes.step(values, START + position * BLOCK // 48, own)
    for side, peaks in ((1, numbers.max(1)), (-1, (-numbers).max(1))):
        expected = (side * 9.0 - peaks.mean()) / peaks.std()
        assert scores[0, 0, 0 if side == 1 else 1] == pytest.approx(expected, rel=1e-6)


def test_scores_are_unknown_for_a_day() -> None:
    """Six blocks must be complete."""
    extremes = BlockMaxima(1)
    own = np.zeros(1, extremes.fields)
    known = []
    for position in range(9):
        scores = extremes.step(np.array([[[float(position % 2), 0.0]]]), START + position * BLOCK, own)
        known.append(bool(np.isfinite(scores[0, 0, 0])))
    assert known == [False] * 6 + [True] * 3


def test_surprises_of_correlated_noise_are_independent_and_of_size_one() -> None:
    """AR(0.8) around a daily wave: after some days, innovations in units of their standard deviation."""
    draw, models = np.random.default_rng(drawn()), 200
    habits = SeasonalBaseline()
    own = np.zeros(models, list(habits.fields))
    noise, found = np.zeros(models), []
    for position in range(20 * 288):
        slot = START + position * 5 * MINUTE
        noise = 0.8 * noise + 0.6 * draw.standard_normal(models)
        wave = 5 * math.sin(2 * math.pi * position / 288)
        surprise = habits.step(100 + wave + noise, slot, np.full(models, 5 * MINUTE), own)
        if position >= 14 * 288:
            found.append(surprise.z)
    z = np.array(found)
    assert abs(float(z.std()) - 1) < 0.08
    assert abs(float(np.mean([stats.pearsonr(z[:-1, item], z[1:, item])[0] for item in range(50)]))) < 0.06


def test_a_level_that_wanders_under_noise_does_not_add_up_to_a_shift() -> None:
    """The variance of means of three hours is below twice that of independent noise; whitening alone leaves 3.5."""
    draw, models = np.random.default_rng(drawn()), 100
    habits = SeasonalBaseline()
    own = np.zeros(models, list(habits.fields))
    level, found = np.zeros(models), []
    for position in range(21 * 288):
        level = 0.9995 * level + 0.005 * draw.standard_normal(models)
        values = level + 0.02 * draw.standard_normal(models)
        z = habits.step(values, START + position * 5 * MINUTE, np.full(models, 5 * MINUTE), own).z
        if position >= 14 * 288:
            found.append(z)
    means = np.array(found).reshape(-1, 36, models).sum(1) / math.sqrt(36)
    assert float(means.var()) < 2.0
