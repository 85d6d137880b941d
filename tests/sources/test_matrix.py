"""Decoding of range query results into dense tables, intact or damaged."""

from __future__ import annotations

import math

import pytest

from bridge.domain.errors import SourceError
from bridge.sources.matrix import Grid, Matrix, matrix

GRID = Grid(1_794_182_400_000, 60_000, 3)
GOOD = '{"metric":{"a":"good"},"values":[[1794182400,"1"],[1794182520,"3"]]}'


def decode(*elements: str, more: str = "") -> Matrix:
    body = f'{{"status":"success","data":{{"resultType":"matrix","result":[{",".join(elements)}]}}{more}}}'
    return matrix(body.encode(), GRID)


def row(values: str, histograms: str = "") -> str:
    extra = f',"histograms":{histograms}' if histograms else ""
    return f'{{"metric":{{"a":"x"}},"values":{values}{extra}}}'


def test_samples_stand_at_their_instants() -> None:
    """A missing sample is not present; a NaN is a sample."""
    found = decode(GOOD, row('[[1794182460.000,"NaN"]]'))
    assert repr(found.values.tolist()) == "[[1.0, nan, 3.0], [nan, nan, nan]]"
    assert found.present.tolist() == [[True, False, True], [False, True, False]]
    assert found.metrics == [b'{"a":"good"}', b'{"a":"x"}']
    assert (found.malformed, found.notes, found.partial) == (0, (), False)


def test_the_grid_ends_at_its_last_instant() -> None:
    """count instants, the first included."""
    assert GRID.end == 1_794_182_520_000


def test_infinities_are_numbers() -> None:
    """Both of them, beside other numbers."""
    found = decode(row('[[1794182400,"+Inf"],[1794182460,"-Inf"],[1794182520,"1e3"]]'))
    assert found.values.tolist() == [[math.inf, -math.inf, 1000.0]]


def test_native_histograms_are_counted_where_they_are() -> None:
    """A series can change from floats to histograms; with both at an instant, the float counts."""
    native = '{"metric":{"a":"n"},"histograms":[[1794182400,{"count":"0"}],[1794182520,{"count":"1"}]]}'
    changing = row('[[1794182400,"1"]]', '[[1794182460,{}],[1794182520,{"b":[[1,"2"]]}]]')
    both = row('[[1794182460,"1"]]', "[[1794182460,{}]]")
    found = decode(native, changing, both)
    assert found.histograms.tolist() == [1, 1, 2]
    assert (found.metrics, found.malformed) == ([b'{"a":"x"}'] * 2, 0)


@pytest.mark.parametrize(
    "damaged",
    [
        "5", "null", '{"values":[]}', '{"metric":{}}', row("5"), row("{}"), row("[[1794182400]]"),
        row('[[1794182400,"x"]]'), row('[[1794182400,"1",2]]'), row('[[1794182400,"1"],[5]]'),
        row('[[1794182401,"1"]]'), row('[[1794182340,"1"]]'), row('[[1794182580,"1"]]'),
        row('[[1794182460,"1"],[1794182400,"1"]]'), row('[[1794182400,"1"],[1794182400,"2"]]'),
        row('[["NaN","1"]]'), row('[["Inf","1"]]'), row('[[1e300,"1"]]'), row('[[1794182400,null]]'),
        row('[[1794182400,"[1"]]'), row('[[1794182400,"1"]]', "7"), row('[[1794182400,"1"]]', "[[1,{}]]"),
        row("null"), row('"text"'), row("[1794182400]"), row('[[1794182400,"1_0"]]'),
    ],
)  # fmt: skip
def test_a_damaged_series_is_counted_and_the_others_are_used(damaged: str) -> None:
    """Times off the grid are damage too: the sample would belong to another instant."""
    found = decode(GOOD, damaged, GOOD)
    assert (found.metrics, found.malformed) == ([b'{"a":"good"}', b'{"a":"good"}'], 1)
    assert repr(found.values.tolist()) == "[[1.0, nan, 3.0], [1.0, nan, 3.0]]"
    assert found.histograms.tolist() == [0, 0, 0]


def test_a_series_without_samples_is_no_element() -> None:
    """It would not be in the answer of an instant query either."""
    found = decode(GOOD, row("[]"))
    assert (len(found.metrics), found.malformed) == (1, 0)


def test_an_empty_matrix_is_an_answer() -> None:
    """An element without any sample counts at all three instants."""
    found = decode()
    assert (found.metrics, found.values.shape, found.present.shape) == ([], (0, 3), (0, 3))


@pytest.mark.parametrize(
    ("more", "notes", "partial"),
    [(',"warnings":["w"]', ("w",), True), (',"infos":["i"]', ("i",), False), (',"isPartial":true', (), True),
     (',"warnings":"w"', ("w",), True), (',"warnings":["PromQL warning: w"]', ("PromQL warning: w",), False),
     (',"warnings":"PromQL info: w"', ("PromQL info: w",), False)],
)  # fmt: skip
def test_warnings_are_carried(more: str, notes: tuple[str, ...], partial: bool) -> None:
    """As with instant queries."""
    found = decode(GOOD, more=more)
    assert (found.notes, found.partial, len(found.metrics)) == (notes, partial, 1)


def test_a_moved_grid_is_an_error_and_not_silence() -> None:
    """A server that aligns the times itself would otherwise look as if no model had reported."""
    with pytest.raises(SourceError, match="did the server move its grid") as caught:
        decode(row('[[1794182430,"1"],[1794182490,"1"]]'))
    assert caught.value.reason == "not_prometheus"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"status":"success","data":{"resultType":"vector","result":[]}}', "not_prometheus"),
        (b'{"status":"success","data":{"resultType":"matrix","result":5}}', "not_prometheus"),
        (b'{"status":"error","errorType":"timeout","error":"late"}', "timeout"),
        (b'{"status":"succ', "network"),
    ],
)
def test_an_answer_that_is_no_matrix_is_a_source_error(body: bytes, reason: str) -> None:
    """No other exception is raised."""
    with pytest.raises(SourceError) as caught:
        matrix(body, GRID)
    assert caught.value.reason == reason
