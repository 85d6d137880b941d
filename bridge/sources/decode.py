"""Decoder of instant query results: one pass of typed JSON decoding, no Python object per label or series.

Damage is contained: an answer that does not decode as a whole is decoded element by element, and the elements that
fail are counted. elements = used + skipped, always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import is_
from typing import Any, TypeVar

import msgspec
import numpy as np

from bridge.domain.errors import SourceError
from bridge.domain.verdict import Floats
from bridge.net.memory import LARGE
from bridge.sources.failures import UNREADABLE, broken_answer, not_prometheus, of_error_type

T = TypeVar("T")
MOST_SERIES = 1_000_000
HISTOGRAM, MALFORMED = "histogram", "malformed"
ENGINE_NOTES = ("PromQL info:", "PromQL warning:")
_PLUS_INF, _INF = b',"+Inf"]', b',"Inf"]'  # inside JSON only a value: in a string its quotes would be escaped
_RESULT, _BORDER = b'"result":[', b'},{"metric":'  # likewise: the unescaped quotes cannot stand in a string
PIECE = 1 << 20  # bytes of a large answer that are decoded at a time


class _Point(msgspec.Struct, array_like=True, gc=False):
    at: float
    value: float


class _Element(msgspec.Struct, gc=False):
    metric: msgspec.Raw
    value: _Point | None = None
    histogram: msgspec.Raw = msgspec.Raw()


class _TextElement(msgspec.Struct, gc=False):
    metric: msgspec.Raw
    value: tuple[float, str]


class _VectorData(msgspec.Struct, gc=False, rename="camel"):
    result_type: str
    result: list[_Element]


class _VectorAnswer(msgspec.Struct, gc=False, rename="camel"):
    status: str
    data: _VectorData
    warnings: list[str] = []
    infos: list[str] = []
    is_partial: bool = False


class _AnyAnswer(msgspec.Struct, rename="camel"):
    status: Any = None
    data: msgspec.Raw = msgspec.Raw()
    error_type: Any = None
    error: Any = None
    warnings: Any = None
    infos: Any = None
    is_partial: Any = None


class _AnyData(msgspec.Struct, rename="camel"):
    result_type: Any = None
    result: msgspec.Raw = msgspec.Raw()


# lax: numbers in strings, as Prometheus writes values (accepts "NaN" and "-Inf", but not "+Inf")
_fast = msgspec.json.Decoder(_VectorAnswer, strict=False)
_element = msgspec.json.Decoder(_Element, strict=False)
_text_element = msgspec.json.Decoder(_TextElement)
_any_answer = msgspec.json.Decoder(_AnyAnswer)
_any_data = msgspec.json.Decoder(_AnyData)
_elements = msgspec.json.Decoder(list[msgspec.Raw])
_fast_elements = msgspec.json.Decoder(list[_Element], strict=False)
_single = msgspec.json.Decoder(tuple[float, str])


@dataclass(slots=True)
class Samples:
    """Samples of one instant, in the answer's order.

    metrics: label sets as received (JSON objects in bytes), one for each of `values`, float64 (k,).
    labelled: False for a scalar or string, which belong to no series. notes: the server's warnings and infos.
    partial: the server warned that data is missing, or marked the answer as partial.
    elements = len(metrics) + sum of `skipped`.
    natives: label sets and [time, histogram] of the native histograms, which are counted in `skipped`.
    """

    metrics: list[bytes]
    values: Floats
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    partial: bool = False
    labelled: bool = True
    elements: int = 0
    natives: list[tuple[bytes, msgspec.Raw]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LabelSets:
    """Label sets of an earlier answer, in its order. raws: the same bytes as Raw, which the decoder's compare with."""

    metrics: list[bytes]
    raws: list[msgspec.Raw]

    @staticmethod
    def of(metrics: list[bytes]) -> LabelSets:
        """Return the label sets with their Raw views."""
        return LabelSets(metrics, [msgspec.Raw(metric) for metric in metrics])


@dataclass(slots=True)
class Envelope:
    """Answer whose result is not decoded yet. kind: its resultType."""

    kind: str
    result: msgspec.Raw
    notes: tuple[str, ...]
    partial: bool


