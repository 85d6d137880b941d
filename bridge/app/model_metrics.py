"""Series of single models, written as text directly from the views: metric objects would take 210 MB."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bridge.engine.api.interface import Queries
from bridge.engine.api.views import ModelState, ModelView

PREFIX = "retrain_bridge_"
AUTO_MODELS = 1_000  # bounds a scrape when every model is unhealthy; a model has series for each of its rules
_NO_LIMIT = 1 << 31
_UNHEALTHY = tuple(state for state in ModelState if state not in {ModelState.HEALTHY, ModelState.REPLACED})
CHOICES = ("auto", "all", "unhealthy", "none")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def model_lines(queries: Queries, which: str) -> Iterator[str]:
    """Yield totals by state, then the series of the models that `which` (one of CHOICES) selects."""
    counts = queries.model_counts()
    yield _header("models", "Number of models by state.")
    yield from (f'{PREFIX}models{{state="{state.value}"}} {count}\n' for state, count in counts.items())
    shown = [] if which == "none" else [(view, _labels(view)) for view in _chosen(queries, which, sum(counts.values()))]
    unhealthy = sum(count for state, count in counts.items() if state in _UNHEALTHY)
    yield _header("models_omitted", f"Number of unhealthy models without series of their own, beyond {AUTO_MODELS:,}.")
    yield f"{PREFIX}models_omitted {max(0, unhealthy - AUTO_MODELS) if which == 'auto' else 0}\n"
    if shown:
        yield from _states(shown)
        yield from _signals(shown)
        yield from _requests(shown)


def _chosen(queries: Queries, which: str, total: int) -> Sequence[ModelView]:
    """Return the models with their own series, worst state first. total: number of all models."""
    every = which == "all" or (which == "auto" and total <= AUTO_MODELS)
    limit = AUTO_MODELS if which == "auto" else _NO_LIMIT
    return queries.model_page(states=() if every else _UNHEALTHY, limit=limit).models


def _states(shown: list[tuple[ModelView, str]]) -> Iterator[str]:
    yield _header("model_info", "One series per model; always 1.")
    yield from (f"{PREFIX}model_info{{{labels}}} 1\n" for _, labels in shown)
    yield _header("model_state", "1 for the current state of a model.")
    yield from (f'{PREFIX}model_state{{{labels},state="{view.state.value}"}} 1\n' for view, labels in shown)
    yield _header("model_held", "1 for the gate that holds the request of a model.")
    yield from (f'{PREFIX}model_held{{{labels},reason="{view.held}"}} 1\n' for view, labels in shown if view.held)


def _signals(shown: list[tuple[ModelView, str]]) -> Iterator[str]:
    """Yield values, thresholds and start times; value and threshold have the same labels, for use in one panel."""
    values, thresholds, active, crossings = [], [], [], []
    for view, labels in shown:
        for signal in view.signals:
            series = f'{{{labels},rule="{escape(signal.rule)}"}}'
            if not signal.empty:
                values.append(f"{PREFIX}signal_value{series} {number(signal.value)}\n")
            if not math.isnan(signal.threshold):
                thresholds.append(f"{PREFIX}signal_threshold{series} {number(signal.threshold)}\n")
            if signal.since:
                of_state = f'{series[:-1]},state="{signal.state}"}}'
                active.append(f"{PREFIX}rule_active_timestamp_seconds{of_state} {number(signal.since / 1000)}\n")
            if signal.crossing is not None:
                bounds = (("earliest", signal.crossing.earliest), ("latest", signal.crossing.latest))
                crossings += [
                    f'{PREFIX}signal_crossing_timestamp_seconds{series[:-1]},bound="{bound}"}} {number(at / 1000)}\n'
                    for bound, at in bounds
                ]
    yield _header("signal_value", "Last value that a rule evaluated for a model, in the signal's unit.")
    yield from values
    yield _header("signal_threshold", "Threshold of a rule's strategy, which need not be in the signal's unit.")
    yield from thresholds
    yield _header(
        "rule_active_timestamp_seconds",
        "Time at which the present state, pending or firing, of a rule began for a model.",
    )
    yield from active
    yield _header("signal_crossing_timestamp_seconds", "Bounds of when a value is expected to cross its limit.")
    yield from crossings


def _requests(shown: list[tuple[ModelView, str]]) -> Iterator[str]:
    name = "last_retrain_request_timestamp_seconds"
    yield _header(name, "Time of the last retrain request for a model, with the kind of event.")
    for view, labels in shown:
        if view.last_request_at:
            reason = escape(view.last_request_event or "unknown")
            yield f'{PREFIX}{name}{{{labels},reason="{reason}"}} {number(view.last_request_at / 1000)}\n'
    yield _header("last_run_info", "URL of the run of the last retrain request for a model; always 1.")
    for view, labels in shown:
        if view.run_url:
            yield f'{PREFIX}last_run_info{{{labels},run_url="{escape(view.run_url)}"}} 1\n'


def _labels(view: ModelView) -> str:
    model = view.model
    return f'project="{escape(model.project)}",pipeline="{escape(model.pipeline)}",version="{escape(model.version)}"'


def _header(name: str, text: str) -> str:
    return f"# HELP {PREFIX}{name} {text}\n# TYPE {PREFIX}{name} gauge\n"


def escape(value: str) -> str:
    """Return a label value, escaped for the text format."""
    needed = '"' in value or "\\" in value or "\n" in value  # faster to find than to replace
    return value.translate(_ESCAPES) if needed else value


def number(value: float) -> str:
    """Return a sample value in the text format."""
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
