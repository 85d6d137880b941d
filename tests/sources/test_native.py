"""Native histograms of query results, converted to buckets."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from bridge.domain.batch import EventKind
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import SignalQuery
from bridge.sources.columns import Column
from bridge.sources.config import PrometheusConfig
from bridge.sources.matrix import Grid
from bridge.sources.native import Natives, of_histograms, of_instant
from bridge.sources.reading import Reader

NATIVE = {
    "count": "10.5", "sum": "7",
    "buckets": [[3, "-0.001", "0.001", "2"], [0, "0.5", "1", "3"], [0, "1", "2", "1.5"], [0, "8", "+Inf", "4"]],
}  # fmt: skip


def read(*histograms: Any) -> Natives:
    found = [(b"%d" % index, msgspec.Raw(json.dumps(one).encode())) for index, one in enumerate(histograms)]
    return of_histograms(found)


def buckets(found: Natives, row: int) -> dict[float, float]:
    here = (found.row == row).nonzero()[0].tolist()
    return {found.bounds[index].item(): found.counts[index].item() for index in here}


def test_counts_are_known_at_both_ends_of_every_bucket() -> None:
    """Omitted buckets are empty; +Inf has the total count, also if a bucket ends there."""
    found = read(NATIVE)
    assert buckets(found, 0) == {
        -0.001: 0.0, 0.001: 2.0, 0.5: 2.0, 1.0: 5.0, 2.0: 6.5, 8.0: 6.5, float("inf"): 10.5
    }  # fmt: skip
    assert found.malformed == 0


def test_an_empty_histogram_has_a_size() -> None:
    """Prometheus then omits `buckets`; the next histogram is not affected."""
    found = read({"count": "0", "sum": "0"}, {"count": "3", "buckets": [[0, "1", "2", "3"]]}, NATIVE)
    assert buckets(found, 0) == {float("inf"): 0.0}
    assert buckets(found, 1) == {1.0: 0.0, 2.0: 3.0, float("inf"): 3.0}
    assert len(buckets(found, 2)) == 7


def test_what_fractions_add_up_to_is_the_whole_count() -> None:
    """0.1 + 0.2 is not exactly 0.3, but there are no observations above the last bucket."""
    found = read({"count": "0.3", "buckets": [[0, "1", "2", "0.1"], [0, "2", "4", "0.2"]]})
    assert buckets(found, 0)[4.0] == buckets(found, 0)[float("inf")]
    lost = read({"count": "5", "buckets": [[0, "1", "2", "3"]]})  # observations that are no number are in no bucket
    assert buckets(lost, 0) == {1.0: 0.0, 2.0: 3.0, float("inf"): 5.0}


@pytest.mark.parametrize(
    "odd",
    [
        b"5",
        b'{"count":"1","buckets":[[9%b,"0","1","1"]]}' % (b"9" * 400),
        b'{"count":"x"}',
        b'{"count":"1","buckets":[[0,"1","2"]]}',
        b"{}",
    ],
)
def test_a_damaged_histogram_does_not_take_the_others(odd: bytes) -> None:
    """It is counted."""
    good = msgspec.Raw(json.dumps([1794182400, NATIVE]).encode())
    found = of_instant([(b"a", msgspec.Raw(b"[1794182400," + odd + b"]")), (b"b", good), (b"c", msgspec.Raw(b"[1]"))])
    assert (found.metrics, found.malformed, len(found.bounds)) == ([b"b"], 2, 7)


class Answering:
    """Fake Api that answers every query with `result`."""

    config = PrometheusConfig(url="http://prometheus.test")
    timeout = 1.0
    kind = "vector"
    result: tuple[Any, ...] = ()

    def query(self, path: str, params: object, ends: float, *_: float, shorter: bool = False) -> bytes:
        answer = {"status": "success", "data": {"resultType": self.kind, "result": self.result}}
        return json.dumps(answer, separators=(",", ":")).encode()


AT = 1_794_182_400_000
QUERY = SignalQuery("s", EventKind.CUSTOM, {"buckets": "b", "value": "v"})
SMALL = {"count": "4", "buckets": [[0, "1", "2", "3"], [0, "4", "8", "1"]]}


def labels(version: int, **more: str) -> dict[str, str]:
    return {"project": "shop", "pipeline": "fraud", "version": str(version), **more}


def instant(version: int, what: Any, **more: str) -> dict[str, Any]:
    kind = "value" if isinstance(what, str) else "histogram"
    return {"metric": labels(version, **more), kind: [AT / 1000, what]}


def table(found: Column, reader: Reader) -> dict[str, object]:
    return {
        reader.table[slot].version: row for slot, row in zip(found.index.tolist(), found.values.tolist(), strict=True)
    }


@pytest.mark.parametrize(
    "odd",
    [{"count": "+Inf"}, {"count": "NaN"}, {"count": "-1"}, {"count": "1e300"},
     *({"count": "1", "buckets": [bucket]} for bucket in
       ([0, "0", "1", "+Inf"], [0, "0", "1", "NaN"], [0, "0", "1", "-2"], [0, "1", "0", "1"], [0, "NaN", "1", "1"]))],
)  # fmt: skip
def test_numbers_that_count_nothing_damage_their_own_histogram_only(odd: dict[str, Any]) -> None:
    """Infinite, negative or invalid counts; invalid bounds, or bounds in the wrong order."""
    found = read(NATIVE, odd, NATIVE)
    assert found.malformed == 1
    assert found.metrics == [b"0", b"2"]
    assert buckets(found, 0) == buckets(found, 1) == buckets(read(NATIVE), 0)


def test_classic_and_native_histograms_stand_side_by_side() -> None:
    """If a model has both, the native one is used. Unmapped and damaged ones are counted."""
    api = Answering()
    reader = Reader(api, ModelTable())  # type: ignore[arg-type]
    damaged, nobody = instant(7, {"count": "x"}), instant(8, SMALL)
    del nobody["metric"]["version"]
    api.result = (
        instant(3, SMALL), instant(1, "5", le="2"), instant(2, "1", le="2"), instant(1, "9", le="+Inf"),
        instant(2, SMALL), instant(2, "1", le="+Inf"), damaged, nobody,
    )  # fmt: skip
    found = reader.at_instant(QUERY, "buckets", AT, 0.0)
    assert found.bounds is not None
    assert found.bounds.tolist() == [1.0, 2.0, 4.0, 8.0, float("inf")]
    rows = table(found, reader)
    assert str(rows.pop("1")) == "[nan, 5.0, nan, nan, 9.0]"
    assert rows == {"3": [0.0, 3.0, 3.0, 4.0, 4.0], "2": [0.0, 3.0, 3.0, 4.0, 4.0]}
    assert (found.elements, found.skipped) == (8, {"malformed": 1, "missing_label": 1})


def test_two_native_histograms_of_one_model_are_an_error() -> None:
    """As two series are."""
    api = Answering()
    reader = Reader(api, ModelTable())  # type: ignore[arg-type]
    api.result = (instant(1, SMALL, pod="a"), instant(1, NATIVE, pod="b"))
    with pytest.raises(SourceError, match="shop/fraud/1") as caught:
        reader.at_instant(QUERY, "buckets", AT, 0.0)
    assert caught.value.reason == "duplicate_model"


def test_a_native_histogram_is_no_number() -> None:
    """A signal with `expr` still skips it."""
    api = Answering()
    reader = Reader(api, ModelTable())  # type: ignore[arg-type]
    api.result = (instant(1, SMALL), instant(2, "5"))
    found = reader.at_instant(QUERY, "value", AT, 0.0)
    assert table(found, reader) == {"2": 5.0}
    assert found.skipped == {"histogram": 1}


def test_a_series_may_become_a_native_histogram_in_the_middle_of_the_past() -> None:
    """Each point gives what an instant query gave: buckets first, then a histogram, then nothing."""
    api, grid = Answering(), Grid(AT, 60_000, 3)
    reader = Reader(api, ModelTable())  # type: ignore[arg-type]
    api.kind = "matrix"
    api.result = (
        {"metric": labels(1, le="+Inf"), "values": [[AT / 1000, "7"]]},
        {"metric": labels(1), "histograms": [[AT / 1000 + 60, SMALL]]},
    )
    column = reader.over(QUERY, "buckets", grid, 0.0)
    points = [reader.at_point(QUERY, column, point) for point in range(3)]
    assert [table(found, reader) for found in points] == [{"1": [7.0]}, {"1": [0.0, 3.0, 3.0, 4.0, 4.0]}, {}]
    assert [(found.elements, dict(found.skipped)) for found in points] == [(1, {}), (1, {}), (0, {})]
    reader.forget(QUERY)
    assert reader.known() == {}
