"""Properties of an expression, from its syntax tree: whether its result can be empty, its labels, its metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import promql_parser as promql

_COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
_SET_OPERATORS = frozenset({"and", "or", "unless"})
_ABSENT = frozenset({"absent", "absent_over_time"})
_KEEP_SERIES = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
_ADD_LABEL = frozenset({"label_replace", "label_join"})
_ALL_LABELS = frozenset({"info"})
_SERIES = (promql.ValueType.Vector, promql.ValueType.Matrix)
_ALWAYS_FIRING = "vector"  # of a dead man's switch: always there on purpose


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels that series of a result can have: `names` alone, or with `others` all but `names`."""

    names: frozenset[str] = frozenset()
    others: bool = True

    def __contains__(self, name: str) -> bool:
        return (name in self.names) != self.others

    def only(self, names: frozenset[str]) -> Labels:
        """Return these labels as far as they are among `names`."""
        return Labels(frozenset(name for name in names if name in self), others=False)

    def without(self, names: frozenset[str]) -> Labels:
        """Return these labels except `names`."""
        return Labels(self.names | names if self.others else self.names - names, self.others)

    def plus(self, names: frozenset[str]) -> Labels:
        """Return these labels and `names`."""
        return Labels(self.names - names if self.others else self.names | names, self.others)

    def either(self, other: Labels) -> Labels:
        """Return the labels that are here or in `other`."""
        if self.others and other.others:
            return Labels(self.names & other.names)
        if not self.others and not other.others:
            return Labels(self.names | other.names, others=False)
        open_, closed = (self, other) if self.others else (other, self)
        return Labels(open_.names - closed.names)


def can_be_empty(node: promql.Expr) -> bool:
    """Return whether the values decide if series are in the result: a comparison, a set operation or `absent`."""
    match node:
        case promql.BinaryExpr():
            operator = str(node.op)
            filtering = node.modifier is None or not node.modifier.return_bool
            if operator in _COMPARISONS and filtering and (_is_vector(node.lhs) or _is_vector(node.rhs)):
                return True
            if operator == "or":
                return can_be_empty(node.lhs) and can_be_empty(node.rhs)
            return operator in _SET_OPERATORS or can_be_empty(node.lhs) or can_be_empty(node.rhs)
        case promql.Call() if node.func.name in _ABSENT:
            return True
        case promql.VectorSelector():
            return node.name in {"ALERTS", "ALERTS_FOR_STATE"}
        case _:
            return any(can_be_empty(child) for child in _children(node))


def is_always_firing(node: promql.Expr) -> bool:
    """Return whether the expression is a constant, as that of an alert that shall always fire."""
    return isinstance(node, promql.Call) and node.func.name == _ALWAYS_FIRING


def has_bool(node: promql.Expr) -> bool:
    """Return whether a comparison of the expression has `bool`."""
    own = isinstance(node, promql.BinaryExpr) and node.modifier is not None and node.modifier.return_bool
    return own or any(has_bool(child) for child in _children(node))


def result_labels(node: promql.Expr) -> Labels:
    """Return the labels that series of the result can have."""
    match node:
        case promql.AggregateExpr():
            return _of_aggregate(node)
        case promql.BinaryExpr():
            return _of_binary(node)
        case promql.VectorSelector():
            return _of_selector(node)
        case promql.Call():
            return _of_call(node)
        case _:
            return next((result_labels(child) for child in _children(node)), Labels(others=False))


def _of_call(node: promql.Call) -> Labels:
    name = node.func.name
    if name in _ABSENT:
        return Labels(frozenset(_equal(node)), others=False)
    if name in _ADD_LABEL:
        return result_labels(node.args[0]).plus(frozenset({node.args[1].val}))
    if name in _ALL_LABELS:
        return Labels()
    found = [result_labels(child) for child in node.args if _is_vector(child)]
    dropped = frozenset({"le"} if name.startswith("histogram_") else ())
    return found[0].without(dropped) if found else Labels(others=False)


def _of_aggregate(node: promql.AggregateExpr) -> Labels:
    inner = result_labels(node.expr)
    if str(node.op) in _KEEP_SERIES:
        return inner
    named: frozenset[str] = frozenset(() if node.modifier is None else node.modifier.labels)
    if node.modifier is not None and node.modifier.type == promql.AggModifierType.Without:
        found = inner.without(named)
    else:
        found = inner.only(named)
    return found.plus(frozenset({node.param.val})) if str(node.op) == "count_values" and node.param else found


def _of_binary(node: promql.BinaryExpr) -> Labels:
    if not _is_vector(node.lhs) or not _is_vector(node.rhs):
        return result_labels(node.lhs if _is_vector(node.lhs) else node.rhs)
    left, right, modifier = result_labels(node.lhs), result_labels(node.rhs), node.modifier
    if str(node.op) == "or":
        return left.either(right)
    if str(node.op) in _SET_OPERATORS or modifier is None:
        return left
    return _matched(left, right, modifier)


def _matched(left: Labels, right: Labels, modifier: promql.BinModifier) -> Labels:
    """Return the labels of a result whose sides were matched."""
    extra = frozenset(modifier.group_labels or ())
    if modifier.card == promql.VectorMatchCardinality.ManyToOne:
        return left.plus(extra)
    if modifier.card == promql.VectorMatchCardinality.OneToMany:
        return right.plus(extra)
    if modifier.matching is None:
        return left
    names = frozenset(modifier.matching.labels)
    return left.only(names) if modifier.matching.type == promql.LabelModifierType.Include else left.without(names)


def _of_selector(node: promql.VectorSelector) -> Labels:
    empty = {item.name for item in node.matchers.matchers if item.op == promql.MatchOp.Equal and not item.value}
    return Labels(frozenset(empty))


def _equal(node: promql.Call) -> Iterator[str]:
    for selector in _selectors(node):
        for item in selector.matchers.matchers:
            if item.op == promql.MatchOp.Equal and item.value:
                yield item.name


def metrics_with_absence(node: promql.Expr, *, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield each metric's name, and whether its absence is what the expression looks for."""
    if isinstance(node, promql.VectorSelector):
        if node.name:
            yield node.name, inside
        return
    absent = isinstance(node, promql.Call) and node.func.name in _ABSENT
    for child in _children(node):
        yield from metrics_with_absence(child, inside=inside or absent)


def _selectors(node: promql.Expr) -> Iterator[promql.VectorSelector]:
    if isinstance(node, promql.VectorSelector):
        yield node
    for child in _children(node):
        yield from _selectors(child)


def _is_vector(node: promql.Expr) -> bool:
    """Return whether the result has series: all but numbers, texts, `scalar`, `time` and what is computed of them."""
    match node:
        case promql.NumberLiteral() | promql.StringLiteral():
            return False
        case promql.Call():
            return node.func.return_type in _SERIES
        case promql.BinaryExpr() | promql.ParenExpr() | promql.UnaryExpr():
            return any(_is_vector(child) for child in _children(node))
        case _:
            return True


def _children(node: promql.Expr) -> list[promql.Expr]:
    match node:
        case promql.BinaryExpr():
            return [node.lhs, node.rhs]
        case promql.Call():
            return list(node.args)
        case promql.AggregateExpr() | promql.UnaryExpr() | promql.ParenExpr() | promql.SubqueryExpr():
            return [node.expr]
        case promql.MatrixSelector():
            return [node.vector_selector]
        case _:
            return []
