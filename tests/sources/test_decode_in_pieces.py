"""Large answers, decoded a piece at a time, give what decoding them whole gives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.errors import SourceError
from bridge.domain.verdict import Floats
from bridge.sources import decode
from bridge.sources.decode import LabelSets, Samples

HISTOGRAM = {"count": "3", "sum": "1.5", "buckets": [[0, "0", "1", "3"]]}
NUMBERS = st.sampled_from(["0", "0.25", "-Inf", "+Inf", "NaN", "1e300", "-0"])
NAMES = st.sampled_from(["m", 'a"b', '},{"metric":', '"result":[', "ü\n", '],"x":{}}'])
ELEMENTS = st.lists(
    st.one_of(
        st.builds(lambda name, number: {"metric": {"model": name}, "value": [1.5, number]}, NAMES, NUMBERS),
        st.builds(lambda name: {"metric": {"model": name}, "histogram": [1.5, HISTOGRAM]}, NAMES),
        st.just({"metric": {}}),
    ),
    max_size=12,
)


def body(elements: list[Any], **more: Any) -> bytes:
    """Return a vector answer without spaces, as Prometheus writes it."""
    data = {"resultType": "vector", "result": elements}
    return json.dumps({"status": "success", "data": data, **more}, separators=(",", ":")).encode()


def content(found: Samples) -> tuple[object, ...]:
    natives = [(metric, bytes(histogram)) for metric, histogram in found.natives]
    return (found.metrics, found.values.tolist().__repr__(), dict(found.skipped), found.notes, found.partial,
            found.elements, found.labelled, natives)  # fmt: skip


def in_pieces(monkeypatch: pytest.MonkeyPatch, text: bytes, before: LabelSets | None = None) -> Samples:
    """Decode with a piece for each element."""
    with monkeypatch.context() as patch:
        patch.setattr(decode, "LARGE", 0)
        patch.setattr(decode, "PIECE", 1)
        return decode.samples(text, before)


@given(ELEMENTS, st.sampled_from([{}, {"warnings": ["a store is down"]}, {"infos": ["note"]}, {"isPartial": True}]))
def test_pieces_give_what_the_whole_gives(elements: list[Any], more: dict[str, Any]) -> None:
    text = body(elements, **more)
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert content(in_pieces(monkeypatch, text)) == content(decode.samples(text))


@pytest.mark.parametrize("damage", [{"value": [1, "x"]}, {"metric": {}, "value": 3}, "text", 7])
def test_a_damaged_element_is_counted_wherever_it_stands(monkeypatch: pytest.MonkeyPatch, damage: object) -> None:
    good: list[Any] = [{"metric": {"model": str(number)}, "value": [1, "2"]} for number in range(4)]
    for place in range(5):
        text = body([*good[:place], damage, *good[place:]])
        found = in_pieces(monkeypatch, text)
        assert content(found) == content(decode.samples(text))
        assert found.skipped == {decode.MALFORMED: 1}


def test_unchanged_label_sets_are_the_same_list(monkeypatch: pytest.MonkeyPatch) -> None:
    text = body([{"metric": {"model": str(number)}, "value": [1, "2"]} for number in range(5)])
    before = LabelSets.of(in_pieces(monkeypatch, text).metrics)
    assert in_pieces(monkeypatch, text, before).metrics is before.metrics
    longer = body([{"metric": {"model": str(number)}, "value": [1, "2"]} for number in range(6)])
    assert in_pieces(monkeypatch, longer, before).metrics == [*before.metrics, b'{"model":"5"}']


def test_a_large_answer_is_decoded_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: the comparisons above would also hold if no answer was ever cut."""
    cut: list[int] = []
    add = decode._add

    def counted(total: Samples, elements: list[decode._Element], before: LabelSets | None) -> Floats:
        cut.append(len(elements))
        return add(total, elements, before)

    monkeypatch.setattr(decode, "_add", counted)
    in_pieces(monkeypatch, body([{"metric": {"model": str(number)}, "value": [1, "2"]} for number in range(5)]))
    assert cut == [1, 1, 1, 1, 1]


def test_pieces_with_too_many_series_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the rest is decoded."""
    monkeypatch.setattr(decode, "MOST_SERIES", 3)
    few, many = (body([{"metric": {}, "value": [1, "2"]}] * count) for count in (3, 5))
    assert in_pieces(monkeypatch, few).elements == 3
    with pytest.raises(SourceError, match="about 5 series, more than 3"):
        in_pieces(monkeypatch, many)


def test_one_series_too_many_in_the_last_piece_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MOST_SERIES", 3)
    with pytest.raises(SourceError, match="about 4 series, more than 3"):
        in_pieces(monkeypatch, body([{"metric": {}, "value": [1, "2"]}] * 4))


def test_too_many_series_that_cannot_be_cut_are_refused_before_they_are_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Elements of a server that writes the value first have no border."""
    monkeypatch.setattr(decode, "MOST_SERIES", 3)
    monkeypatch.setattr(decode, "_decoded", lambda *_: pytest.fail("decoded"))
    with pytest.raises(SourceError, match="about 4 series, more than 3"):
        in_pieces(monkeypatch, body([{"value": [1, "2"], "metric": {}}] * 4))
