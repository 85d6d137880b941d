"""Silences: which alerts they match, and when."""

from __future__ import annotations

import pytest

from bridge.domain.matchers import Matcher
from bridge.domain.silence import Silence

SILENCE = Silence("one", tuple(Matcher.parse_list('project="shop",pipeline=~"rank.*",env!="dev"')), 1_000, 2_000)
RANKING = {"project": "shop", "pipeline": "ranking", "version": "7"}


@pytest.mark.parametrize(("at", "covered"), [(999, False), (1_000, True), (1_999, True), (2_000, False)])
def test_a_silence_holds_from_its_start_to_its_end(at: int, covered: bool) -> None:
    """It is pending before and expired after, without any state of its own."""
    assert SILENCE.silences(RANKING, at) is covered


@pytest.mark.parametrize(
    ("labels", "covered"),
    [
        (RANKING, True),
        ({**RANKING, "env": "prod"}, True),
        ({**RANKING, "env": "dev"}, False),
        ({**RANKING, "project": "shopping"}, False),
        ({**RANKING, "pipeline": "pre-ranking"}, False),
        ({"project": "shop"}, False),
        ({}, False),
    ],
)
def test_every_matcher_has_to_match(labels: dict[str, str], covered: bool) -> None:
    """A missing label is empty; a regular expression matches the whole value."""
    assert SILENCE.silences(labels, 1_500) is covered
