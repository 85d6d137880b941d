"""auto: error rates, evaluated by the numbers of errors and of requests."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventKind
from bridge.domain.times import DAY, HOUR, MINUTE
from tests.strategies.test_auto import START, Story


def test_an_error_rate_that_trebles_is_found_and_becomes_usual() -> None:
    """Within an hour at 200 requests per window; after the alarm the new rate is the usual one.

    Chance may add an alarm of an hour: of about eighty series one has it.
    """
    draw = np.random.default_rng(103)
    story = Story(EventKind.INFERENCE_ERROR)
    codes = [story.see(errors=draw.binomial(200, 0.02), total=200)[0] for _ in range(3 * 288)]
    assert set(codes[150:]) == {"OK"}
    codes = [story.see(errors=draw.binomial(200, 0.06), total=200)[0] for _ in range(288)]
    assert "BREACHED" in codes[:12]
    assert codes[100:].count("OK") > 150
    assert story.state is not None
    usual = float(story.state["shares"]["errors"][0] / story.state["shares"]["requests"][0])
    assert 0.04 < usual < 0.08


def test_a_second_alarm_by_chance_is_as_rare_as_the_limit_states() -> None:
    """On the day after a rise, in 300 models: at most 300 * 24 * 2 * exp(-limit) are expected, which is 3."""
    draw = np.random.default_rng(104)
    story, begins, before = Story(EventKind.INFERENCE_ERROR, models=300), np.zeros(300, np.int64), np.zeros(300, bool)
    for window in range(4 * 288):
        rate = 0.02 if window < 3 * 288 else 0.06
        now = np.array(story.see(errors=draw.binomial(200, rate, 300), total=np.full(300, 200.0))) == "BREACHED"
        begins += (now & ~before) * (window >= 3 * 288)
        before = now
    assert begins.min() >= 1
    assert (begins > 1).sum() <= 10


def test_bursts_of_single_windows_are_no_lasting_rise() -> None:
    """One window in a hundred with ten times the errors, from the first window on; a lasting rise is still found."""
    draw = np.random.default_rng(105)
    story, begins, before = Story(EventKind.INFERENCE_ERROR, models=20), 0, np.zeros(20, np.bool_)
    for _ in range(7 * 288):
        rate = np.where(draw.random(20) < 0.01, 0.05, 0.005)
        now = np.array(story.see(errors=draw.binomial(600, rate), total=np.full(20, 600.0))) == "BREACHED"
        begins += int((now & ~before).sum())
        before = now
    assert begins <= 10
    found = np.zeros(20, np.bool_)
    for _ in range(12 * 6):
        codes = story.see(errors=draw.binomial(600, np.full(20, 0.02)), total=np.full(20, 600.0))
        found |= np.array(codes) == "BREACHED"
    assert found.all()


def test_a_large_incident_hides_no_second_one() -> None:
    """From 0.1 to 0.9 for a day and a half, back for as long, and again: found within an hour; each alarm ends.

    Chance may add an alarm of some hours while the new rate is learnt: of thirty series two had one.
    """
    draw = np.random.default_rng(106)
    story = Story(EventKind.INFERENCE_ERROR)

    def codes(rate: float, windows: int) -> list[str]:
        return [story.see(errors=draw.binomial(100, rate), total=100)[0] for _ in range(windows)]

    codes(0.1, 4 * 288)
    assert "BREACHED" in codes(0.9, 12)
    assert codes(0.9, 432).count("BREACHED") < 216
    assert codes(0.1, 432).count("BREACHED") < 216
    assert "BREACHED" in codes(0.9, 12)


def test_the_reason_of_an_error_rate_has_both_shares() -> None:
    """Now, and before."""
    story = Story(EventKind.INFERENCE_ERROR)
    for _ in range(288):
        story.see(errors=2, total=200)
    while story.see(errors=20, total=200) != ["BREACHED"]:
        pass
    assert story.reason().startswith("error rate p95 10 %, usually 1")


def test_windows_without_requests_keep_the_verdict() -> None:
    """No traffic is neither good nor bad: the verdict stays."""
    story = Story(EventKind.INFERENCE_ERROR)
    for _ in range(288):
        story.see(errors=2, total=200)
    before = story.state["shares"].copy() if story.state is not None else None
    assert story.see(errors=0, total=0) == ["OK"]
    assert story.state is not None
    assert before is not None
    assert story.state["shares"].tobytes() == before.tobytes()


def test_an_error_rate_that_falls_becomes_usual_silently_and_a_second_rise_is_found() -> None:
    """A rise of two hours, four hours of peace, and the same rise again."""
    draw = np.random.default_rng(107)
    story = Story(EventKind.INFERENCE_ERROR)

    def codes(rate: float, windows: int) -> set[str]:
        return {story.see(errors=draw.binomial(400, rate), total=400)[0] for _ in range(windows)}

    codes(0.02, 5 * 288)
    assert "BREACHED" in codes(0.08, 24)
    codes(0.02, 24)
    assert codes(0.02, 24) == {"OK"}
    assert "BREACHED" in codes(0.08, 24)


def test_an_error_rate_that_waves_through_the_day_is_usual() -> None:
    """Times 1.5 at its height, with 400 requests per window: none of 20 models asks more than once in two weeks."""
    draw, begins = np.random.default_rng(108), 0
    story, before = Story(EventKind.INFERENCE_ERROR, models=20), ["OK"] * 20
    for window in range(14 * 288):
        rate = 0.02 * 1.5 ** math.sin(2 * math.pi * window / 288)
        now = story.see(errors=draw.binomial(400, rate, 20), total=np.full(20, 400.0))
        begins += sum(code == "BREACHED" and former != code for code, former in zip(now, before, strict=True))
        before = now
    assert begins <= 10


def test_a_doubled_rate_on_the_first_day_is_found_within_two_hours() -> None:
    """Neither the factor of the hour, nor the weight of evidence, nor the usual rate absorbs it; noise stays quiet."""
    draw = np.random.default_rng(109)
    story = Story(EventKind.INFERENCE_ERROR, models=10, step=10 * MINUTE, window="10m")

    def breached(rate: float, windows: int) -> NDArray[np.bool_]:
        codes = [story.see(errors=draw.binomial(4000, rate, 10), total=np.full(10, 4000.0)) for _ in range(windows)]
        return np.asarray((np.array(codes) == "BREACHED").any(axis=0))

    assert not breached(0.05, 6 * 6).any()
    assert breached(0.1, 2 * 6).all()


def test_one_hour_of_an_hourly_counter_is_no_lasting_rise_and_two_are() -> None:
    """Half as many errors again in every fiftieth hour: at most one of 20 models asks. Two such hours are a rise."""
    draw, begins = np.random.default_rng(110), np.zeros(20, np.int64)
    story, before = Story(EventKind.INFERENCE_ERROR, models=20, step=HOUR, window="1h"), np.zeros(20, np.bool_)
    for hour in range(10 * 24):
        rate = 0.05 if hour % 50 else 0.08
        codes = story.see(errors=draw.binomial(6000, rate, 20), total=np.full(20, 6000.0))
        now = np.array(codes) == "BREACHED"
        begins += now & ~before
        before = now
    assert (begins > 0).sum() <= 1
    both = [story.see(errors=draw.binomial(6000, 0.1, 20), total=np.full(20, 6000.0)) for _ in range(2)]
    assert (np.array(both) == "BREACHED").any(axis=0).all()


def test_the_runs_of_a_nightly_job_are_judged_by_many_nights() -> None:
    """Three hours a night with over-dispersed errors: the first window of a night does not replace what is known."""
    draw, begins, before = np.random.default_rng(111), 0, np.zeros(20, np.bool_)
    story = Story(EventKind.INFERENCE_ERROR, models=20, step=10 * MINUTE, window="10m")
    for _ in range(20):
        for _ in range(18):
            errors = draw.binomial(5000, draw.beta(0.4, 199.6, 20))
            now = np.array(story.see(errors=errors, total=np.full(20, 5000.0))) == "BREACHED"
            begins += int((now & ~before).sum())
            before = now
        story.slot += 21 * HOUR
    assert begins <= 12


def test_an_error_rate_that_wanders_for_hours_is_no_rise() -> None:
    """Its odds vary by 30 % over four hours: at most 12 alarms of 10 models in two weeks; a large rise is found."""
    draw, phi = np.random.default_rng(116), math.exp(-1 / 48)
    story, begins, before, odds = Story(EventKind.INFERENCE_ERROR, models=10), 0, np.zeros(10, np.bool_), np.zeros(10)

    def breached(factor: float) -> NDArray[np.bool_]:
        nonlocal odds
        odds = phi * odds + math.sqrt(1 - phi**2) * 0.3 * draw.standard_normal(10)
        rate = 1 / (1 + 4 * np.exp(-odds) / factor)
        return np.asarray(np.array(story.see(errors=draw.binomial(75, rate), total=np.full(10, 75.0))) == "BREACHED")

    for _ in range(14 * 288):
        now = breached(1.0)
        begins += int((now & ~before).sum())
        before = now
    assert begins <= 12
    found = np.zeros(10, np.bool_)
    for _ in range(3 * 12):
        found |= breached(6.0)
    assert found.sum() >= 9


def test_the_reason_names_the_number_that_decided() -> None:
    """A CUSUM adds up few errors of each window; if half of the answers fail, one window exceeds usual daily peaks."""
    draw = np.random.default_rng(114)
    story = Story(EventKind.INFERENCE_ERROR)
    for _ in range(4 * 288):
        story.see(errors=draw.binomial(200, 0.02), total=200)
    assert story.state is not None
    kept = story.state.copy()
    assert story.see(errors=100, total=200) == ["BREACHED"]
    assert "errors of a window" in story.reason()
    story.state = kept
    while story.see(errors=9, total=200) != ["BREACHED"]:
        assert story.slot < START + 5 * DAY
    assert "CUSUM" in story.reason()
