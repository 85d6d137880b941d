"""Warnings about expressions that Prometheus takes, and that say something else than was probably meant."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.authoring.check.promql_errors import parsed
from bridge.authoring.check.promql_tree import can_be_empty, has_bool, is_always_firing, result_labels
from bridge.authoring.check.warning import LintWarning
from bridge.domain.rule import Rule, RuleKind, SignalQuery


def always_in_result(rule: Rule, query: SignalQuery) -> Iterator[LintWarning]:
    """Yield a warning for a plain expression whose series are in the result whatever their values are."""
    tree = parsed(next(iter(query.exprs.values())))
    if tree is None or can_be_empty(tree) or (rule.kind is RuleKind.ALERT and is_always_firing(tree)):
        return
    if has_bool(tree):
        message = "with 'bool', a comparison always returns a series (0 or 1), and a series fires also with value 0"
        yield LintWarning("always-in-result", message, "remove 'bool'")
    else:
        message = "the expression has no comparison: every series in the result fires, also with value 0"
        yield LintWarning("always-in-result", message, "compare it with a limit, such as > 0, or use a signal")


def dropped_labels(query: SignalQuery) -> Iterator[LintWarning]:
    """Yield a warning for model labels that no series of a result can have."""
    mapping = query.mapping
    needed = [part.label for part in (mapping.project, mapping.pipeline, mapping.version) if part.const is None]
    for text in query.exprs.values():
        tree = parsed(text)
        if tree is None:
            continue
        labels = result_labels(tree)
        missing = [name for name in needed if name not in labels]
        if missing:
            names = ", ".join(missing)
            of = f"the model label{'s' if len(missing) > 1 else ''} {names}"
            given = "fixed values" if len(missing) > 1 else "a fixed value"
            hint = f"keep {names} in by (...), or set {given} in models.labels: {{const: TEXT}}"
            yield LintWarning("drops-model-label", f"{query.name}: the expression drops {of}", hint)
            return
