"""Functions that Go's text/template predefines."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from bridge.templates import fmt
from bridge.templates.errors import CallError
from bridge.templates.values import ANY, STRING, Function, Sample, Zero, is_true, type_name

_NO_COMPARISON = "missing argument for comparison"
_BAD_TYPE = "invalid type for comparison"
_INCOMPATIBLE = "incompatible types for comparison"


def _basic_kind(value: Any) -> str:
    """Return the kind under which values compare; "" where they do not."""
    kinds = ((bool, "bool"), (int, "int"), (float, "float"), (str, "string"))
    return next((kind for known, kind in kinds if isinstance(value, known)), "")


def equal(first: Any, *others: Any) -> bool:
    """Return whether the first argument equals any of the others."""
    if isinstance(first, Mapping | list):
        raise CallError(f"non-comparable type {fmt.show(first)}: {type_name(first)}")
    if not others:
        raise CallError(_NO_COMPARISON)
    kind = _basic_kind(first)
    for other in others:
        if kind != _basic_kind(other):
            if first is not None and other is not None:
                raise CallError(_INCOMPATIBLE)
            continue
        if isinstance(other, Mapping | list):
            raise CallError(f"non-comparable type {fmt.show(other)}: {type_name(other)}")
        if first == other:
            return True
    return False


def not_equal(first: Any, second: Any) -> bool:
    """Return whether two arguments differ."""
    return not equal(first, second)


def less(first: Any, second: Any) -> bool:
    """Return whether the first argument is less than the second."""
    kind = _basic_kind(first)
    if not kind or not _basic_kind(second):
        raise CallError(_BAD_TYPE)
    if kind != _basic_kind(second):
        raise CallError(_INCOMPATIBLE)
    if kind == "bool":
        raise CallError(_BAD_TYPE)
    found: bool = first.encode() < second.encode() if kind == "string" else first < second
    return found


def less_or_equal(first: Any, second: Any) -> bool:
    """Return whether the first argument is less than or equal to the second."""
    return less(first, second) or equal(first, second)


def greater(first: Any, second: Any) -> bool:
    """Return whether the first argument is greater than the second."""
    return not less_or_equal(first, second)


def greater_or_equal(first: Any, second: Any) -> bool:
    """Return whether the first argument is greater than or equal to the second."""
    return not less(first, second)


def index(item: Any, *keys: Any) -> Any:
    """Return an element of a map, a list or a string, step by step."""
    if item is None or isinstance(item, Zero):
        raise CallError("index of untyped nil")
    for key in keys:
        item = _element(item, key)
    return item


def _element(item: Any, key: Any) -> Any:
    if isinstance(item, Mapping):
        if not isinstance(key, str):
            if key is None:
                raise CallError("value is nil; should be of type string")
            raise CallError(f"value has type {type_name(key)}; should be string")
        return item.get(key, "" if type_name(item) == "map[string]string" else None)
    if isinstance(item, list | str):
        data: Any = item.encode() if isinstance(item, str) else item
        try:
            return data[_position(key, len(data), len(data) - 1)]
        except CallError as error:
            raise CallError(
                str(error).replace("reflect: slice", "reflect: string") if isinstance(item, str) else str(error)
            ) from None
    raise CallError(f"can't index item of type {type_name(item)}")


def _position(key: Any, length: int, last: int) -> int:
    if key is None:
        raise CallError("cannot index slice/array with nil")
    if isinstance(key, bool) or not isinstance(key, int):
        raise CallError(f"cannot index slice/array with type {type_name(key)}")
    if not 0 <= key <= length:
        raise CallError(f"index out of range: {key}")
    if key > last:
        raise CallError("reflect: slice index out of range")
    return key


def slice_(item: Any, *ends: Any) -> Any:
    """Return a part of a list or a string."""
    if item is None:
        raise CallError("slice of untyped nil")
    if len(ends) > 3:
        raise CallError(f"too many slice indexes: {len(ends)}")
    if not isinstance(item, list | str):
        raise CallError(f"can't slice item of type {type_name(item)}")
    if isinstance(item, str) and len(ends) == 3:
        raise CallError("cannot 3-index slice a string")
    data: Any = item.encode() if isinstance(item, str) else item
    places = [_position(end, len(data), len(data)) for end in ends]
    first, last = (places + [0, len(data)][len(places) :])[:2] if len(places) < 2 else places[:2]
    if first > last:
        raise CallError(f"invalid slice index: {first} > {last}")
    part = data[first:last]
    return part.decode("utf-8", "replace") if isinstance(item, str) else type(item)(part)


def length(item: Any) -> int:
    """Return the number of elements, or of bytes of a string."""
    if isinstance(item, str):
        return len(item.encode())
    if isinstance(item, Mapping | list):
        return len(item)
    if item is None:
        raise CallError("len of nil pointer")
    raise CallError(f"len of type {type_name(item)}")


def _all_text(values: tuple[Any, ...]) -> str:
    return values[0] if len(values) == 1 and isinstance(values[0], str) else fmt.sprint(values)


def html_escape(*values: Any) -> str:
    """Return the values as text that is safe in HTML."""
    text = html.escape(_all_text(values), quote=True)
    return text.replace("&quot;", "&#34;").replace("&#x27;", "&#39;").replace("\0", "\ufffd")


def js_escape(*values: Any) -> str:
    """Return the values as text that is safe in a JavaScript string."""
    simple = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}

    def shown(char: str) -> str:
        return simple.get(char) or (char if char.isprintable() else f"\\u{ord(char):04X}")

    return "".join(map(shown, _all_text(values)))


def url_query_escape(*values: Any) -> str:
    """Return the values as text that is safe in a query of a URL."""
    return quote_plus(_all_text(values), safe="~")


def call(function: Any, *_: Any) -> Any:
    """Refuse: no value of an alert is a function."""
    if function is None:
        raise CallError("call of nil")
    raise CallError(f"non-function of type {type_name(function)}")


# and, or: the evaluator stops at the first argument that decides.
BUILTINS: Mapping[str, Function] = {
    "and": Function(lambda *values: values[-1], (ANY,), ANY),
    "or": Function(lambda *values: values[-1], (ANY,), ANY),
    "not": Function(lambda value: not is_true(value), (ANY,)),
    "eq": Function(equal, (ANY,), ANY),
    "ne": Function(not_equal, (ANY, ANY)),
    "lt": Function(less, (ANY, ANY)),
    "le": Function(less_or_equal, (ANY, ANY)),
    "gt": Function(greater, (ANY, ANY)),
    "ge": Function(greater_or_equal, (ANY, ANY)),
    "index": Function(index, (ANY,), ANY),
    "slice": Function(slice_, (ANY,), ANY),
    "len": Function(length, (ANY,)),
    "print": Function(lambda *values: fmt.sprint(values), (), ANY),
    "println": Function(lambda *values: fmt.sprintln(values), (), ANY),
    "printf": Function(lambda form, *values: fmt.sprintf(form, values), (STRING,), ANY),
    "html": Function(html_escape, (), ANY),
    "js": Function(js_escape, (), ANY),
    "urlquery": Function(url_query_escape, (), ANY),
    "call": Function(call, (ANY,), ANY),
}


def printable(value: Any) -> str:
    """Return a value as an action prints it."""
    if value is None or isinstance(value, Zero):
        return "<no value>"
    return fmt.show_struct(value) if isinstance(value, Sample) else fmt.show(value)
