"""Reader of columns: mapping of series to models, limits, warnings. The API is simulated."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import Any, cast

import pytest

from bridge.domain.batch import VALUE, EventKind
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import LabelRef, ModelLabels, SignalQuery
from bridge.sources import reading
from bridge.sources.api import Api
from bridge.sources.config import PrometheusConfig
from bridge.sources.reading import MOST_EVALUATED, Reader, constant, seconds
from tests.support.fake_prometheus import Labels, model

AT = 1_700_000_000_500
CONSTANT = ModelLabels(*(LabelRef(const=part) for part in ("shop", "churn", "1")))


class FakeApi:
    """API that answers one body, and records its parameters."""

    timeout = 5.0

    def __init__(self, result: Any, kind: str = "vector", **more: Any) -> None:
        self.config = PrometheusConfig(url="http://p", **more)
        self.body = json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()
        self.params: list[dict[str, str]] = []

    def deadline(self) -> float:
        return 0.0

    def query(self, path: str, params: dict[str, str], ends: float, retry_until: float = 0.0) -> bytes:
        self.params.append({"path": path, **params})
        return self.body


def vector_body(*series: tuple[Labels, str]) -> bytes:
    return FakeApi(vector(*series)).body


def vector(*series: tuple[Labels, str]) -> list[dict[str, Any]]:
    return [{"metric": labels, "value": [AT / 1000, value]} for labels, value in series]


def signal(mapping: ModelLabels | None = None, limit: int = 0) -> SignalQuery:
    return SignalQuery("drift", EventKind.DRIFT, {VALUE: "m"}, mapping or ModelLabels(), limit=limit)


def reader(api: FakeApi) -> Reader:
    return Reader(cast("Api", api), ModelTable())


def test_series_become_models_with_values() -> None:
    """The instant is exact to the millisecond."""
    api = FakeApi(vector((model(7), "0.5"), (model(8), "NaN")))
    made = reader(api)
    batch = made.instant(signal(), AT, AT)
    assert [made.table[row] for row in batch.index.tolist()] == [
        ModelKey("shop", "fraud", "7"), ModelKey("shop", "fraud", "8"),
    ]  # fmt: skip
    assert batch.values()[0] == 0.5
    assert api.params[0]["time"] == "1700000000.500"
    assert "partial_response" not in api.params[0]


def test_series_without_a_model_label_are_skipped_and_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """With the missing label and an example."""
    caplog.set_level(logging.WARNING)
    made = reader(FakeApi(vector((model(7), "1"), ({"pipeline": "fraud", "project": "shop"}, "2"))))
    for _ in range(3):
        batch = made.instant(signal(), AT, AT)
        assert (len(batch), batch.skipped["missing_label"]) == (1, 1)
    (record,) = caplog.records
    assert (vars(record)["label"], vars(record)["count"]) == ("version", 1)


def test_memory_is_returned_unless_the_next_answer_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer with the same series as the one before will be followed by another."""
    returned: list[int] = []
    monkeypatch.setattr(reading, "give_back", returned.append)
    api = FakeApi(vector((model(7), "0.5")))
    made, first = reader(api), api.body
    for body in (first, first.replace(b"0.5", b"0.6"), vector_body((model(8), "0.5")), b"{"):
        api.body = body
        with contextlib.suppress(SourceError):
            made.instant(signal(), AT, AT)
    assert [bool(size) for size in returned] == [True, False, True, True]


def test_more_series_than_the_limit_are_an_error() -> None:
    """Instead of a part of them."""
    made = reader(FakeApi(vector((model(7), "1"), (model(8), "2"))))
    assert len(made.instant(signal(limit=2), AT, AT)) == 2
    with pytest.raises(SourceError, match="drift"):
        made.instant(signal(limit=1), AT, AT)


def test_a_scalar_needs_a_constant_model() -> None:
    scalar = FakeApi([AT / 1000, "0.5"], "scalar")
    with pytest.raises(SourceError, match="the expression is a scalar and belongs to no model"):
        reader(scalar).instant(signal(), AT, AT)
    made = reader(scalar)
    batch = made.instant(signal(CONSTANT), AT, AT)
    assert (made.table[batch.index[0]], batch.values()[0]) == (ModelKey("shop", "churn", "1"), 0.5)


def test_queries_of_templates_have_any_labels() -> None:
    """A scalar has none; their number is bounded."""
    (sample,) = reader(FakeApi(vector(({"a": "x"}, "3")))).evaluate("m", AT, 0.0)
    assert (sample.labels, sample.value) == ({"a": "x"}, 3.0)
    (sample,) = reader(FakeApi([0, "3"], "scalar")).evaluate("3", AT, 0.0)
    assert (sample.labels, sample.value) == ({}, 3.0)
    many = [({"a": str(number)}, "1") for number in range(MOST_EVALUATED + 1)]
    with pytest.raises(SourceError, match=f"more than {MOST_EVALUATED} samples"):
        reader(FakeApi(vector(*many))).evaluate("m", AT, 0.0)


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0, "0"), (1000, "1"), (1500, "1.500"), (1_700_000_000_001, "1700000000.001")]
)
def test_instants_are_exact_to_the_millisecond(milliseconds: int, text: str) -> None:
    """Without the rounding of a floating-point number."""
    assert seconds(milliseconds) == text


def test_a_mapping_is_constant_if_every_part_is() -> None:
    assert constant(CONSTANT)
    assert not constant(ModelLabels(CONSTANT.project, CONSTANT.pipeline, LabelRef("version")))
