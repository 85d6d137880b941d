"""`all`, `any` and `at_least`: rules over several signals of one model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Protocol

from pydantic import Field

from bridge.config.strategy import strategy_spec
from bridge.domain.rule import Condition, SignalQuery
from bridge.domain.wording import near
from bridge.files.validation import Section, checked
from bridge.files.yaml import Document, KeyPath

KEYS = ("all", "any", "at_least")
_EXAMPLE = "for example {signal: drift, strategy: {threshold: {max: 0.6}}} or {signal: drift, healthy: true}"


class ConditionSection(Section):
    """One condition: a signal, and a strategy that must be breached (with `healthy`: must not be breached).

    A condition with `healthy` and without a strategy holds if no other rule of the group on that signal is breached or
    firing.
    """

    signal: str
    strategy: Any = None
    healthy: bool = False


class AtLeastSection(Section):
    """`at_least: {count: 2, of: [...]}`: at least `count` of the conditions in `of` must hold."""

    count: Annotated[int, Field(ge=1)]
    of: list[Any]


class Signals(Protocol):
    """Settings of the rule's group for its conditions. queries: None for a signal that is wrong itself."""

    signals: frozenset[str]
    judged: frozenset[str]
    queries: dict[str, SignalQuery | None]


def read_conditions(
    rule: Mapping[str, Any], group: Signals, document: Document, path: KeyPath
) -> tuple[tuple[Condition, ...], int]:
    """Return the conditions of a composite rule, and how many of them must hold; problems are noted."""
    key = next(key for key in KEYS if rule.get(key) is not None)
    entries, where = rule[key], (*path, key)
    count = 1 if key == "any" else 0
    if key == "at_least":
        section = checked(AtLeastSection, entries, document, where)
        if section is None:
            return (), 1
        entries, count, where = section.of, section.count, (*where, "of")
    if not isinstance(entries, list) or len(entries) < 2:
        document.add(where, "must be a list of at least two conditions", _EXAMPLE)
        return (), 1
    if count > len(entries):
        document.add((*path, key, "count"), f"there are only {len(entries)} conditions")
    found = tuple(_conditions(entries, group, document, where))
    return found, count or len(entries)


def _conditions(entries: list[Any], group: Signals, document: Document, path: KeyPath) -> Iterator[Condition]:
    for number, entry in enumerate(entries):
        where = (*path, number)
        section = checked(ConditionSection, entry, document, where)
        if section is None:
            continue
        if section.signal not in group.signals:
            message = f"there is no signal {section.signal!r} in this group"
            document.add((*where, "signal"), message, near(section.signal, group.signals))
            continue
        if section.strategy is None and not section.healthy:
            document.add(where, "a condition has a 'strategy', or 'healthy: true', or both", _EXAMPLE)
            continue
        if section.strategy is None and section.signal not in group.judged:
            message = f"no rule of this group says when signal {section.signal!r} is healthy"
            document.add((*where, "healthy"), message, "give the condition a strategy")
            continue
        spec = None
        if section.strategy is not None:
            query = group.queries.get(section.signal)
            spec = strategy_spec(section.strategy, query, document, (*where, "strategy"))
        yield Condition(section.signal, spec, section.healthy)
