"""Rules that share a name, as the severity tiers of one alert do: distinguished by name, labels and expression."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from bridge.domain.errors import Problem
from bridge.domain.limits import LONGEST_NAME
from bridge.domain.rule import Group, Rule, SignalQuery


def with_unique_names(groups: Sequence[Group], problems: list[Problem]) -> tuple[Group, ...]:
    """Return the groups with a unique name for every rule; a name that is unique as written stays.

    Rules of one group that nothing distinguishes are noted in `problems`.
    """
    names = _names([(group, rule) for group in groups for rule in group.rules])
    known: dict[str, Rule] = {}
    found = []
    for group in groups:
        queries, rules = dict(group.queries), []
        for rule in group.rules:
            name = names[rule.order]
            if name in known:
                first = known[name]
                hint = f"first in {first.file}:{first.line}"
                message = f"rule {rule.name!r} is defined twice with the same labels and expression"
                problems.append(Problem(rule.file, rule.line, "", message, hint))
            known[name] = rule
            rules.append(rule if name == rule.name else _renamed(rule, name, queries))
        found.append(replace(group, rules=tuple(rules), queries=queries))
    return tuple(found)


def _names(rules: Sequence[tuple[Group, Rule]]) -> dict[int, str]:
    """Return the unique name of each rule, by its order: with as much added as distinguishes it."""
    found: dict[int, str] = {}
    left = list(rules)
    for key in (_name, _labelled, _with_expr, _with_group):
        counted = Counter(key(*item) for item in rules)
        unique = [item for item in left if counted[key(*item)] == 1]
        found |= {rule.order: key(group, rule) for group, rule in unique}
        left = [item for item in left if item[1].order not in found]
    return found | {rule.order: _with_group(group, rule) for group, rule in left}


def _name(_: Group, rule: Rule) -> str:
    return rule.name


def _labelled(_: Group, rule: Rule) -> str:
    pairs = ",".join(f"{name}={json.dumps(text, ensure_ascii=False)}" for name, text in sorted(rule.labels.items()))
    full = f"{rule.name}{{{pairs}}}" if pairs else rule.name
    return full if len(full) <= LONGEST_NAME else f"{rule.name[:200]}#{_digest([pairs])}"


def _with_expr(group: Group, rule: Rule) -> str:
    queries = [_meaning(group.queries.get(name)) for name in rule.queries]
    spec = None if rule.strategy is None else [rule.strategy.name, dict(rule.strategy.params)]
    return f"{_labelled(group, rule)[: LONGEST_NAME - 9]}#{_digest([queries, spec, str(rule.conditions)])}"


def _with_group(group: Group, rule: Rule) -> str:
    return f"{_with_expr(group, rule)[: LONGEST_NAME - 9]}#{_digest([group.name])}"


def _meaning(query: SignalQuery | None) -> list[tuple[str, str]]:
    return [] if query is None else sorted(query.exprs.items())


def _digest(parts: Iterable[object]) -> str:
    return hashlib.sha256(json.dumps(list(parts), sort_keys=True).encode()).hexdigest()[:8]


def _renamed(rule: Rule, name: str, queries: dict[str, SignalQuery]) -> Rule:
    """Return the rule under its unique name, and its query with it when that is the rule's own."""
    renamed = replace(rule, name=name, alert_name=rule.name)
    own = rule.strategy is None and not rule.conditions
    if not own or rule.query not in queries:
        return renamed
    queries[name] = replace(queries.pop(rule.query), name=name)
    return replace(renamed, query=name)
