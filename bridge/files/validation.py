"""Strict validation of values against pydantic models: every problem is noted, and what is valid is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from bridge.domain.times import DAY, DURATION_PATTERN, format_duration, parse_duration
from bridge.domain.wording import kind
from bridge.files.wording import note, note_empty, where
from bridge.files.yaml import Document, KeyPath

M = TypeVar("M", bound=BaseModel)
S = TypeVar("S", bound="Section")
LONGEST = 100 * 365 * DAY


class Section(BaseModel):
    """A mapping of a file.

    not_built: planned keys; they are refused with that reason, not as unknown.
    elsewhere: keys of Prometheus and Alertmanager that mean nothing here -> what to do instead.
    may_be_empty: keys without a value that count as absent in lenient documents.
    stand_ins: values for required keys that are missing or wrong, so that the rest can be checked all the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    not_built: ClassVar[frozenset[str]] = frozenset()
    elsewhere: ClassVar[Mapping[str, str]] = MappingProxyType({})
    may_be_empty: ClassVar[frozenset[str]] = frozenset()
    stand_ins: ClassVar[Mapping[str, Any]] = MappingProxyType({})


def fixed(**values: Any) -> Mapping[str, Any]:
    """Return a read-only mapping for Section.elsewhere and Section.stand_ins."""
    return MappingProxyType(values)


def _duration(value: object) -> int:
    duration = _any_duration(value)
    if duration > LONGEST:
        raise ValueError("is longer than 100 years")
    return duration


def _any_duration(value: object) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool) and value != 0:
        raise ValueError(f"must be a duration with a unit, not the number {value}: write {value}s if seconds are meant")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        # ValueError, also for a wrong type: that is what pydantic expects from a validator.
        raise ValueError(f"must be a duration such as 30s, 5m or 1h30m, not {kind(value)}")  # noqa: TRY004
    if str(value).startswith("-"):
        raise ValueError(f"must not be negative: {value}")
    return parse_duration(str(value) if isinstance(value, str) else "0")


def _positive(value: int) -> int:
    if value <= 0:
        raise ValueError("must be more than 0")
    return value


_SHOWN = PlainSerializer(format_duration, return_type=str, when_used="json")
_SCHEMA = WithJsonSchema(
    {"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"enum": [0, "0"]}]},
    mode="validation",
)
DurationField = Annotated[int, BeforeValidator(_duration), _SHOWN, _SCHEMA]
LongDurationField = Annotated[int, BeforeValidator(_any_duration), _SHOWN, _SCHEMA]  # as long as Prometheus holds
PositiveDurationField = Annotated[int, BeforeValidator(_duration), AfterValidator(_positive), _SHOWN, _SCHEMA]


def checked(
    model: type[M], value: object, document: Document, path: KeyPath, context: Mapping[str, Any] | None = None
) -> M | None:
    """Return `value` as `model`, or None with every problem noted in `document`. context: for its validators."""
    return _validated(model, value, document, path, context)[0]


def salvaged(model: type[S], value: object, document: Document, path: KeyPath) -> S | None:
    """Return `value` as `model`, without what is wrong, and with stand-ins where keys are required.

    None: nothing could be saved. The problems are noted in either case, so the result must not be put in force.
    """
    found, wrong, value = _validated(model, value, document, path)
    if found is not None or not isinstance(value, Mapping):
        return found
    rest = {**model.stand_ins, **_without(value, [where[len(path) :] for where in wrong])}
    try:
        return _model(model, rest)
    except ValidationError as error:
        # what is left of a section lacks a required key
        damaged = {str(details["loc"][0]) for details in error.errors(include_url=False) if details["loc"]}
    rest = {key: item for key, item in rest.items() if key not in damaged}
    try:
        return _model(model, {**rest, **{key: model.stand_ins[key] for key in damaged & model.stand_ins.keys()}})
    except ValidationError:
        return None


def _validated(
    model: type[M], value: object, document: Document, path: KeyPath, context: Mapping[str, Any] | None = None
) -> tuple[M | None, list[KeyPath], object]:
    """Return the model, or the paths of the problems that were noted; and the value as it was read in the end."""
    if not isinstance(value, Mapping):
        document.add(path, f"must be a mapping, not {kind(value)}")
        return None, [path], value
    note_empty(model, document, path)
    try:
        return _model(model, value, context), [], value
    except ValidationError as error:
        problems = error.errors(include_url=False)
    written = _as_written(value, problems, document, path) if document.lenient else None
    if written is not None:
        try:
            return _model(model, written, context), [], written
        except ValidationError as error:
            value, problems = written, error.errors(include_url=False)
    return None, [note(model, details, document, path) for details in _told_once(problems, document, path)], value


def _told_once(problems: list[ErrorDetails], document: Document, base: KeyPath) -> list[ErrorDetails]:
    """Return the problems without those of a union's mapping where the value is a wrong word of the union."""
    words = {where(details["loc"], document, base) for details in problems if details["type"] == "literal_error"}
    return [
        details
        for details in problems
        if details["type"] != "model_type" or where(details["loc"], document, base) not in words
    ]


def _model(model: type[M], value: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> M:
    # As JSON: in pydantic's strict mode only there a list may become a tuple; without it "yes" becomes True.
    return model.model_validate_json(json.dumps(value), strict=True, context=context)


def _as_written(
    value: Mapping[str, Any], problems: Iterable[ErrorDetails], document: Document, base: KeyPath
) -> dict[str, Any] | None:
    """Return a copy with numbers and booleans as text where text is wanted; None: there are none."""
    paths = [where(details["loc"], document, base) for details in problems if details["type"] == "string_type"]
    copied: dict[str, Any] = json.loads(json.dumps(value))
    changed = False
    for path in paths:
        if path in document.texts and len(path) > len(base):
            here: Any = copied
            for step in path[len(base) : -1]:
                here = here[step]
            here[path[-1]] = document.texts[path]
            changed = True
    return copied if changed else None


def _without(value: Mapping[str, Any], wrong: Iterable[KeyPath]) -> dict[str, Any]:
    """Return a copy without the keys at or around the wrong paths; lists stay whole, or later elements would move."""
    rest: dict[str, Any] = json.loads(json.dumps(value))
    for path in wrong:
        holder, key = _holder(rest, path)
        if key is not None:
            holder.pop(key, None)
    return rest


def _holder(rest: dict[str, Any], path: KeyPath) -> tuple[dict[str, Any], str | None]:
    """Return the innermost mapping on the way to `path`, and its key there."""
    here: Any = rest
    found: tuple[dict[str, Any], str | None] = (rest, None)
    for step in path:
        if isinstance(here, dict) and isinstance(step, str):
            found = (here, step)
            here = here.get(step)
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
    return found
