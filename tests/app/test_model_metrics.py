"""Series of single models, as text."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.app import model_metrics
from bridge.app.model_metrics import CHOICES, escape, model_lines, number
from bridge.domain.model import ModelKey
from bridge.engine.api.views import ModelState
from tests.support.fake_views import AT, MODEL, QUIET, FakeQueries, model_view, signal

P = "retrain_bridge_"


def series(queries: FakeQueries, which: str) -> dict[tuple[str, ...], float]:
    text = "".join(model_lines(queries, which))
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(item.name.removeprefix(P), *sorted(item.labels.values())): item.value for item in samples}


def pipelines(queries: FakeQueries, which: str) -> set[str]:
    found = {part for name, *parts in series(queries, which) if name == "model_info" for part in parts}
    return found & {MODEL.pipeline, QUIET.pipeline}


def test_which_models_have_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """auto: all while they are few."""
    both, unhealthy = {MODEL.pipeline, QUIET.pipeline}, {MODEL.pipeline}
    found = {which: pipelines(FakeQueries(), which) for which in CHOICES}
    assert found == {"auto": both, "all": both, "unhealthy": unhealthy, "none": set()}
    monkeypatch.setattr(model_metrics, "AUTO_MODELS", 1)
    assert pipelines(FakeQueries(), "auto") == unhealthy


def test_auto_has_series_of_the_worst_models_only_and_counts_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of a scrape is bounded when every model is unhealthy; `unhealthy` and `all` have no limit."""
    monkeypatch.setattr(model_metrics, "AUTO_MODELS", 2)
    order = [ModelState.DEGRADED, ModelState.RETRAINING, ModelState.HELD, ModelState.HELD]
    queries = FakeQueries()
    queries.views = [replace(model_view(ModelKey("p", f"m{n}", "1")), state=state) for n, state in enumerate(order)]
    found = {which: series(queries, which) for which in CHOICES}
    models = {which: sorted(key[2] for key in keys if key[0] == "model_info") for which, keys in found.items()}
    every = ["m0", "m1", "m2", "m3"]
    assert models == {"auto": ["m1", "m2"], "all": every, "unhealthy": every, "none": []}
    assert {which: keys[("models_omitted",)] for which, keys in found.items()} == {
        "auto": 2, "all": 0, "unhealthy": 0, "none": 0,
    }  # fmt: skip


def test_a_replaced_version_is_not_unhealthy() -> None:
    """It takes no place of a model that needs attention; `all` shows it, and it is counted under its state."""
    queries = FakeQueries()
    queries.views = [replace(model_view(), state=ModelState.REPLACED)]
    assert not pipelines(queries, "unhealthy")
    assert pipelines(queries, "all") == {MODEL.pipeline}
    assert series(queries, "none")["models", "replaced"] == 1
    assert series(queries, "auto")[("models_omitted",)] == 0


def test_a_scrape_creates_no_view_of_an_omitted_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does it read models one by one."""
    monkeypatch.setattr(model_metrics, "AUTO_MODELS", 1)
    queries = FakeQueries()
    series(queries, "auto")
    assert [asked[3:] for asked in queries.asked if isinstance(asked, tuple)] == [(1,)], "the limit"


def test_every_state_is_counted() -> None:
    """Also those without a model, and with `none`."""
    found = series(FakeQueries(), "none")
    assert {key[1]: value for key, value in found.items() if key[0] == "models"} == {
        state.value: float(state in {ModelState.RETRAIN_REQUESTED, ModelState.HEALTHY}) for state in ModelState
    }


def test_an_expression_without_a_result_has_no_value() -> None:
    """As in Prometheus, where an empty result has no series."""
    queries = FakeQueries()
    queries.views = [replace(model_view(), signals=[signal(math.nan, math.nan, verdict="ok", empty=True)])]
    assert "signal_value" not in {key[0] for key in series(queries, "all")}


def test_a_signal_without_a_limit_has_no_threshold() -> None:
    """And NaN as its value."""
    queries = FakeQueries()
    view = model_view()
    queries.views = [type(view)(MODEL, view.state, [signal(math.nan, math.nan, since=AT)], 0, "", "")]
    found = series(queries, "all")
    names = {key[0] for key in found}
    assert "signal_threshold" not in names
    assert "last_retrain_request_timestamp_seconds" not in names
    (value,) = [value for key, value in found.items() if key[0] == "signal_value"]
    assert math.isnan(value)
    (active,) = [value for key, value in found.items() if key[0] == "rule_active_timestamp_seconds"]
    assert active == AT / 1000


def test_names_are_escaped() -> None:
    """A parser reads them back."""
    queries = FakeQueries()
    odd = ModelKey('a"b', "c\\d", "e\nf")
    queries.views = [model_view(odd)]
    assert ("model_info", 'a"b', "c\\d", "e\nf") in series(queries, "all")
    assert escape('"\\\n') == '\\"\\\\\\n'


@pytest.mark.parametrize(
    ("value", "text"), [(0.1, "0.1"), (math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (1e22, "1e+22")]
)
def test_numbers_have_the_text_format(value: float, text: str) -> None:
    assert number(value) == text
