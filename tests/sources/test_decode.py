"""Decoding of instant query results, intact or damaged."""

from __future__ import annotations

import math

import pytest

from bridge.domain.errors import SourceError
from bridge.sources.decode import LabelSets, samples


def vector(*elements: str, more: str = "") -> bytes:
    return f'{{"status":"success","data":{{"resultType":"vector","result":[{",".join(elements)}]}}{more}}}'.encode()


def series(value: str, version: int = 1) -> str:
    return f'{{"metric":{{"version":"{version}"}},"value":[1794182400.123,{value}]}}'


NATIVE = '{"metric":{"version":"9"},"histogram":[1794182400,{"count":"0","sum":"0"}]}'


def test_values_keep_their_meaning() -> None:
    """NaN and both infinities are samples like any other."""
    body = vector(*(series(f'"{text}"') for text in ("1.5", "NaN", "-Inf", "1e-9", "12345678901234567")))
    assert repr(samples(body).values.tolist()) == "[1.5, nan, -inf, 1e-09, 1.2345678901234568e+16]"


def test_plus_inf_is_a_number_wherever_it_stands() -> None:
    """Prometheus writes "+Inf", which is no JSON number; a label with that text is unchanged."""
    body = vector('{"metric":{"le":"+Inf"},"value":[1,"+Inf"]}', '{"metric":{}, "value": [ 2 , "+Inf" ] }')
    found = samples(body)
    assert found.values.tolist() == [math.inf, math.inf]
    assert found.metrics == [b'{"le":"+Inf"}', b"{}"]
    compact = samples(vector('{"metric":{"le":"+Inf"},"value":[1,"+Inf"]}'))
    assert (compact.values.tolist(), compact.metrics) == ([math.inf], [b'{"le":"+Inf"}'])


def test_label_sets_keep_their_bytes() -> None:
    """Escapes and order stay as the server wrote them: the bytes are the series' name."""
    body = vector(r'{"metric":{"b":"\u00e9\"","a":"x"},"value":[1,"2"]}')
    assert samples(body).metrics == [rb'{"b":"\u00e9\"","a":"x"}']


def test_the_same_label_sets_in_the_same_order_are_not_copied_again() -> None:
    """The list of the last answer is returned, with the values of this one."""
    first = samples(vector(series('"1"', 1), series('"2"', 2)))
    second = samples(vector(series('"3"', 1), series('"4"', 2)), LabelSets.of(first.metrics))
    assert second.metrics is first.metrics
    assert second.values.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("versions", [(2, 1), (1, 3), (1,), (1, 2, 3), ()])
def test_other_label_sets_than_the_last_ones_are_those_of_the_answer(versions: tuple[int, ...]) -> None:
    """Different order, different, fewer or more series: a value never gets the label set of another series."""
    before = LabelSets.of(samples(vector(series('"1"', 1), series('"2"', 2))).metrics)
    found = samples(vector(*(series(f'"{version}"', version) for version in versions)), before)
    assert found.metrics == [b'{"version":"%d"}' % version for version in versions]
    assert found.values.tolist() == [float(version) for version in versions]


def test_a_series_that_became_a_histogram_does_not_shift_the_others() -> None:
    """Elements without a number are left out before label sets are compared."""
    before = LabelSets.of(samples(vector(series('"1"', 1), series('"2"', 2))).metrics)
    found = samples(vector(NATIVE, series('"5"', 2)), before)
    assert (found.metrics, found.values.tolist()) == ([b'{"version":"2"}'], [5.0])


@pytest.mark.parametrize("strange", ["", '{"metric":{},"value":[1,"x"]}'])
def test_native_histograms_are_skipped_and_counted(strange: str) -> None:
    """They have no number to compare with a limit; also next to a damaged element."""
    found = samples(vector(series('"1"'), NATIVE, NATIVE, *([strange] if strange else [])))
    assert (found.values.tolist(), found.skipped["histogram"]) == ([1.0], 2)
    assert found.elements == 1 + sum(found.skipped.values())


@pytest.mark.parametrize(
    "damaged",
    [
        '{"metric":{}}', '{"value":[1,"2"]}', "5", "null", "[]", '"x"', '{"metric":{},"value":null}',
        '{"metric":{},"value":[1]}', '{"metric":{},"value":["a","2"]}', '{"metric":{},"value":{"a":1}}',
        '{"metric":{},"value":[1,"1_000"]}', '{"metric":{},"value":[1," 2"]}', '{"metric":{},"value":[1,""]}',
        '{"metric":{},"value":[1,["2"]]}', '{"metric":{},"value":[1,true]}', '{"metric":{},"value":"12"}',
    ],
)  # fmt: skip
def test_a_damaged_element_is_counted_and_the_others_are_used(damaged: str) -> None:
    """One damaged series does not invalidate the answer."""
    found = samples(vector(series('"1"', 1), damaged, series('"+Inf"', 2)))
    assert found.values.tolist() == [1.0, math.inf]
    assert found.metrics == [b'{"version":"1"}', b'{"version":"2"}']
    assert (dict(found.skipped), found.elements) == ({"malformed": 1}, 3)


