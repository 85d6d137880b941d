"""Checks values against pydantic models and says what is wrong in our own words, with places and near misses."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from bridge.config.yaml import Document, Place
from bridge.domain.times import parse_duration

M = TypeVar("M", bound=BaseModel)


class Section(BaseModel):
    """A mapping of a file. not_built: keys that are planned; they are refused with that reason, not as unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)
    not_built: ClassVar[frozenset[str]] = frozenset()


def _duration(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int) or (isinstance(value, int) and value != 0):
        raise ValueError("must be a duration such as 30s, 5m or 1h30m")
    return parse_duration(str(value))


def _positive(value: int) -> int:
    if value <= 0:
        raise ValueError("must be more than 0")
    return value


Span = Annotated[int, BeforeValidator(_duration)]
PositiveSpan = Annotated[int, BeforeValidator(_duration), AfterValidator(_positive)]


def near(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, or all of them when none is near and they are few."""
    names = sorted(known)
    found = difflib.get_close_matches(word, names, 1, 0.6)
    if found:
        return f"did you mean {found[0]!r}?"
    return f"known are: {', '.join(names)}" if len(names) <= 20 else ""


def checked(model: type[M], value: object, document: Document, place: Place) -> M | None:
    """`value` as `model`, or None with every problem noted in `document`."""
    if not isinstance(value, Mapping):
        document.add(place, f"must be a mapping, not {kind(value)}")
        return None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            _note(model, details, document, place)
        return None


def _note(model: type[BaseModel], details: ErrorDetails, document: Document, place: Place) -> None:
    # Steps that are not in the file (pydantic's own: a union's member, a validator's name) are left out.
    where = place
    for step in details["loc"]:
        longer = (*where, step)
        if longer in document.lines or step == details["loc"][-1]:
            where = longer
    kind_, given = details["type"], details.get("input")
    if kind_ == "extra_forbidden":
        _unknown_key(model, details["loc"], document, where)
    elif kind_ == "missing":
        document.add(where[:-1], f"key {where[-1]!r} is missing")
    elif kind_ == "string_type" and isinstance(given, int | float):
        document.add(where, f"must be text, YAML read {kind(given)} {given!r}", "quote it")
    elif kind_ == "value_error":
        document.add(where if where in document.lines else where[:-1], str(details["ctx"]["error"]))
    else:
        text = details["msg"].removeprefix("Input ")
        document.add(where, f"{text[0].lower()}{text[1:]}, not {kind(given)}")


def _unknown_key(model: type[BaseModel], loc: tuple[int | str, ...], document: Document, where: Place) -> None:
    key, owner = str(loc[-1]), _model_at(model, loc[:-1])
    fields = {} if owner is None else owner.model_fields
    names = {field.alias or name for name, field in fields.items()}
    if owner is not None and key in getattr(owner, "not_built", ()):
        document.add(where, f"{key!r} is not built yet", "remove it")
    else:
        document.add(where, f"unknown key {key!r}", near(key, names))


def _model_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The model that holds the last step of a pydantic location."""
    here: Any = model
    for step in loc:
        if isinstance(here, type) and issubclass(here, BaseModel):
            named = {field.alias or name: field.annotation for name, field in here.model_fields.items()}
            if step not in named:
                continue
            here = named[str(step)]
        else:
            arguments = get_args(here)
            here = arguments[-1] if get_origin(here) is not tuple else arguments[0]
        here = _bare(here)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _bare(annotation: Any) -> Any:
    """Without Annotated and None."""
    while get_origin(annotation) in {Annotated, Union, UnionType}:
        members = [item for item in get_args(annotation) if item is not NoneType]
        models = [item for item in members if isinstance(item, type) and issubclass(item, BaseModel)]
        annotation = models[0] if models else members[0]
    return annotation


def kind(value: object) -> str:
    """What YAML read, in words."""
    if value is None:
        return "nothing"
    words = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return next((word for type_, word in words.items() if isinstance(value, type_)), type(value).__name__)
