"""Registry of strategies: modules of this package, and entry points `bridge.strategies` of installed packages."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache

from bridge import strategies as package
from bridge.domain.errors import StrategyError
from bridge.domain.rule import StrategySpec
from bridge.ports.plug_ins import find_plug_ins
from bridge.strategies.base import RetrainStrategy


@cache
def strategies() -> Mapping[str, type[RetrainStrategy]]:
    """Return every strategy by name. Raises StrategyError for duplicate names and for invalid entry points."""
    return find_plug_ins(package, RetrainStrategy, "name", StrategyError)


def build(spec: StrategySpec) -> RetrainStrategy:
    """Build the strategy that a rule names, with its parameters. Raises StrategyError for an unknown name."""
    known = strategies()
    if spec.name not in known:
        near = difflib.get_close_matches(spec.name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are: {', '.join(known)}"
        raise StrategyError(f"unknown strategy {spec.name!r}{hint}")
    strategy = known[spec.name]
    return strategy.from_config(strategy.Config.model_validate(dict(spec.params)))
