"""Suggestion of rule packs that match the metrics of a Prometheus; each signal is queried once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from bridge.authoring.suggest import rule_packs
from bridge.authoring.suggest.candidates import Candidate, candidates
from bridge.authoring.suggest.plausible import implausible, look_alikes
from bridge.authoring.suggest.rule_packs import PACKS, Pack
from bridge.authoring.suggest.selectors import metric_names
from bridge.domain.batch import EventBatch
from bridge.domain.errors import ConfigError, Problem, SourceError
from bridge.domain.rule import ModelLabels, SignalQuery
from bridge.domain.times import DAY, Duration, Timestamp, format_duration
from bridge.sources.prometheus import PrometheusSource

LOOKBACK: Duration = DAY
SHOWN = 3
TEAMS = ("namespace", "kubernetes_namespace", "exported_namespace")


class State(StrEnum):
    """Result for a signal."""

    FOUND = "found"
    SILENT = "silent"  # its metrics exist, but no model has a sample now
    MISSING = "missing"  # a metric does not exist
    UNLABELLED = "unlabelled"  # no series has the model labels
    REFUSED = "refused"  # the query failed
    REPLACED = "replaced"  # a better signal exists


@dataclass(frozen=True, slots=True)
class SignalReport:
    """Report on one signal of a pack.

    name: group.signal.
    models: number of models with a sample now.
    """

    name: str
    state: State
    models: int = 0
    text: str = ""
    advice: str = ""

    @property
    def used(self) -> bool:
        """True if the signal is in the suggested rule file."""
        return self.state in {State.FOUND, State.SILENT}


@dataclass(frozen=True, slots=True)
class PackReport:
    """Report on a pack: its signals, and the metrics of its server that exist."""

    name: str
    server: str
    signals: tuple[SignalReport, ...]
    metrics: tuple[str, ...] = ()

    @property
    def matches(self) -> bool:
        """True if any signal can be used."""
        return any(signal.used for signal in self.signals)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Result of the search.

    metrics: number of metrics in Prometheus.
    packs: reports on matching packs.
    rules: suggested rule file, "" without a match.
    """

    metrics: int
    packs: tuple[PackReport, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = field(default=())
    rules: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the suggestion as JSON types."""
        return asdict(self) | {"candidates": [item.to_json() for item in self.candidates]}


def suggest(
    source: PrometheusSource, url: str, now: Timestamp, *, models: ModelLabels, lookback: Duration = LOOKBACK,
    project: str = "",
) -> Suggestion:  # fmt: skip
    """Match the metrics of the last `lookback` with the packs.

    Raises SourceError if metric names cannot be read, and ConfigError if no series has the label `project`.

    url: for the header of the rule file.
    models: label mapping of models outside the packs.
    project: label that replaces the constant projects of the packs.
    """
    span = (now - lookback, now)
    names = set(source.metric_names("", *span))
    if project:
        _require_label(project, source, span)
    texts, reports = {}, []
    for pack in PACKS:
        text = pack.text(project)
        report = _pack_report(pack, text, source, names, now)
        if report.matches:
            reports.append(report)
            texts[pack.name] = text
    matched = [pack for pack in PACKS if pack.name in texts]
    notes = (*_notes(matched, texts, source, names, span, project), *look_alikes(names))
    rest = names - {name for name in names if any(name.startswith(pack.own) for pack in matched)}
    others = candidates(source, rest, models, span)
    return Suggestion(len(names), tuple(reports), tuple(others), notes, _rules(reports, texts, url, lookback))


def _require_label(project: str, source: PrometheusSource, span: tuple[Timestamp, Timestamp]) -> None:
    """Check that series have the label, as far as the server lists labels. Raises ConfigError."""
    try:
        known = project in source.label_names("", *span)
    except SourceError:
        return
    if not known:
        message = f"no series had the label {project!r} in the last {format_duration(span[1] - span[0])}"
        raise ConfigError([Problem("--project", 0, "", message, "name a label of your models' series")])


def _pack_report(pack: Pack, text: str, source: PrometheusSource, names: set[str], now: Timestamp) -> PackReport:
    _, groups = rule_packs.read(text, pack.name)
    reports = {
        name: _signal(name, query, pack, source, names, now)
        for group in groups
        for query in group.queries.values()
        for name in [f"{group.name}.{query.name}"]
    }
    queries = {f"{group.name}.{query.name}": query for group in groups for query in group.queries.values()}
    for better, worse in pack.better.items():
        if reports[better].state is State.FOUND and reports[worse].state is State.FOUND:
            doubt = implausible(source, queries[better], queries[worse], now)
            if doubt:
                advice = "the server's own quantiles are wrong; the mean is used"
                reports[better] = SignalReport(better, State.REFUSED, reports[better].models, doubt, advice)
        if reports[better].state is State.FOUND and reports[worse].used:
            reason = f"{better.partition('.')[2]} is available and more informative"
            reports[worse] = SignalReport(worse, State.REPLACED, reports[worse].models, reason)
    queried = {metric for group in groups for query in group.queries.values() for metric in _metrics(query)}
    return PackReport(pack.name, pack.server, tuple(reports.values()), tuple(sorted(queried & names)))


def _signal(
    name: str, query: SignalQuery, pack: Pack, source: PrometheusSource, names: set[str], now: Timestamp
) -> SignalReport:
    missing = sorted(_metrics(query) - names)
    if missing:
        return SignalReport(name, State.MISSING, 0, f"no metric {', '.join(missing)}", pack.advice.get(name, ""))
    try:
        batch = source.instant(query, now, now)
    except SourceError as error:
        return SignalReport(name, State.REFUSED, 0, str(error), "check the expression in the pack's file")
    if len(batch):
        return SignalReport(name, State.FOUND, len(batch), _models(batch))
    if batch.skipped.get("missing_label"):
        labels = ", ".join(_mapped(query.mapping))
        return SignalReport(name, State.UNLABELLED, 0, f"no series has all of the labels {labels}", "map other labels")
    advice = "check that the server is scraped and had requests in the last minutes"
    return SignalReport(name, State.SILENT, 0, "its metrics exist, but no model has a sample now", advice)


def _metrics(query: SignalQuery) -> set[str]:
    return {metric for text in query.exprs.values() for metric in metric_names(text)}


def _models(batch: EventBatch) -> str:
    """Return the number of models and the first of their names."""
    names = sorted(str(batch.table[row]) for row in batch.index.tolist())
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    unlabelled = batch.skipped.get("missing_label", 0)
    skipped = f"; {unlabelled} series without model labels are skipped" if unlabelled else ""
    return f"{len(names)} model{'s' if len(names) > 1 else ''}: {', '.join(names[:SHOWN])}{more}{skipped}"


def _mapped(mapping: ModelLabels) -> list[str]:
    return [part.label for part in (mapping.project, mapping.pipeline, mapping.version) if part.const is None]


def _notes(
    packs: Sequence[Pack], texts: dict[str, str], source: PrometheusSource, names: set[str],
    span: tuple[Timestamp, Timestamp], project: str,
) -> Iterable[str]:  # fmt: skip
    """Yield notes on projects: where a label could separate several teams, and where `project` changes no pack."""
    if project and all(texts[pack.name] == pack.text() for pack in packs):
        yield f"--project {project} changes nothing: it applies to rule packs with a fixed project, and none fits"
    constant = [pack for pack in packs if "project: {const:" in texts[pack.name]]
    if project or not constant:
        return
    metric = next((name for pack in constant for name in sorted(names) if name.startswith(pack.own)), "")
    try:
        labels = source.label_names(f'{{__name__="{metric}"}}', *span) if metric else []
    except SourceError:
        return
    team = next((label for label in TEAMS if label in labels), None)
    if team is not None:
        yield f"{metric} has the label {team!r}: use --project {team} to separate the models of several teams"


def _rules(reports: Iterable[PackReport], texts: dict[str, str], url: str, lookback: Duration) -> str:
    """Return the rule file, parsed once more to make sure that it is valid."""
    kept = {}
    for report in reports:
        out = {signal.name for signal in report.signals if not signal.used}
        kept[report.name] = rule_packs.remove_signals(texts[report.name], report.name, out)
    if not kept:
        return ""
    head = (
        f"# Rules for {', '.join(kept)}, written by `retrain-bridge rules suggest` from the metrics of\n"
        f"# {url} in the last {format_duration(lookback)}. Review every limit."
    )
    text = rule_packs.join_rule_files(kept, head)
    rule_packs.read(text, "suggested rules")
    return text
