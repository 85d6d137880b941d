"""Finds strategies: every module of this package, and the entry points `bridge.strategies` of installed packages."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from inspect import isabstract

from bridge import strategies as package
from bridge.domain.errors import StrategyError
from bridge.domain.rule import StrategySpec
from bridge.strategies.base import RetrainStrategy

GROUP = "bridge.strategies"


def _shipped() -> Iterator[tuple[str, type[RetrainStrategy]]]:
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for value in vars(module).values():
            own = isinstance(value, type) and value.__module__ == module.__name__
            ours = own and issubclass(value, RetrainStrategy) and value is not RetrainStrategy
            if ours and not isabstract(value):
                yield module.__name__, value


def _installed() -> Iterator[tuple[str, type[RetrainStrategy]]]:
    for point in entry_points(group=GROUP):
        loaded = point.load()
        if not (isinstance(loaded, type) and issubclass(loaded, RetrainStrategy)):
            raise StrategyError(f"entry point {point.name!r} ({point.value}) of {GROUP} is not a RetrainStrategy")
        yield point.value, loaded


@cache
def strategies() -> Mapping[str, type[RetrainStrategy]]:
    """Every strategy by name. StrategyError when two claim one name, or an entry point is not a strategy."""
    found: dict[str, type[RetrainStrategy]] = {}
    for place, strategy in (*_shipped(), *_installed()):
        name = getattr(strategy, "name", "")
        if not name:
            raise StrategyError(f"strategy {strategy.__name__} in {place} has no name")
        if name in found and found[name] is not strategy:
            raise StrategyError(f"two strategies are called {name!r}: {found[name].__module__} and {place}")
        found[name] = strategy
    return dict(sorted(found.items()))


def build(spec: StrategySpec) -> RetrainStrategy:
    """The strategy that a rule names, with its parameters. StrategyError for an unknown name."""
    known = strategies()
    if spec.name not in known:
        near = difflib.get_close_matches(spec.name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are: {', '.join(known)}"
        raise StrategyError(f"unknown strategy {spec.name!r}{hint}")
    strategy = known[spec.name]
    return strategy.from_config(strategy.Config.model_validate(dict(spec.params)))
