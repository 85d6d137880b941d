"""Grid of variants of one rule: strategies, their parameters and `for`, each combination checked."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import yaml

from bridge.config.strategy import strategy_spec
from bridge.domain.errors import BridgeError
from bridge.domain.rule import Group, Mode, Rule, RuleKind, StrategySpec
from bridge.domain.times import format_duration, parse_duration
from bridge.files.yaml import Document
from bridge.strategies.registry import strategies

MOST_VARIANTS = 200
_FACTORS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)  # of the rule's own limit, where no values are given
_LIMITS = ("max", "min", "limit")
LIMIT, SENSITIVITY = "limit", "sensitivity"


class TuneError(BridgeError):
    """Settings that cannot be compared."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One combination. settings: its values by name, as they are shown."""

    settings: Mapping[str, str]
    rule: Rule

    @property
    def text(self) -> str:
        """Settings in one line."""
        return " ".join(f"{name}={value}" for name, value in self.settings.items())


def find(groups: Sequence[Group], name: str) -> tuple[Group, Rule]:
    """Return a `retrain:` rule with its group. Raises TuneError."""
    for group in groups:
        for rule in group.rules:
            if rule.name == name:
                if rule.kind is not RuleKind.RETRAIN or rule.conditions:
                    raise TuneError(f"{name} is not a retrain rule on one signal")
                return group, rule
    known = ", ".join(rule.name for group in groups for rule in group.rules if rule.kind is RuleKind.RETRAIN)
    raise TuneError(f"there is no rule {name!r}; known are: {known or 'none'}")


def grid(group: Group, rule: Rule, chosen: Mapping[str, Sequence[str]]) -> list[Variant]:
    """Return the variants of a rule, the rule as it is first. Raises TuneError.

    chosen: `strategy`, `for`, `limit`, or a parameter of the strategy -> values as text. A parameter that a strategy
    does not have is left out for it. Without any, the rule's own limit is varied.
    """
    axes = {name: list(dict.fromkeys(values)) for name, values in chosen.items() if values}
    names = axes.pop("strategy", None) or ["" if rule.strategy is None else rule.strategy.name]
    waits = axes.pop("for", None) or [format_duration(rule.for_)]
    if not chosen or not any(chosen.values()):
        axes = _around(rule)
    variants = [Variant({"variant": "as it is"}, rule)]
    for name in names:
        own = _own(name, axes)
        for values, wait in itertools.product(itertools.product(*own.values()), waits):
            settings = dict(zip(own, values, strict=True))
            variants.append(_variant(group, rule, name, settings, wait, show_name=len(names) > 1))
            if len(variants) > MOST_VARIANTS:
                raise TuneError(f"more than {MOST_VARIANTS} combinations; give fewer values")
    unused = [name for name in axes if not any(name in variant.settings for variant in variants)]
    if unused and names == [""]:
        hint = "write the limit into the expression, or vary --for or --strategy"
        raise TuneError(f"{rule.name} has no strategy, and therefore no parameter {unused[0]!r}; {hint}")
    if unused:
        raise TuneError(f"no strategy of {', '.join(names)} has the parameter {unused[0]!r}")
    return [replace(item, rule=_trial(item.rule, number)) for number, item in enumerate(_distinct(variants))]


def _around(rule: Rule) -> dict[str, list[str]]:
    """Return values around the rule's own limit."""
    params = {} if rule.strategy is None else rule.strategy.params
    key = next((name for name in _LIMITS if isinstance(params.get(name), int | float)), "")
    if not key:
        raise TuneError(f"{rule.name} has no limit to vary; give --limit, --for, --strategy or --param NAME=VALUES")
    return {LIMIT: [f"{params[key] * factor:.6g}" for factor in _FACTORS]}


def _own(strategy: str, axes: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the axes that a strategy has; `limit` stands for its parameter of that kind."""
    known = strategies()
    if not strategy:
        return {}
    if strategy not in known:
        raise TuneError(f"unknown strategy {strategy!r}; known are: {', '.join(known)}")
    fields = known[strategy].Config.model_fields
    return {name: values for name, values in axes.items() if name in fields or (name == LIMIT and _limit(strategy))}


def _limit(strategy: str, params: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Return the name of a strategy's limit: the one that `params` sets, else the first one; "" = it has none."""
    fields = [name for name in _LIMITS if name in strategies()[strategy].Config.model_fields]
    return next((name for name in fields if name in params), fields[0] if fields else "")


def _variant(
    group: Group, rule: Rule, name: str, settings: Mapping[str, str], wait: str, *, show_name: bool
) -> Variant:
    shown = {"strategy": name} if show_name else {}
    shown |= settings
    shown["for"] = wait
    try:
        duration = parse_duration(wait)
    except ValueError as error:
        raise TuneError(f"for: {error}") from None
    return Variant(shown, replace(rule, strategy=_spec(group, rule, name, settings), for_=duration))


def _spec(group: Group, rule: Rule, name: str, settings: Mapping[str, str]) -> StrategySpec | None:
    if not name:
        return None
    own = rule.strategy is not None and rule.strategy.name == name
    params: dict[str, Any] = dict(rule.strategy.params) if own and rule.strategy is not None else {}
    for axis, text in settings.items():
        key = _limit(name, params) if axis == LIMIT else axis
        if axis == LIMIT and key != LIMIT:
            params.pop("clear", None)  # it belongs to the former limit
        params[key] = yaml.safe_load(text)
    document = Document("settings")
    spec = strategy_spec({name: params}, group.queries[rule.query], document, ("strategy",))
    if spec is None or document.problems:
        given = " ".join([name, *(f"{axis}={text}" for axis, text in settings.items())])
        raise TuneError(f"{given}: {'; '.join(item.message for item in document.problems)}")
    return spec


def _trial(rule: Rule, number: int) -> Rule:
    """Return a shadow rule of its own name, so that every variant fires for itself."""
    return replace(rule, name=f"{rule.name} #{number}", mode=Mode.SHADOW, order=number, alert_name="")


def _distinct(variants: Sequence[Variant]) -> list[Variant]:
    """Return the variants without those equal to an earlier one; the rule as it is takes the settings of its twin."""
    found: dict[tuple[object, ...], Variant] = {}
    for item in variants:
        spec = item.rule.strategy
        key = (None if spec is None else (spec.name, str(sorted(spec.params.items()))), item.rule.for_)
        twin = found.get(key)
        if twin is None:
            found[key] = item
        elif "variant" in twin.settings:
            found[key] = replace(twin, settings={**twin.settings, **item.settings})
    return list(found.values())
