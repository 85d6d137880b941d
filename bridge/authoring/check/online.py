"""Checks of a configuration against its Prometheus: each expression is queried once, unknown names get suggestions."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from bridge.authoring.check.check import promql_problems
from bridge.authoring.check.promql_errors import parsed, promql_error
from bridge.authoring.check.promql_tree import metrics_with_absence
from bridge.authoring.suggest.selectors import metric_names
from bridge.config.load import BridgeConfig, Expression, examine
from bridge.domain.errors import ConfigError, NoAnswerError, Problem, SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import DEFAULT_SERVER, Group, ModelLabels, Rule, SignalQuery
from bridge.domain.times import Timestamp
from bridge.domain.verdict import USE, Cause
from bridge.engine.evaluation.answers import uses_partial
from bridge.sources.patience import Report
from bridge.sources.prometheus import PrometheusSource
from bridge.sources.servers import PrometheusServers, section_of


def ask_prometheus(
    path: Path,
    now: Timestamp,
    doubts: Callable[[BridgeConfig, PrometheusSource, Timestamp], list[Problem]] | None = None,
    report: Report | None = None,
) -> list[Problem]:
    """Return every problem of a valid configuration with its Prometheus at `now`, in file order. Raises ConfigError.

    Expressions that only the offline parser refuses get a warning.
    doubts: function that returns warnings. report: notified of failed queries.
    """
    found = examine(path)
    if found.config is None:
        raise ConfigError(found.problems)
    config = found.config
    timeout = config.global_.query_timeout / 1000
    problems: list[Problem] = []
    made = PrometheusServers(config.servers, ModelTable(), config.base_dir, timeout=timeout, report=report)
    with closing(made) as servers:
        for name in used_servers(config):
            part, source = of_server(config, name), servers.of(name)
            mine = [expression for expression in found.expressions if expression.server == name]
            try:
                problems += [*_syntax(mine, config, source, now), *_problems(part, source, now)]
                problems += doubts(part, source, now) if doubts is not None else ()
            except (SourceError, NoAnswerError) as error:
                problems.append(Problem(str(path), 0, f"{section_of(name)}.url", str(error)))
    return sorted(problems)


def used_servers(config: BridgeConfig) -> list[str]:
    """Return the servers that signals name, the first one always included."""
    named = {query.server for group in config.groups for query in group.queries.values()}
    return [name for name in config.servers if name == DEFAULT_SERVER or name in named]


def of_server(config: BridgeConfig, name: str) -> BridgeConfig:
    """Return the configuration with the signals of one server, and the rules that use no others."""
    groups = []
    for group in config.groups:
        queries = {key: query for key, query in group.queries.items() if query.server == name}
        rules = tuple(rule for rule in group.rules if set(rule.queries) <= queries.keys())
        groups += [replace(group, queries=queries, rules=rules)] if queries else []
    return replace(config, groups=tuple(groups))


def _syntax(
    expressions: Iterable[Expression], config: BridgeConfig, source: PrometheusSource, now: Timestamp
) -> Iterator[Problem]:
    """Yield what the offline parser refuses: errors, or warnings where the server accepts the expression."""
    flavors = {name: server.flavor for name, server in config.servers.items()}
    for expression, problem in promql_problems(expressions, flavors):
        taken = True
        try:
            source.evaluate(expression.text, now)
        except SourceError as error:
            taken = error.reason not in {"bad_data", "execution"}
        if taken and not problem.lint:
            message = f"{problem.message}; the server accepts the expression"
            yield replace(problem, message=message, lint="promql-syntax", hint="set prometheus.flavor")
        else:
            yield problem if taken else replace(problem, lint="")


def _problems(config: BridgeConfig, source: PrometheusSource, now: Timestamp) -> Iterator[Problem]:
    metrics, labels = source.metric_names(), source.label_names()
    for group in config.groups:
        for name, query in group.queries.items():
            rule = next((rule for rule in group.rules if name in rule.queries), None)
            location = (group.file, 0, name) if rule is None else (rule.file, rule.line, rule.name)
            # a plain expression returns nothing while all models are healthy
            is_signal = rule is None or rule.strategy is not None or bool(rule.conditions)
            strict = next((rule for rule in group.rules if name in rule.queries and not uses_partial(rule)), None)
            for message, hint, lint in _of_query(group, query, is_signal, strict, source, metrics, labels, now):
                yield Problem(*location, message, hint, lint)


def _of_query(
    group: Group, query: SignalQuery, is_signal: bool, strict: Rule | None, source: PrometheusSource,
    metrics: list[str], labels: list[str], now: Timestamp,
) -> Iterator[tuple[str, str, str]]:  # fmt: skip
    """Yield message, hint and lint of every problem. strict: a rule that does not use partial results."""
    unknown = sorted({name for text in query.exprs.values() for name in _needed_metrics(text)} - set(metrics))
    for name in unknown:
        yield f"Prometheus has no metric {name!r}", _did_you_mean(name, metrics), ""
    if unknown:
        return
    try:
        batch = source.instant(query, now, now - group.offset)
    except SourceError as error:
        if error.reason != "bad_data" or not any(map(promql_error, query.exprs.values())):
            yield str(error), "", ""
        return
    if batch.skipped.get("missing_label"):
        for label in (label for label in _mapped(query.mapping) if label not in labels):
            yield f"no series in Prometheus has the model label {label!r}", _did_you_mean(label, labels), ""
    if batch.cause is Cause.PARTIAL and strict is not None:
        why = "; ".join(batch.notes) or "no reason given"
        message = f"the result from Prometheus is partial: {why}; until that ends, rule {strict.name!r} is inconclusive"
        yield message, f"fix the cause, or set inconclusive: {{partial: {USE}}}", "partial-answer"
    if not len(batch) and is_signal:
        yield f"signal {query.name!r} has no sample for any model now", "", "no-sample"


def _needed_metrics(text: str) -> set[str]:
    """Return the metrics of an expression, but for those of which it looks whether they are absent."""
    tree = parsed(text)
    if tree is None:
        return metric_names(text)
    return {name for name, sought in metrics_with_absence(tree) if not sought}


def _mapped(mapping: ModelLabels) -> Iterator[str]:
    parts = (mapping.project, mapping.pipeline, mapping.version)
    return (part.label for part in parts if part.const is None)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"did you mean {close[0]!r}?" if close else ""