@pytest.mark.parametrize(
    "element", ['{"metric":{},"value":[1,"2",3],"new":[]}', '{"new":{},"value":[1,"2"],"metric":{}}']
)
def test_keys_of_later_versions_are_ignored(element: str) -> None:
    """Fields added by a newer server are ignored."""
    assert samples(vector(element, more=',"stats":{}')).values.tolist() == [2.0]


@pytest.mark.parametrize(
    ("more", "notes", "partial"),
    [
        ("", (), False),
        (',"warnings":[],"infos":[]', (), False),
        (',"warnings":["store down"]', ("store down",), True),
        (',"infos":["metric might not be a counter"]', ("metric might not be a counter",), False),
        (',"warnings":["w"],"infos":["i"]', ("w", "i"), True),
        (',"warnings":["PromQL info: no counter"]', ("PromQL info: no counter",), False),
        (',"warnings":["PromQL warning: a","PromQL info: b"]', ("PromQL warning: a", "PromQL info: b"), False),
        (',"warnings":["PromQL info: a","store down"]', ("PromQL info: a", "store down"), True),
        (',"warnings":["a PromQL info: b"]', ("a PromQL info: b",), True),
        (',"warnings":"PromQL info: a"', ("PromQL info: a",), False),
        (',"warnings":["PromQL info: a"],"isPartial":true', ("PromQL info: a",), True),
        (',"isPartial":true', (), True),
        (',"isPartial":false', (), False),
        (',"warnings":null,"infos":null', (), False),
        (',"warnings":"w"', ("w",), True),
        (',"warnings":[5]', ("(a note that is not a string)",), True),
    ],
)
def test_warnings_make_an_answer_partial_and_infos_do_not(more: str, notes: tuple[str, ...], partial: bool) -> None:
    """Warnings are the only sign of a truncated answer; VictoriaMetrics has a flag for it."""
    found = samples(vector(series('"1"'), more=more))
    assert (found.notes, found.partial, found.values.tolist()) == (notes, partial, [1.0])


@pytest.mark.parametrize(
    ("body", "reason", "says"),
    [
        (b"", "not_prometheus", "not JSON"),
        (b"OK\n", "not_prometheus", "begins with 'OK'"),
        (b'{"status":"success","data":{"resultTy', "network", "truncated"),
        (b'{"status":"success","data":{"resultType":"vector","result":[]}} x', "network", "truncated"),
        (b"[1]", "not_prometheus", "not from Prometheus"),
        (b"{}", "not_prometheus", "no usable `data`"),
        (b'{"status":"success","data":[]}', "not_prometheus", "no usable `data`"),
        (b'{"status":"success","data":{"result":[]}}', "not_prometheus", "no status"),
        (b'{"data":{"resultType":"vector","result":[]}}', "not_prometheus", "no status"),
        (b'{"status":"success","data":{"resultType":"streams","result":[]}}', "not_prometheus", "'streams'"),
        (b'{"status":"success","data":{"resultType":"vector","result":{}}}', "not_prometheus", "is not a list"),
        (b'{"status":"success","data":{"resultType":"vector"}}', "not_prometheus", "is not a list"),
        (b'{"status":"error","errorType":"execution","error":"boom"}', "execution", "boom"),
        (b'{"status":"error","errorType":"new kind","error":"boom","data":{}}', "internal", "boom"),
        (b'{"status":"error"}', "internal", "None"),
        (b'{"a":' * 5000, "network", "damaged"),
    ],
)
def test_an_invalid_answer_is_a_source_error(body: bytes, reason: str, says: str) -> None:
    """No other exception is raised, and the reason distinguishes a wrong URL from a broken connection."""
    with pytest.raises(SourceError, match=says) as caught:
        samples(body)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("result", "values", "skipped"),
    [
        ('[1,"2.5"]', [2.5], {}),
        ('[1,"+Inf"]', [math.inf], {}),
        ("[1]", [], {"malformed": 1}),
        ("7", [], {"malformed": 1}),
    ],
)
def test_a_scalar_is_one_element_without_labels(result: str, values: list[float], skipped: dict[str, int]) -> None:
    """A damaged scalar is skipped and counted like an element of a vector."""
    found = samples(f'{{"status":"success","data":{{"resultType":"scalar","result":{result}}}}}'.encode())
    assert (found.values.tolist(), dict(found.skipped), found.elements, found.labelled) == (values, skipped, 1, False)


def test_a_string_that_is_a_number_is_used_as_one() -> None:
    """A string literal such as "0.5" can stand for a model's value when constants name the model."""
    found = samples(b'{"status":"success","data":{"resultType":"string","result":[1,"0.5"]}}')
    assert (found.values.tolist(), found.labelled) == ([0.5], False)