def samples(body: bytes, before: LabelSets | None = None) -> Samples:
    """Decode the body of /api/v1/query.

    Raises SourceError: `bad_data` for a range vector, `not_prometheus` for what no Prometheus sends, `network` for
    truncated JSON.

    before: label sets of the last answer; if they are unchanged, `metrics` is the same list and nothing is copied.
    """
    if len(body) >= LARGE and (result := _in_pieces(body, before)) is not None:
        return result
    refuse_many(body)
    answer = _decoded(_fast, body)
    if answer is None or answer.status != "success" or answer.data.result_type != "vector":
        return _piecewise(body)
    return _of_elements(answer.data.result, _notes(answer), _partial(answer), 0, before)


def refuse_many(body: bytes) -> None:
    """Raise SourceError `limit` for a large answer with too many series, before decoding takes the memory."""
    many = body.count(b'"metric":') if len(body) >= LARGE else 0
    if many > MOST_SERIES:
        text = f"the answer holds about {many} series, more than {MOST_SERIES}; aggregate by the labels of the model"
        raise SourceError(text, reason="limit", transient=False)


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T | None:
    """Return the body decoded in one go; None when anything in it is unusual."""
    try:
        return decoder.decode(body)
    except UNREADABLE:
        plain = body.replace(_PLUS_INF, _INF)
    try:
        return decoder.decode(plain) if len(plain) < len(body) else None
    except UNREADABLE:
        return None


def _notes(answer: _VectorAnswer) -> tuple[str, ...]:
    return tuple(answer.warnings + answer.infos)


def _partial(answer: _VectorAnswer) -> bool:
    return is_partial(answer.warnings) or answer.is_partial


def _in_pieces(body: bytes, before: LabelSets | None) -> Samples | None:
    """Decode a large answer a piece at a time, so that few of its elements exist at once; None for anything unusual."""
    begin = start = body.find(_RESULT) + len(_RESULT)
    if start < len(_RESULT):
        return None
    total, values, view = Samples([], np.empty(0)), [], memoryview(body)
    while (end := body.find(_BORDER, begin + PIECE) + 1) > 0:
        elements = _decoded(_fast_elements, b"".join((b"[", view[begin:end], b"]")))
        if elements is None:
            return None
        values.append(_add(total, elements, before))
        if total.elements > MOST_SERIES:
            refuse_many(body)
        begin = end + 1
    if len(body) - begin >= LARGE:  # no border was found
        refuse_many(body)
    rest = _decoded(_fast, body[:start] + body[begin:])
    if rest is None or rest.status != "success" or rest.data.result_type != "vector":
        return None
    values.append(_add(total, rest.data.result, before))
    if total.elements > MOST_SERIES:
        refuse_many(body)
    total.values, total.notes, total.partial = np.concatenate(values), _notes(rest), _partial(rest)
    if (
        before is not None
        and len(before.metrics) == len(total.metrics)
        and all(map(is_, before.metrics, total.metrics))
    ):
        total.metrics = before.metrics
    return total


def _add(total: Samples, elements: list[_Element], before: LabelSets | None) -> Floats:
    """Add a piece to everything of `total` but the values, which are returned."""
    known = None
    if before is not None:
        here = slice(len(total.metrics), len(total.metrics) + len(elements))
        known = LabelSets(before.metrics[here], before.raws[here])
    piece = _of_elements(elements, (), False, 0, known)
    total.metrics += piece.metrics
    total.natives += piece.natives
    total.elements += piece.elements
    total.skipped = Counter(total.skipped) + Counter(piece.skipped)
    return piece.values


def _of_elements(
    elements: list[_Element], notes: tuple[str, ...], partial: bool, malformed: int, before: LabelSets | None = None
) -> Samples:
    skipped = {MALFORMED: malformed} if malformed else {}
    natives: list[tuple[bytes, msgspec.Raw]] = []
    try:
        values = np.array([element.value.value for element in elements], np.float64)  # type: ignore[union-attr]
        usable = elements
    except AttributeError:
        usable = [element for element in elements if element.value is not None]
        values = np.array([element.value.value for element in usable], np.float64)  # type: ignore[union-attr]
        others = (element for element in elements if element.value is None and bytes(element.histogram))
        natives = [(bytes(element.metric), element.histogram) for element in others]
        skipped |= {HISTOGRAM: len(natives)} if natives else {}
        empty = len(elements) - len(usable) - len(natives)
        skipped |= {MALFORMED: malformed + empty} if empty else {}
    count = len(elements) + malformed
    raws = [element.metric for element in usable]
    usable.clear()
    elements.clear()  # before the label sets are copied: a large answer would not fit in memory twice
    metrics = before.metrics if before is not None and raws == before.raws else list(map(bytes, raws))
    return Samples(metrics, values, skipped, notes, partial, elements=count, natives=natives)


