"""Grid of variants of one rule."""

from __future__ import annotations

import pytest

from bridge.authoring.tune.grid import MOST_VARIANTS, TuneError, find, grid
from bridge.domain.rule import Mode
from tests.authoring.tune.test_compare import GROUP, drifted
from tests.support.world import group, rule


def test_the_grid_has_every_combination_and_the_rule_itself() -> None:
    """The rule's own settings come first and once; the variants are shadow rules of their own names."""
    variants = drifted(limit=["0.6", "0.8"], for_=["5m", "2h"])
    assert [item.text for item in variants] == [
        "variant=as it is limit=0.6 for=5m", "limit=0.6 for=2h", "limit=0.8 for=5m", "limit=0.8 for=2h"
    ]  # fmt: skip
    assert len({item.rule.name for item in variants}) == 4
    assert {item.rule.mode for item in variants} == {Mode.SHADOW}
    limits = [item.rule.strategy.params["max"] for item in variants if item.rule.strategy]
    assert limits == [0.6, 0.6, 0.8, 0.8]


def test_without_values_the_own_limit_is_varied() -> None:
    """From half to twice."""
    assert [item.settings["limit"] for item in drifted()] == ["0.6", "0.3", "0.45", "0.75", "0.9", "1.2"]


def test_strategies_have_only_their_own_parameters() -> None:
    """`limit` stands for `max` of threshold; auto has none and is listed once."""
    variants = drifted(strategy=["threshold", "auto"], limit=["0.6", "0.7"])
    assert [item.text for item in variants] == [
        "variant=as it is strategy=threshold limit=0.6 for=5m", "strategy=threshold limit=0.7 for=5m",
        "strategy=auto for=5m",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({"limit": ["much"]}, "threshold limit=much: must be a number, not text"),
        ({"for": ["soon"]}, "for: "),
        ({"strategy": ["guess"]}, "unknown strategy 'guess'; known are: "),
        ({"halflife": ["1d"]}, "no strategy of threshold has the parameter 'halflife'"),
        ({"limit": [str(number) for number in range(MOST_VARIANTS + 1)]}, f"more than {MOST_VARIANTS} combinations"),
    ],
)
def test_invalid_values_are_errors(chosen: dict[str, list[str]], problem: str) -> None:
    """Before anything is queried."""
    own, found = find([GROUP], "Drifted")
    with pytest.raises(TuneError, match=problem):
        grid(own, found, chosen)


def test_only_retrain_rules_are_tuned() -> None:
    """An unknown name lists the known ones."""
    with pytest.raises(TuneError, match="Told is not a retrain rule on one signal"):
        find([GROUP], "Told")
    with pytest.raises(TuneError, match="there is no rule 'Gone'; known are: Drifted"):
        find([GROUP], "Gone")
    plain = group(rule("Plain", limit=None))
    with pytest.raises(TuneError, match="Plain has no limit to vary"):
        grid(*find([plain], "Plain"), {})
    with pytest.raises(TuneError, match="Plain has no strategy, and therefore no parameter 'limit'"):
        grid(*find([plain], "Plain"), {"limit": ["1"]})
