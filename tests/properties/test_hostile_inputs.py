"""Text from outside is taken or refused: a small part of `python -m benchmarks.fuzz`."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, seed, settings

from tests.support.hostile import TARGETS, Input, Target, attempt, cost, inputs

SEED = random.SystemRandom().randrange(2**32)
NAMES = [target.name for target in TARGETS]
ENOUGH = 0.004  # seconds of CPU that can be compared


@pytest.mark.parametrize("target", TARGETS, ids=NAMES)
def test_nothing_crashes(target: Target) -> None:
    """Other errors than those that say what is wrong end the test."""
    print(f"seed {SEED}")

    @seed(SEED)
    @settings(max_examples=60, deadline=None, database=None)
    @given(inputs(target))
    def run(given_: Input) -> None:
        attempt(target, given_.text)

    run()


HARD = [
    ("matchers", Input('a="', " ", '" ,b')), ("matchers", Input("a=", " ", "x")), ("matchers", Input("", 'a=b"', "")),
    ("matchers", Input('a="', '\\"', "")), ("templates", Input("", "{{", "")), ("templates", Input("{{", " ", "")),
    ("templates", Input("", "{{- ", "x")), ("printed texts", Input("", "x?", "")),
    ("printed texts", Input("", "http://a?b=c ", "")), ("printed texts", Input("authorization", " ", "")),
    ("expressions", Input('"', '\\"', "")), ("expressions", Input("", "[", "")), ("expressions", Input("", "by(", "")),
    ("expressions", Input("", "a{", "")), ("expressions", Input("a>", "1", "x")), ("expressions", Input("", "#\n", "")),
    ("expressions", Input("a", "(", ">1")), ("series", Input("", " ", "!")), ("series", Input("a{", 'a="b",', "  }")),
    ("headers", Input("", "v1,x ", "")), ("headers", Input("", "(", "")), ("times", Input("", "1", "")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "hard"), HARD, ids=lambda value: getattr(value, "text", value))
def test_twice_the_text_takes_at_most_three_times_the_work(name: str, hard: Input) -> None:
    """Each of these once took quadratic or cubic time. CPU time is compared with CPU time of the same machine."""
    target = next(target for target in TARGETS if target.name == name)
    while (once := cost(target, hard.text)) < ENOUGH and len(hard.text) < 100_000:
        hard = hard.doubled()
    ratio = 0.0
    for repeats in (1, 3, 7):  # something else may have had the caches meanwhile
        ratio = cost(target, hard.doubled().text, repeats) / max(cost(target, hard.text, repeats), ENOUGH / 2)
        if ratio <= 3:
            return
    pytest.fail(f"{len(hard.text)} characters take {once:.3f} s of CPU, twice as many {ratio:.1f} times as long")
