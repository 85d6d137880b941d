"""Standardisation: learnt references, and output of mean 0 and variance 1 for any signal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from bridge.domain.batch import EventKind
from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.strategies.stats.seasonal_profile import SeasonalProfile
from bridge.strategies.stats.standardise import StandardiseConfig, Standardised, Standardiser

START = 1_700_006_400_000  # a Wednesday, 00:00 UTC


class Models:
    """Models whose latency is exp(level + daily wave + AR(1) noise), evaluated in every step."""

    def __init__(
        self, count: int, seed: int, *, phi: float = 0.0, wave: float = 0.0, step: int = 5 * MINUTE, **config: Any
    ) -> None:
        self.standardiser = Standardiser(StandardiseConfig(**config))
        self.state = np.zeros(count, self.standardiser.dtype)
        self.draw, self.phi, self.wave, self.step = np.random.default_rng(seed), phi, wave, step
        self.slot, self.noise = START, np.zeros(count)

    def sample(self) -> NDArray[np.float64]:
        self.slot += self.step
        fresh = np.sqrt(1 - self.phi**2) * self.draw.standard_normal(len(self.noise))
        self.noise = self.phi * self.noise + fresh
        values: NDArray[np.float64] = np.exp(5 + 0.1 * self.noise + self.wave * np.sin(2 * np.pi * self.slot / DAY))
        return values

    def look(self, values: np.ndarray, *, freeze: bool = False) -> Standardised:
        frozen = np.full(len(values), freeze)
        return self.standardiser.step(values, self.slot, self.state, frozen, EventKind.LATENCY)

    def live(self, duration: int) -> list[Standardised]:
        return [self.look(self.sample()) for _ in range(duration // self.step)]


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("reference", ["version", "sliding", "seasonal"])
def test_standardised_noise_is_white_and_of_variance_one(reference: str, phi: float) -> None:
    """For any correlation and any daily pattern."""
    models = Models(30, 1, phi=phi, wave=0.3 if reference == "seasonal" else 0.0, reference=reference)
    models.live(16 * DAY if reference == "seasonal" else 4 * DAY)
    z = np.array([result.z for result in models.live(3 * DAY)])
    assert abs(float(z.mean())) < 0.05
    assert 0.93 < float(z.std()) < 1.07
    assert abs(float((z[1:] * z[:-1]).mean())) < 0.05


def learnt(models: Models) -> bytes:
    """Return the learnt reference and noise, without the last sample and its time."""
    season = [
        models.state[name].tobytes() for name in ("levels", "seasons") if name in (models.state.dtype.names or ())
    ]
    return b"".join([models.state["now"][:, [0, 1, 5, 6, 7, 8]].tobytes(), *season])


@pytest.mark.parametrize("reference", ["version", "sliding", "seasonal"])
def test_nothing_is_learnt_while_an_alarm_is_on(reference: str) -> None:
    """However long it lasts; without an alarm they adapt, except for a version after its window."""
    models = Models(5, 3, reference=reference, season="day", warm_up="6h", window="1d")
    models.live(3 * DAY)
    for _ in range(13):  # the hour that is being added up is over then
        models.look(3 * models.sample(), freeze=True)
    before = learnt(models)
    for _ in range(288):
        models.look(3 * models.sample(), freeze=True)
    assert learnt(models) == before
    for _ in range(288):
        models.look(3 * models.sample())
    assert (learnt(models) == before) == (reference == "version")


def test_the_level_of_a_version_is_that_of_its_first_time() -> None:
    """It stays fixed: after ten days of slowly rising latency, the full rise shows."""
    models = Models(20, 4, reference="version", window="1d")
    models.live(DAY)
    began = models.look(models.sample()).level
    assert began == pytest.approx(np.full(20, np.exp(5)), rel=0.03)
    for day in range(10):
        for _ in range(288):
            result = models.look(models.sample() * 1.05**day)
    assert result.level == pytest.approx(began)
    assert result.deviation.mean() > 3


def test_a_sliding_level_follows() -> None:
    """After ten windows it has reached the signal."""
    models = Models(20, 5, reference="sliding", window="6h", warm_up="6h")
    models.live(DAY)
    for _ in range(720):
        result = models.look(models.sample() * 1.2)
    assert result.level == pytest.approx(np.full(20, 1.2 * np.exp(5)), rel=0.03)


def test_a_week_has_its_own_hours() -> None:
    """On weekends half: the levels are those of the hours, and a Saturday is no deviation; it is known after a week."""
    models = Models(10, 6)
    last = None
    for _ in range(9 * 288):
        last = models.look(models.sample() * weekend(models.slot))
        assert last.ready.any() == (models.slot - START >= 8 * DAY)
    deviations, levels = [], []
    for _ in range(7 * 288):
        last = models.look(models.sample() * weekend(models.slot))
        deviations.append(last.deviation)
        levels.append(last.level / weekend(models.slot))
    calm = np.array([models_at(START + 9 * DAY, index) for index in range(7 * 288)])
    assert abs(np.array(deviations)[calm]).max() < 6
    assert np.array(levels)[calm].mean() == pytest.approx(np.exp(5), rel=0.01)


def models_at(begins: int, index: int) -> bool:
    """Return whether a sample is more than an hour from midnight, where weekends begin and end abruptly."""
    return HOUR < (begins + (index + 1) * 5 * MINUTE) % DAY < 23 * HOUR


def weekend(slot: int) -> float:
    return 0.5 if (slot // DAY + 3) % 7 >= 5 else 1.0


def test_hours_are_those_of_the_time_zone() -> None:
    """Berlin's clocks go back on 29 October 2023: what happens at 9 there is at 7 UTC before, and at 8 after."""
    zone = SeasonalProfile(24, "Europe/Berlin")
    state = np.zeros(1, zone.fields)
    october, everyone = 1_698_192_000_000, np.array([True])  # Wednesday, 25 October, 00:00 UTC
    for hour in range(5 * 24):
        slot = october + hour * HOUR
        busy = slot == october + (hour // 24) * DAY + (7 if hour < 4 * 24 else 8) * HOUR
        zone.add(slot + 1, state, np.array([10.0 if busy else 1.0]), everyone)
    assert [zone.reference(october + day * DAY + at * HOUR + HOUR // 2, state)[0] for day, at in ((0, 7), (6, 8))] == [
        10,
        10,
    ]
    assert zone.reference(october + 6 * DAY + 7 * HOUR + HOUR // 2, state)[0] == 1
    utc = SeasonalProfile(24, "UTC")
    assert np.isnan(utc.reference(october, np.zeros(1, utc.fields))[0])


def test_an_hour_is_the_mean_of_the_latest_seasons() -> None:
    """Four of them alike, then each new one counts a quarter; between the middles of two hours it is in between."""
    season = SeasonalProfile(24, "UTC")
    state = np.zeros(1, season.fields)
    yes = np.array([True])
    for day, number in enumerate((1.0, 2.0, 3.0, 6.0, 7.0)):
        for at, value in ((9, number), (10, 0.0)):
            season.add(START + day * DAY + at * HOUR, state, np.array([value]), yes)
    season.add(START + 5 * DAY, state, np.array([0.0]), np.array([False]))
    assert (
        season.reference(START + 9 * HOUR + HOUR // 2, state)[0] == 4.0
    )  # (1 + 2 + 3 + 6) / 4, and a quarter of the way to 7
    assert season.reference(START + 10 * HOUR, state)[0] == 2.0
    assert season.seen(START + 9 * HOUR, state).tolist() == [4.0]


def test_a_fixed_reference_is_known_at_once() -> None:
    """In the signal's unit: 150 ms with a sigma of 15 ms."""
    standardiser = Standardiser(StandardiseConfig(reference="fixed", level=0.15, spread=0.015, whiten=False))
    state = np.zeros(3, standardiser.dtype)
    values = 0.15 * np.exp([0.0, 0.2, -1.0])
    result = standardiser.step(values, START, state, np.zeros(3, bool), EventKind.LATENCY)
    assert result.z == pytest.approx([0.0, 2.0, -4.0])
    assert result.deviation == pytest.approx([0.0, 2.0, -10.0])
    assert result.level == pytest.approx(0.15)
    assert result.spread == pytest.approx(0.015)
    assert (standardiser.history, Standardiser(StandardiseConfig()).history) == (0, 14 * DAY)


def test_a_fixed_reference_learns_how_samples_follow_each_other() -> None:
    """The spread is given, the correlation is learnt: the result is nearly white."""
    models = Models(30, 8, phi=0.8, reference="fixed", level=float(np.exp(5)), spread=float(0.1 * np.exp(5)))
    assert not models.live(DAY)[-1].ready.any()
    models.live(2 * DAY)
    z = np.array([result.z for result in models.live(3 * DAY)])
    assert 0.9 < float(z.std()) < 1.2
    assert -0.1 < float((z[1:] * z[:-1]).mean()) < 0.05


def test_shares_are_judged_by_their_odds() -> None:
    """From 1 % to 2 % is as far as from 98 % to 99 %; values outside [0, 1] are clipped."""
    standardiser = Standardiser(StandardiseConfig(reference="fixed", level=0.5, spread=0.05, whiten=False, clip=100))
    state = np.zeros(5, standardiser.dtype)
    values = np.array([0.01, 0.02, 0.98, 0.99, 7.0])
    z = standardiser.step(values, START, state, np.zeros(5, bool), EventKind.INFERENCE_ERROR).z
    assert z[1] - z[0] == pytest.approx(z[3] - z[2])
    assert z[1] - z[0] == pytest.approx((np.log(0.02 / 0.98) - np.log(0.01 / 0.99)) / 0.2)
    assert np.isfinite(z).all()


def test_missing_and_endless_values_teach_nothing() -> None:
    """NaN is ignored; +Inf is an outlier, as is a latency of 0 on the other side; the level stays."""
    models = Models(1, 9, reference="version", window="1d")
    models.live(2 * DAY)
    level = models.look(models.sample()).level[0]
    text = []
    for value in (np.nan, np.inf, 0.0, np.nan):
        models.sample()
        result = models.look(np.array([value]))
        text.append(float(result.z[0]))
        assert result.level[0] == level
    assert np.isnan(text[0])
    assert text[1:3] == [4.0, -4.0]
    assert np.isnan(text[3])
    assert abs(float(models.look(models.sample()).z[0])) < 4.5


def test_outliers_do_not_widen_the_noise() -> None:
    """One sample in fifty is five times as high: the spread is a sixth wider at most."""
    models = Models(20, 10, reference="version", warm_up="1d")
    for index in range(4 * 288):
        values = models.sample()
        result = models.look(values * (5.0 if index % 50 == 49 else 1.0))
    assert (result.spread / result.level < 0.125).all()


def test_a_number_that_never_moved_is_not_a_hundred_sigmas_out() -> None:
    """The least spread is a hundredth of the level: half of that is half a sigma."""
    standardiser = Standardiser(StandardiseConfig(reference="version", warm_up="1h"))
    state, free = np.zeros(1, standardiser.dtype), np.zeros(1, bool)
    for index in range(100):
        standardiser.step(np.array([200.0]), START + index * MINUTE, state, free)
    result = standardiser.step(np.array([201.0]), START + 100 * MINUTE, state, free)
    assert result.z.tolist() == pytest.approx([0.5])
    assert result.spread.tolist() == [2.0]


def test_another_step_is_noticed() -> None:
    """History every five minutes, then a sample a minute: the noise is white soon after, and of variance one."""
    models = Models(40, 11, phi=0.8, reference="version")
    models.live(3 * DAY)
    models.step, models.phi = MINUTE, 0.8**0.2
    models.live(2 * HOUR)
    z = np.array([result.z for result in models.live(6 * HOUR)])
    assert 0.9 < float(z.std()) < 1.1
    assert abs(float((z[1:] * z[:-1]).mean())) < 0.07


def test_after_a_gap_the_last_sample_shows_less() -> None:
    """After an hour's gap the correlation is gone: the innovation is the whole deviation."""
    models = Models(40, 12, phi=0.9, reference="version")
    models.live(4 * DAY)
    models.slot += 5 * HOUR
    models.noise = models.draw.standard_normal(40)
    result = models.look(models.sample())
    assert result.z == pytest.approx(np.clip(result.deviation, -4, 4), abs=0.25)


def test_a_model_does_not_change_what_is_computed_for_another() -> None:
    """In one batch and separately, through gaps and alarms."""
    draw = np.random.default_rng(13)
    standardiser = Standardiser(StandardiseConfig(season="day", warm_up="2h"))
    together = np.zeros(6, standardiser.dtype)
    alone = [np.zeros(1, standardiser.dtype) for _ in range(6)]
    for index in range(3 * 96):
        here = np.flatnonzero(draw.random(6) < 0.8)
        values, freeze = np.exp(draw.standard_normal(len(here))), draw.random(len(here)) < 0.1
        slot, part = START + index * 15 * MINUTE, together[here]
        result = standardiser.step(values, slot, part, freeze, EventKind.LATENCY)
        together[here] = part
        for number, model in enumerate(here.tolist()):
            one = standardiser.step(values[[number]], slot, alone[model], freeze[[number]], EventKind.LATENCY)
            assert np.array_equal(one.z, result.z[[number]], equal_nan=True)
    assert together.tobytes() == b"".join(one.tobytes() for one in alone)
    assert np.isfinite(result.z).all()


def test_all_of_it_fits_beside_a_detector() -> None:
    """A week's hours, 168 levels and counts, and the noise of 24: a kilobyte."""
    assert Standardiser(StandardiseConfig()).dtype.itemsize == 1080
    assert Standardiser(StandardiseConfig(reference="version")).dtype.itemsize == 80


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"reference": "fixed"}, "requires level and spread"),
        ({"level": 1.0, "spread": 1.0}, "level and spread require reference: fixed"),
        ({"time_zone": "Mars/Olympus"}, "unknown time zone"),
        ({"reference": "fixed", "level": -1.0, "spread": 1.0, "transform": "log"}, "level must be above 0"),
        ({"reference": "fixed", "level": 1.0, "spread": 0.1, "transform": "logit"}, "level must be between 0 and 1"),
        ({"history": "soon"}, "not a duration"),
    ],
)
def test_what_cannot_be_meant_is_refused(params: dict[str, Any], problem: str) -> None:
    """When the file is loaded, not at the first sample."""
    with pytest.raises(ValidationError, match=problem):
        StandardiseConfig(**params)


