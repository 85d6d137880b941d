"""Registry of strategies: modules of this package, and entry points `bridge.strategies` of installed packages."""

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
    """Return every strategy by name. Raises StrategyError for duplicate names and for invalid entry points."""
    registry: dict[str, type[RetrainStrategy]] = {}
    for origin, strategy in (*_shipped(), *_installed()):
        name = getattr(strategy, "name", "")
        if not name:
            raise StrategyError(f"strategy {strategy.__name__} in {origin} has no name")
        if name in registry and registry[name] is not strategy:
            raise StrategyError(f"two strategies are named {name!r}: {registry[name].__module__} and {origin}")
        registry[name] = strategy
    return dict(sorted(registry.items()))


def build(spec: StrategySpec) -> RetrainStrategy:
    """Build the strategy that a rule names, with its parameters. Raises StrategyError for an unknown name."""
    known = strategies()
    if spec.name not in known:
        near = difflib.get_close_matches(spec.name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are: {', '.join(known)}"
        raise StrategyError(f"unknown strategy {spec.name!r}{hint}")
    strategy = known[spec.name]
    return strategy.from_config(strategy.Config.model_validate(dict(spec.params)))
