"""`rules suggest` with the responses of unhealthy servers."""

from __future__ import annotations

import re
from typing import Any, cast

import numpy as np
import pytest

from bridge.authoring.suggest.suggest import State, Suggestion, suggest
from bridge.domain.batch import VALUE, EventBatch
from bridge.domain.errors import ConfigError, SourceError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import ModelLabels, SignalQuery
from bridge.sources.prometheus import PrometheusSource

NOW = 1_800_000_000_000
EVIDENTLY = "evidently:data_drift:share_drifted_features"
FAILED = SourceError("the query was cut off", reason="timeout", transient=True)


class Source:
    """Prometheus with some metrics. answers: name of a signal -> result of its query."""

    def __init__(self, known: list[str], **answers: Any) -> None:
        self.names, self.answers = known, answers
        self.spans: list[tuple[int | None, int | None]] = []

    def metric_names(self, selector: str = "", since: int | None = None, until: int | None = None) -> list[str]:
        self.spans.append((since, until))
        answer = self.answers.get("labelled", []) if selector else self.names
        if isinstance(answer, SourceError):
            raise answer
        return cast("list[str]", answer)

    def label_names(self, selector: str = "", since: int | None = None, until: int | None = None) -> list[str]:
        self.spans.append((since, until))
        answer = self.answers.get("labels", [])
        if isinstance(answer, SourceError):
            raise answer
        return cast("list[str]", answer)

    def instant(self, query: SignalQuery, slot: int, at: int, retry_for: int | None = None) -> EventBatch:
        answer = self.answers.get(query.name, [])
        if isinstance(answer, SourceError):
            raise answer
        skipped = {"missing_label": answer} if isinstance(answer, int) else {}
        table, names = ModelTable(), [] if isinstance(answer, int) else answer
        index = np.array([table.row(ModelKey("p", name, "1")) for name in names], np.int32)
        values = {VALUE: np.zeros(len(index))}
        return EventBatch(query.name, query.event, slot, table, index, values, skipped=skipped)


def found(source: Source, models: ModelLabels | None = None, **more: Any) -> Suggestion:
    return suggest(cast("PrometheusSource", source), "http://x", NOW, models=models or ModelLabels(), **more)


@pytest.mark.parametrize(
    ("answer", "state", "text"),
    [
        (["a"], State.FOUND, "1 model: p/a/1"),
        (["a", "b", "c", "d", "e"], State.FOUND, "5 models: p/a/1, p/b/1, p/c/1 and 2 more"),
        ([], State.SILENT, "its metrics exist, but no model has a sample now"),
    ],
)
def test_a_signal_with_known_metrics_is_used(answer: list[str], state: State, text: str) -> None:
    """Also without samples: the rule waits for its models."""
    (pack,) = found(Source([EVIDENTLY], drift=answer)).packs
    (signal,) = pack.signals
    assert (signal.state, signal.models, signal.text) == (state, len(answer), text)


def test_what_cannot_be_used_has_its_reason() -> None:
    """A failed query, and series without model labels; the other signals are offered."""
    names = [f"vllm:e2e_request_latency_seconds_{part}" for part in ("bucket", "count")]
    names += [f"vllm:time_to_first_token_seconds_{part}" for part in ("bucket", "count")]
    source = Source([*names, "vllm:request_success_total"], latency_p95=FAILED, first_token_p95=3, errors=["a"])
    suggestion = found(source)
    (pack,) = suggestion.packs
    assert [(signal.state, signal.text) for signal in pack.signals if signal.name.startswith("vllm.")] == [
        (State.REFUSED, "the query was cut off"),
        (State.UNLABELLED, "no series has all of the labels model_name"),
        (State.FOUND, "1 model: p/a/1"),
    ]
    assert [line for line in suggestion.rules.splitlines() if "- alert:" in line] == [
        "  - alert: VLLMFails", "  - alert: VLLMTruncates",
    ]  # fmt: skip
    assert [signal["state"] for signal in suggestion.to_json()["packs"][0]["signals"]][:4] == [
        "refused", "unlabelled", "found", "missing",
    ]  # fmt: skip


def test_a_pack_of_which_nothing_can_be_used_is_not_offered() -> None:
    """The metric may belong to another service."""
    suggestion = found(Source([EVIDENTLY], drift=2))
    assert (suggestion.packs, suggestion.rules) == ((), "")
    assert [item.metric for item in suggestion.candidates] == [EVIDENTLY]


def test_only_the_time_that_is_requested_is_checked() -> None:
    """Names and labels are listed for the last day, or for the given time."""
    source = Source([EVIDENTLY], drift=["a"], labels=["namespace"])
    found(source)
    found(source, lookback=3_600_000)
    assert source.spans == [(NOW - 86_400_000, NOW)] * 4 + [(NOW - 3_600_000, NOW)] * 4


@pytest.mark.parametrize(("labels", "notes"), [(["namespace"], 1), (["pod"], 0), (FAILED, 0)])
def test_a_label_of_teams_is_reported_where_it_is_known(labels: Any, notes: int) -> None:
    """No suggestion when the query fails."""
    assert len(found(Source([EVIDENTLY], drift=["a"], labels=labels)).notes) == notes


def test_the_label_of_the_project_must_exist() -> None:
    """Unless the labels cannot be listed; it changes only packs whose project is fixed, which is noted."""
    packed = Source([EVIDENTLY], drift=["a"], labels=["namespace"])
    assert found(packed, project="namespace").notes == ()
    with pytest.raises(ConfigError, match=r"^--project: no series had the label 'team' in the last 1d "):
        found(packed, project="team")
    assert found(Source([EVIDENTLY], drift=["a"], labels=FAILED), project="team").notes == ()
    (note,) = found(Source(["churn_drift"], labels=["namespace"]), project="namespace").notes
    assert note == "--project namespace changes nothing: it applies to rule packs with a fixed project, and none fits"


class Labelled(Source):
    """Prometheus whose metrics carry labels. series: metric -> its labels."""

    def __init__(self, series: dict[str, list[str]]) -> None:
        super().__init__(list(series))
        self.series = series

    def metric_names(self, selector: str = "", since: int | None = None, until: int | None = None) -> list[str]:
        wanted = re.findall(r'(\w+)!=""', selector)
        return [name for name, labels in self.series.items() if set(wanted) <= set(labels)]

    def label_names(self, selector: str = "", since: int | None = None, until: int | None = None) -> list[str]:
        return sorted({label for name, labels in self.series.items() if name in selector or not selector
                       for label in labels})  # fmt: skip


def test_metrics_of_a_known_server_under_another_prefix_are_reported() -> None:
    """Once for each prefix; the packs' own metrics are no look-alikes."""
    source = Source(
        ["acme_vllm_generation_tokens_total", "acme_vllm_num_requests_waiting", "vllm:num_requests_waiting"]
    )
    (note,) = (note for note in found(source).notes if "looks like" in note)
    first = "acme_vllm_generation_tokens_total looks like a metric of vLLM"
    assert note == f"{first}: copy its pack, with acme_vllm_ in place of vllm:"