# ------------------------------------------------------------ the slow path


def envelope(body: bytes) -> Envelope:
    """Decode status, result type, warnings and infos of an answer, but not its result. Raises SourceError."""
    try:
        answer = _any_answer.decode(body)
    except msgspec.ValidationError:
        raise not_prometheus("the answer is JSON, but not from Prometheus' API") from None
    except UNREADABLE as error:
        if body.lstrip()[:1] != b"{":
            shown = " ".join(body[:60].decode(errors="replace").split())
            raise not_prometheus(f"the answer is not JSON; it begins with {shown!r}") from None
        raise broken_answer(f"the answer is truncated or damaged: {error}") from None
    if answer.status == "error":
        raise of_error_type(str(answer.error_type), str(answer.error))
    try:
        data = _any_data.decode(answer.data)
    except UNREADABLE:
        raise not_prometheus("the answer has no usable `data`") from None
    if answer.status != "success" or not isinstance(data.result_type, str):
        raise not_prometheus("the answer has no status or no result type")
    warnings, infos = _texts(answer.warnings), _texts(answer.infos)
    return Envelope(data.result_type, data.result, warnings + infos, is_partial(warnings) or answer.is_partial is True)


def raw_elements(answer: Envelope) -> list[msgspec.Raw]:
    """Return the elements of the result, not decoded yet. Raises SourceError when the result is not a list."""
    try:
        return _elements.decode(answer.result)
    except UNREADABLE:
        raise not_prometheus(f"the {answer.kind} in the answer is not a list") from None


def is_partial(warnings: Iterable[str]) -> bool:
    """Return whether any warning reports missing data, rather than being an annotation of the query engine.

    Thanos, and Prometheus before it had `infos`, send annotations as warnings too.
    """
    return not all(text.lstrip().startswith(ENGINE_NOTES) for text in warnings)


def _texts(field_value: Any) -> tuple[str, ...]:
    """Return warnings or infos as strings, whatever their form; () only when the field is empty."""
    if not field_value:
        return ()
    texts = field_value if isinstance(field_value, list) else [field_value]
    return tuple(text if isinstance(text, str) else "(a note that is not a string)" for text in texts)


def _piecewise(body: bytes) -> Samples:
    answer = envelope(body)
    match answer.kind:
        case "vector":
            decoded = [_one(element) for element in raw_elements(answer)]
            good = [element for element in decoded if element is not None]
            return _of_elements(good, answer.notes, answer.partial, len(decoded) - len(good))
        case "scalar" | "string":
            return _single_value(answer)
        case "matrix":
            text = "the expression is a range vector; wrap it in a function such as last_over_time(...)"
            raise of_error_type("bad_data", text)
        case _:
            raise not_prometheus(f"the answer's result type is {answer.kind[:40]!r}")


def _one(raw: msgspec.Raw) -> _Element | None:
    """Decode one element, in any form a number can be written; None when it is damaged."""
    try:
        return _element.decode(raw)
    except UNREADABLE:
        pass
    try:
        text = _text_element.decode(raw)
        return _Element(text.metric, _Point(text.value[0], number(text.value[1])))
    except (*UNREADABLE, ValueError):
        return None


def number(text: str) -> float:
    """Parse a sample value as Prometheus writes it. Raises ValueError for anything else, such as Python's "1_0"."""
    if "_" in text or text != text.strip():
        raise ValueError(text)
    return float(text) + 0.0  # -0 becomes 0, as on the fast path


def _single_value(answer: Envelope) -> Samples:
    try:
        values = [number(_single.decode(answer.result)[1])]
    except UNREADABLE:
        values = []
    except ValueError:
        raise of_error_type("bad_data", "the expression is a string, not a number") from None
    skipped = {} if values else {MALFORMED: 1}
    metrics = [b"{}"] * len(values)
    array = np.array(values, np.float64)
    return Samples(metrics, array, skipped, answer.notes, answer.partial, labelled=False, elements=1)
