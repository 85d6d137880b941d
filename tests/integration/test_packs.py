"""Rule packs on recorded /metrics of real servers, scraped by a real Prometheus through their life."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from math import isnan
from pathlib import Path

import pytest

from bridge.authoring.suggest.suggest import Suggestion, suggest
from bridge.domain.batch import EventBatch
from bridge.domain.model import ModelTable
from bridge.domain.rule import ModelLabels
from bridge.sources.prometheus import PrometheusConfig, PrometheusSource
from tests.support.packs import ROOT, queries
from tests.support.servers import Exporter, exporter, prometheus, wait_until

PHASES = ("0_start", "1_ok", "2_errors", "3_slow", "4_restarted")
CONTENT_TYPES = {
    "kserve": "text/plain; version=0.0.4; charset=utf-8",
    "bentoml": "text/plain; version=1.0.0; charset=utf-8",
}
MODELS = ModelLabels()
Story = dict[tuple[str, str], EventBatch]  # (phase, group.signal) -> what it gave


def show(pages: dict[str, Exporter], phase: str) -> None:
    """The pages of a phase, until three scrapes of each began: two of them are in the store then."""
    before = {name: page.scrapes for name, page in pages.items()}
    for name, page in pages.items():
        page.text = (ROOT / "tests" / "data" / "expositions" / name / f"{phase}.txt").read_text()
        page.content_type = CONTENT_TYPES[name]
    wait_until(lambda: all(page.scrapes >= before[name] + 3 for name, page in pages.items()), 40, f"scrapes of {phase}")


@pytest.fixture(scope="module")
def played() -> Iterator[tuple[Story, Suggestion]]:
    """What every signal of the two packs gave at the end of each phase, and what is suggested in the end."""
    found: Story = {}
    with ExitStack() as stack:
        pages = {name: stack.enter_context(exporter()) for name in CONTENT_TYPES}
        server = stack.enter_context(prometheus(targets=[page.target for page in pages.values()]))
        source = PrometheusSource(PrometheusConfig(url=server.url), ModelTable(), Path(), timeout=60)
        stack.callback(source.close)
        for phase in PHASES:
            show(pages, phase)
            now = int(time.time() * 1000)
            for pack in pages:
                for name, query in queries(pack):
                    found[phase, name] = source.instant(query, now, now)
        yield found, suggest(source, server.url, int(time.time() * 1000), models=MODELS)


@pytest.fixture
def story(played: tuple[Story, Suggestion]) -> Story:
    return played[0]


def numbers(batch: EventBatch) -> dict[str, float]:
    """Model -> its number."""
    models = [str(batch.table[slot]) for slot in batch.index.tolist()]
    return dict(zip(models, batch.values().tolist(), strict=True))


def test_nothing_is_skipped_and_no_model_comes_twice(story: Story) -> None:
    """Every series of every answer has a model, through restarts and series that come and go."""
    assert {key: dict(batch.skipped) for key, batch in story.items() if any(batch.skipped.values())} == {}
    assert all(len(set(batch.index.tolist())) == len(batch) for batch in story.values())
    assert sum(len(batch) for batch in story.values()) == 25


def test_a_server_without_requests_has_no_models_or_no_numbers(story: Story) -> None:
    """BentoML shows counters at 0: nothing of nothing is not a number. KServe shows no series at all."""
    assert numbers(story["0_start", "kserve.latency_p95"]) == {}
    assert numbers(story["0_start", "kserve.errors"]) == {}
    assert numbers(story["0_start", "bentoml.latency_p95"]) == {}
    assert isnan(numbers(story["0_start", "bentoml.errors"])["bentoml/Ranker/not available"])


KSERVE = ("kserve/churn/live", "kserve/fraud/live")
BENTOML = ("bentoml/Ranker/not available",)


@pytest.mark.parametrize(
    ("phase", "signal", "models", "expected"),
    [
        ("1_ok", "bentoml.errors", BENTOML, [0.0]),
        ("2_errors", "kserve.errors", KSERVE, [8 / 8, 7 / 7]),
        ("2_errors", "bentoml.errors", BENTOML, [15 / 75]),
        ("3_slow", "kserve.errors", KSERVE, [8 / 12, 7 / 11]),
        ("3_slow", "kserve.latency_p95", KSERVE, [0.4625, 0.465625]),
        ("3_slow", "bentoml.errors", BENTOML, [15 / 83]),
        ("3_slow", "bentoml.latency_p95", BENTOML, [0.4875]),
        ("4_restarted", "kserve.errors", KSERVE, [8 / 14, 7 / 14]),
        ("4_restarted", "kserve.latency_p95", KSERVE, [0.45625, 0.45625]),
        ("4_restarted", "bentoml.errors", BENTOML, [15 / 88]),
        ("4_restarted", "bentoml.latency_p95", BENTOML, [0.4796875]),
    ],
)
def test_every_model_has_its_number(
    story: Story, phase: str, signal: str, models: tuple[str, ...], expected: list[float]
) -> None:
    """Counted by hand from the recordings: what was added since the first page, restarts included, in the unit."""
    found = numbers(story[phase, signal])
    assert sorted(found) == sorted(models)
    assert [found[model] for model in models] == pytest.approx(expected, rel=1e-6)


def test_latencies_are_in_the_unit_of_the_pack(story: Story) -> None:
    """Both servers measure in seconds."""
    assert {batch.unit_ms for (_, name), batch in story.items() if "latency" in name} == {1000.0}


def test_both_packs_are_suggested_and_what_the_service_measures_itself_is_named(
    played: tuple[Story, Suggestion],
) -> None:
    """Its own histogram and its counter of errors, which is gone since the restart, carry the labels of a model."""
    found = played[1]
    assert [(pack.name, [(signal.name, signal.models) for signal in pack.signals]) for pack in found.packs] == [
        ("kserve", [("kserve.latency_p95", 2), ("kserve.errors", 2)]),
        ("bentoml", [("bentoml.latency_p95", 1), ("bentoml.errors", 1)]),
    ]
    assert [(item.metric, item.labelled) for item in found.candidates] == [
        ("model_errors_total", True), ("model_latency_seconds_bucket", True),
    ]  # fmt: skip
