"""Checks of configuration and rule files: errors and warnings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bridge.authoring.check.lint import lint
from bridge.config import load
from bridge.config.load import BridgeConfig
from bridge.domain.errors import RECORDINGS, ConfigError, Problem
from bridge.domain.rule import Group, RuleKind


def check_config(path: Path) -> list[Problem]:
    """Return every error in bridge.yml and in the rule files that it names, in file order."""
    try:
        load.load(path)
    except ConfigError as error:
        return error.problems
    return []


def doubts_of_config(path: Path) -> list[Problem]:
    """Return the warnings about a valid configuration, in file order. Raises ConfigError."""
    config = load.load(path)
    notes = left_with_prometheus(load.load_rules(config.rule_paths))
    return sorted([*lint(config.groups), *_unrouted_alerts(config), *notes, *config.notes])


def doubts_of_rules(paths: Sequence[Path]) -> list[Problem]:
    """Return the warnings and notes about valid rule files. Raises ConfigError."""
    groups = load.load_rules(paths)
    return sorted([*lint(groups), *left_with_prometheus(groups)])


def left_with_prometheus(groups: Iterable[Group]) -> Iterator[Problem]:
    """Yield a note for each group with recording rules: Prometheus evaluates them."""
    for group in groups:
        if group.recordings:
            count, first = len(group.recordings), group.recordings[0]
            message = f"{count} recording rule{'s are' if count > 1 else ' is'} left with Prometheus"
            yield Problem(group.file, first.line, group.name, message, "", RECORDINGS)


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


def check_rules(paths: Sequence[Path]) -> list[Problem]:
    """Return every error in rule files alone."""
    return load.check_rules(paths)
