"""Checks of configuration and rule files: errors and warnings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bridge.authoring.check.lint import warnings
from bridge.authoring.check.promql_errors import promql_error
from bridge.authoring.check.receivers import unproven_presets
from bridge.config import load
from bridge.config.load import BridgeConfig, Expression
from bridge.domain.errors import RECORDINGS, ConfigError, Problem
from bridge.domain.rule import Group, RuleKind
from bridge.files.wording import variable_hint
from bridge.files.yaml import Document, path_text
from bridge.sources.back_ends import Flavor


def check_config(path: Path, *, lint: bool = False, parse: bool = True) -> list[Problem]:
    """Return every error in bridge.yml and in the rule files that it names, in file order; with `lint` warnings too.

    parse: look for errors in PromQL (`ask_prometheus` does that itself).
    """
    try:
        found = load.examine(path)
    except ConfigError as error:
        return error.problems
    flavors = {name: server.flavor for name, server in found.servers.items()}
    routed = [] if found.config is None else [*_unrouted_alerts(found.config), *found.config.notes]
    routed += [*_variables(found.document), *unproven_presets(found)]
    syntax = [problem for _, problem in promql_problems(found.expressions, flavors)] if parse else []
    return _all(found, syntax, routed, lint=lint, mapped=True)


def check_rules(paths: Sequence[Path], *, lint: bool = False, flavor: Flavor = "prometheus") -> list[Problem]:
    """Return every error in rule files alone, in file order; with `lint` warnings and notes too."""
    found = load.examine_rules(paths)
    syntax = [problem for _, problem in promql_problems(found.expressions, {}, flavor)]
    return _all(found, syntax, (), lint=lint, mapped=False)


def _all(
    found: load.Examined, syntax: list[Problem], more: Iterable[Problem], *, lint: bool, mapped: bool
) -> list[Problem]:
    """Return errors; with `lint` warnings too, also those of the files without errors beside files with some."""
    problems = [*found.problems, *(problem for problem in syntax if lint or not problem.lint)]
    if lint:
        problems += [*warnings(found.groups, mapped=mapped), *left_with_prometheus(found.groups), *more]
    return sorted(problems)


def promql_problems(
    expressions: Iterable[Expression], flavors: Mapping[str, Flavor], default: Flavor = "prometheus"
) -> Iterator[tuple[Expression, Problem]]:
    """Yield the expressions that Prometheus would refuse, with an error; for another flavor with a warning.

    flavors: by server. default: of the others.
    """
    for expression in expressions:
        flavor = flavors.get(expression.server, default)
        error = promql_error(expression.text)
        if error is None:
            continue
        document, path = expression.document, expression.path
        line, column = document.position(path, expression.text, error.offset)
        lint, hint = ("", error.hint) if flavor == "prometheus" else ("promql-syntax", error.hint)
        message = error.message if flavor == "prometheus" else f"{error.message}; {flavor} may accept it"
        yield expression, Problem(document.file, line, path_text(path), message, hint, lint, column=column)


def left_with_prometheus(groups: Iterable[Group]) -> Iterator[Problem]:
    """Yield a note for each group with recording rules: Prometheus evaluates them."""
    for group in groups:
        if group.recordings:
            count, first = len(group.recordings), group.recordings[0]
            what, whom = ("rules are", "them") if count > 1 else ("rule is", "it")
            message = f"{count} recording {what} not read: Prometheus evaluates {whom}"
            yield Problem(group.file, first.line, group.name, message, "", RECORDINGS)


def _variables(document: Document | None) -> Iterator[Problem]:
    """Yield a warning for each text of bridge.yml that contains an environment variable and is otherwise correct."""
    if document is None:
        return
    for path in document.spots:
        if (hint := variable_hint(document.at(path))) and not document.reported(path):
            message = "contains an environment variable"
            yield Problem(document.file, document.line(path), path_text(path), message, hint, "unexpanded-variable")


def _unrouted_alerts(config: BridgeConfig) -> Iterator[Problem]:
    """Yield a warning for each `alert:` rule that no Alertmanager receives."""
    named = config.receivers.items()
    alerting = {name for name, entries in named if any(kind == "alertmanager" for kind, _ in entries)}
    for rule in (rule for group in config.groups for rule in group.rules if rule.kind is RuleKind.ALERT):
        labels = {**config.global_.external_labels, **rule.labels, "alertname": rule.alertname}
        receivers = config.route.receivers(labels)
        if not alerting & set(receivers):
            message = (
                f"its labels route to {', '.join(receivers)}, which has no alertmanager_configs: nobody is notified"
            )
            yield Problem(rule.file, rule.line, rule.name, message, "route it to an Alertmanager", "alert-to-nobody")