def test_no_history_may_be_wanted() -> None:
    """For a rule that learns only from live samples."""
    assert Standardiser(StandardiseConfig(history="0s")).history == 0
    assert Standardiser(StandardiseConfig(reference="sliding", window="3d")).history == 3 * DAY
    assert Standardiser(StandardiseConfig(reference="version")).history == 7 * DAY
    known = StandardiseConfig(reference="fixed", level=1.0, spread=1.0)
    assert Standardiser(known).history == DAY


def test_noisy_hours_have_a_noise_of_their_own() -> None:
    """Three times as wide at night: sigmas are of the hour, and of variance one at night as well."""
    models = Models(40, 31, season="day")
    z: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for index in range(20 * 288):
        values = models.sample()
        night = models.slot % DAY < 7 * HOUR
        result = models.look(np.exp(5) * (values / np.exp(5)) ** (3.0 if night else 1.0))
        if index >= 13 * 288:
            z[night].append(result.z)
    assert 0.85 < float(np.std(z[True])) < 1.15
    assert 0.85 < float(np.std(z[False])) < 1.15
    noon = models.look(models.sample())
    assert noon.spread.mean() / noon.level.mean() > 0.2  # it is midnight


@pytest.mark.parametrize(
    ("entry", "warm_up"),
    [
        ({"season": "day", "warm_up": "6h"}, DAY + 6 * HOUR), ({"season": "week"}, 8 * DAY),
        ({"reference": "version"}, DAY), ({"reference": "sliding", "warm_up": "6h"}, 6 * HOUR),
        ({"reference": "fixed", "level": 1.0, "spread": 0.1}, DAY),
        ({"reference": "fixed", "level": 1.0, "spread": 0.1, "whiten": False}, 0),
    ],
)  # fmt: skip
def test_the_first_value_is_standardised_after_the_warm_up(entry: dict[str, Any], warm_up: int) -> None:
    """The season comes before `warm_up`; so a model is reported as never judged only later."""
    standardiser = Standardiser(StandardiseConfig.model_validate(entry))
    assert standardiser.warm_up == warm_up
    state, rng, begins = np.zeros(1, standardiser.dtype), np.random.default_rng(1), 20_000 * DAY
    for slot in range(begins, begins + 10 * DAY, 10 * MINUTE):
        found = standardiser.step(rng.normal(1, 0.1, 1), slot, state, np.zeros(1, np.bool_))
        if found.ready[0]:
            break
    assert 0 <= slot - begins - warm_up <= HOUR
