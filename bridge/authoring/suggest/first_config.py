"""First configuration for a Prometheus: bridge.yml and rule files, from the metrics that it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from bridge.authoring.suggest.candidate_rules import CandidateRule, candidate_rules, rule_file
from bridge.authoring.suggest.run_receivers import run_receivers
from bridge.authoring.suggest.suggest import LOOKBACK, Suggestion, suggest
from bridge.domain.errors import SourceError
from bridge.domain.rule import ModelLabels
from bridge.domain.times import SECOND, Duration, Timestamp, format_duration
from bridge.sources.prometheus import PrometheusSource

CONFIG, PACKS, METRICS = "bridge.yml", "rules/packs.yml", "rules/metrics.yml"
MOST_INTERVAL, LEAST_INTERVAL = 60 * SECOND, 15 * SECOND


@dataclass(frozen=True, slots=True)
class FirstConfig:
    """Files to write, and what they were made of.

    files: path, relative to the folder of bridge.yml -> text; empty where no rule could be made.
    rules: rules on metrics outside the packs.
    notes: what the user should know, one sentence each.
    """

    suggestion: Suggestion
    files: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[CandidateRule, ...] = ()
    notes: tuple[str, ...] = ()


def first_config(
    source: PrometheusSource, url: str, now: Timestamp, *, http: Mapping[str, Any] | None = None,
    lookback: Duration = LOOKBACK, project: str = "",
) -> FirstConfig:  # fmt: skip
    """Return the first configuration for a Prometheus. Raises SourceError if it cannot be read.

    url: of the server, as bridge.yml will name it. http: keys of http_config beside it. project: as in `suggest`.
    """
    suggestion = suggest(source, url, now, models=ModelLabels(), lookback=lookback, project=project)
    rules, failed = candidate_rules(source, suggestion, now)
    files = {PACKS: suggestion.rules} if suggestion.rules else {}
    if rules:
        files[METRICS] = rule_file(rules, url)
    if not files:
        return FirstConfig(suggestion, notes=(*suggestion.notes, *failed))
    alertmanagers, missing = _alertmanagers(source)
    text = _bridge_file(url, http or {}, _interval(source, suggestion, rules, now), list(files), alertmanagers)
    return FirstConfig(suggestion, {CONFIG: text, **files}, tuple(rules), (*suggestion.notes, *failed, *missing))


def _bridge_file(
    url: str, http: Mapping[str, Any], interval: Duration, rule_files: list[str], alertmanagers: list[str]
) -> str:
    receivers: dict[str, Any] = {"name": "default", "log_configs": [{}]}
    if alertmanagers:
        receivers["alertmanager_configs"] = [{"url": address} for address in alertmanagers]
    offset = interval // 2 // SECOND * SECOND
    values = {
        "global": {"evaluation_interval": format_duration(interval), "query_offset": format_duration(offset)},
        "prometheus": {"url": url, **http},
        "rule_files": rule_files,
        "route": {"receiver": "default"},
        "receivers": [receivers],
        "dry_run": True,
    }
    body = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return (
        f"# First configuration, written by `retrain-bridge init` from the metrics of {url}.\n"
        "# `dry_run`: decisions are recorded, and no retraining is requested. Look at the decisions for some days,\n"
        "# add to the receiver what starts your pipeline, then remove it. One of these lines (replace the words in\n"
        f"# capitals, and add credentials), or coordinator_configs for a script of your own:\n{_choices()}{body}"
    )


def _choices() -> str:
    return "".join(f"#   {line}  # {title}\n" for title, line in run_receivers().items())


def _interval(
    source: PrometheusSource, suggestion: Suggestion, rules: Iterable[CandidateRule], now: Timestamp
) -> Duration:
    """Return an evaluation interval that fits the time between samples of the first metric in use."""
    for metric in _metrics(suggestion, rules):
        try:
            times = source.sample_times(metric, 10 * MOST_INTERVAL, now)
        except SourceError:
            continue
        if len(times) > 1:
            spacing = (times[-1] - times[0]) / (len(times) - 1)
            whole = max(1, round(spacing / SECOND)) * SECOND
            return min(max(LEAST_INTERVAL, whole), MOST_INTERVAL)
    return MOST_INTERVAL


def _metrics(suggestion: Suggestion, rules: Iterable[CandidateRule]) -> Iterator[str]:
    for pack in suggestion.packs:
        yield from pack.metrics
    for rule in rules:
        yield rule.metric


def _alertmanagers(source: PrometheusSource) -> tuple[list[str], list[str]]:
    """Return the addresses of the Alertmanagers that Prometheus sends to, and notes."""
    try:
        found, why = source.alertmanagers(), "Prometheus names no Alertmanager"
    except SourceError as error:
        found, why = [], f"cannot ask Prometheus for its Alertmanagers ({error})"
    if found:
        return found, []
    return [], [f"{why}: `alert:` rules notify nobody until you add alertmanager_configs"]
