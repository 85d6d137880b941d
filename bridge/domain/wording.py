"""Messages about wrong values in plain words: near misses, kinds of values, findings of the validator."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

_TEXT, _LIST, _MAPPING = "must be text", "must be a list", "must be a mapping"
_FLAG, _WHOLE, _NUMBER = "must be true or false", "must be a whole number", "must be a number"
WANTED = {
    "string_type": _TEXT, "list_type": _LIST, "tuple_type": _LIST, "set_type": _LIST, "frozen_set_type": _LIST,
    "dict_type": _MAPPING, "mapping_type": _MAPPING, "model_type": _MAPPING, "model_attributes_type": _MAPPING,
    "bool_type": _FLAG, "bool_parsing": _FLAG, "int_type": _WHOLE, "int_from_float": _WHOLE, "int_parsing": _WHOLE,
    "float_type": _NUMBER, "float_parsing": _NUMBER,
}  # fmt: skip
_LIMITS = {
    "greater_than": ("must be more than", "gt"), "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be less than", "lt"), "less_than_equal": ("must be at most", "le"),
}  # fmt: skip
_LENGTHS = {
    "string_too_short": ("at least", "min_length", "character"), "too_short": ("at least", "min_length", "entry"),
    "string_too_long": ("at most", "max_length", "character"), "too_long": ("at most", "max_length", "entry"),
}  # fmt: skip
_PLAIN = {
    "missing": "is missing", "extra_forbidden": "is unknown", "string_pattern_mismatch": "must match {pattern}",
    "json_invalid": "is not JSON: {error}", "value_error": "{error}", "assertion_error": "{error}",
}  # fmt: skip
_SHOULD = re.compile(
    r"^(?:input|string|value|list|tuple|set|dictionary|url|datetime|date|time) should\b", re.IGNORECASE
)
_MOST_SHOWN = 40  # characters of a wrong value


def near(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known word, or all of them when none is near and they are few."""
    names = sorted(known)
    found = difflib.get_close_matches(word, names, 1, 0.6)
    if found:
        return f"did you mean {found[0]!r}?"
    return f"known are: {', '.join(names)}" if 0 < len(names) <= 20 else ""


def kind(value: object) -> str:
    """Return the kind of a value in words."""
    if value is None:
        return "nothing"
    words = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return next((word for type_, word in words.items() if isinstance(value, type_)), type(value).__name__)


def finding(details: Mapping[str, Any], name: str, given: str = "") -> tuple[str, str]:
    """Return what is wrong with a value, and a hint, "" without one.

    details: finding of pydantic, an element of ValidationError.errors().
    name: key or parameter of the value.
    given: the value in words; by default its kind.
    """
    type_, value = details["type"], details.get("input")
    if type_ in WANTED:
        given = given or kind(value)
        if type_.endswith("_parsing") and isinstance(value, str) and value:
            given = repr(value[:_MOST_SHOWN])
        return f"{WANTED[type_]}, not {given}", ""
    if type_ in {"literal_error", "enum"}:
        return _not_one_of(value, str(details["ctx"]["expected"]), name)
    return _broken_rule(type_, str(details["msg"]), details.get("ctx", {})), ""


def sentence(details: Mapping[str, Any], name: str) -> str:
    """Return a finding with its hint. details, name: as for `finding`."""
    text, hint = finding(details, name)
    return f"{text}; {hint}" if hint else text


def _broken_rule(type_: str, message: str, context: Mapping[str, Any]) -> str:
    """Return which rule a value of the right type breaks. message, context: of the validator."""
    if type_ in _LIMITS:
        words, key = _LIMITS[type_]
        return f"{words} {context[key]}"
    if type_ in _LENGTHS:
        return _length(type_, context)
    if type_ in _PLAIN:
        return _PLAIN[type_].format_map(context)
    text = _SHOULD.sub("must", message)
    return f"{text[:1].lower()}{text[1:]}"


def _length(type_: str, context: Mapping[str, Any]) -> str:
    words, key, unit = _LENGTHS[type_]
    number = context[key]
    if number == 1 and key == "min_length":
        return "must not be empty"
    units = unit if number == 1 else {"character": "characters", "entry": "entries"}[unit]
    return f"must have {words} {number} {units}"


def _not_one_of(given: object, expected: str, name: str) -> tuple[str, str]:
    # pydantic writes 'a', 'b' or 'c'
    known = [word.strip("' ") for word in expected.replace(" or ", ",").split(",") if word.strip("' ")]
    if isinstance(given, str):
        return f"unknown {name} {given[:_MOST_SHOWN]!r}", near(given, known)
    return f"must be one of {', '.join(known)}, not {kind(given)}", ""
