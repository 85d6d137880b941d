"""Order inside an evaluation: an alert sees the results of rules before it, and of later ones those of the last time.

Recording rules are written for all instants before the rules of a test are evaluated. In Prometheus and promtool a rule
reads what is recorded after it one evaluation late, so its selectors of such series look 1 ms back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bridge.authoring.check.promql_errors import Token, tokens_of
from bridge.domain.rule import Group, Rule, RuleKind

BACK = " offset 1ms"
_GROUPING = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_CLOSING = {"{": "}", "[": "]", "(": ")"}


def as_evaluated(groups: Sequence[Group]) -> tuple[Group, ...]:
    """Return the groups with expressions of alerts that read later recording rules as of their last evaluation."""
    first: dict[str, tuple[int, int]] = {}
    for number, group in enumerate(groups):
        for recording in group.recordings:
            position = (number, recording.line)
            first[recording.name] = min(first.get(recording.name, position), position)
    return tuple(_in_group(group, number, first) for number, group in enumerate(groups))


def _in_group(group: Group, number: int, first: dict[str, tuple[int, int]]) -> Group:
    queries = dict(group.queries)
    for rule in (rule for rule in group.rules if _is_of_prometheus(rule)):
        later = frozenset(name for name, position in first.items() if position > (number, rule.line))
        query = queries[rule.query]
        exprs = {column: looking_back(text, later) for column, text in query.exprs.items()}
        queries[rule.query] = replace(query, exprs=exprs)
    return replace(group, queries=queries)


def _is_of_prometheus(rule: Rule) -> bool:
    return rule.kind is RuleKind.ALERT and rule.strategy is None and not rule.conditions


def looking_back(text: str, names: frozenset[str]) -> str:
    """Return the expression with an offset of 1 ms behind each selector of the named series that has none."""
    tokens = [token for token in tokens_of(text) if token.kind != "blank"]
    for end in reversed(list(_ends(tokens, names))):
        text = f"{text[:end]}{BACK}{text[end:]}"
    return text


def _ends(tokens: Sequence[Token], names: frozenset[str]) -> Iterator[int]:
    """Yield where selectors of the named series end."""
    index = 0
    while index < len(tokens):
        token = tokens[index]
        opening = tokens[index + 1].text if index + 1 < len(tokens) else ""
        if token.text == "{" or (token.text.lower() in _GROUPING and opening == "("):
            index = _closed(tokens, index if token.text == "{" else index + 1)
        elif token.kind == "name" and token.text in names and opening != "(":
            while index + 1 < len(tokens) and tokens[index + 1].text in {"{", "["}:
                index = _closed(tokens, index + 1)
            behind = tokens[index + 1].text if index + 1 < len(tokens) else ""
            if behind not in {"offset", "@"}:
                yield tokens[index].end
        index += 1


def _closed(tokens: Sequence[Token], index: int) -> int:
    """Return the index of the bracket that closes the one at `index`; the last token where none does."""
    closing = _CLOSING[tokens[index].text]
    return next((at for at in range(index, len(tokens)) if tokens[at].text == closing), len(tokens) - 1)
