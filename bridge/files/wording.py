"""Messages about values in the words of the file: findings of pydantic, near misses, kinds of values."""

from __future__ import annotations

import re
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from bridge.domain.wording import finding, kind, near
from bridge.files.yaml import Document, KeyPath

_VARIABLE = re.compile(r"\$\{\w+\}|\$\(\w+\)|(?:^|://)\$[A-Z][A-Z0-9_]+|\{\{[^}]*\bEnv\b[^}]*\}\}|\{\{ *env [^}]*\}\}")
_SECRET_WORDS = ("password", "secret", "credential", "token", "header", "auth")


def variable_hint(value: object) -> str:
    """Return the hint for a text with an environment variable in it; "" without one."""
    found = isinstance(value, str) and _VARIABLE.search(value)
    return "environment variables are not replaced: write the value, or fill the file in first" if found else ""


def note(model: type[BaseModel], details: ErrorDetails, document: Document, base: KeyPath) -> KeyPath:
    """Note one finding of pydantic about the value at `base`; return its path in the file."""
    path = where(details["loc"], document, base)
    type_, given = details["type"], details.get("input")
    if type_ == "extra_forbidden":
        _unknown_key(model, details["loc"], document, path)
    elif type_ == "missing":
        if path and path[-1] == details["loc"][-1]:  # given, and told to be wrong
            return path
        document.add(path, f"key {details['loc'][-1]!r} is missing")
    elif type_ == "value_error":
        document.add(path, str(details["ctx"]["error"]), variable_hint(given))
    else:
        text, hint = finding(details, str(path[-1]) if path else "value", _given(given, path, type_))
        document.add(path, text, hint or _hint(type_, given))
    return path


def note_empty(model: type[BaseModel], document: Document, base: KeyPath) -> None:
    """Note the keys of the mapping at `base` that have no value and need one."""
    allowed: frozenset[str] = getattr(model, "may_be_empty", frozenset())
    names = {field.alias or name for name, field in model.model_fields.items()}
    for path, line in list(document.empty.items()):
        if path[:-1] != base or path[-1] in allowed:
            continue
        document.lines[path] = line
        if path[-1] in names:
            document.add(path, "has no value", "write one, or remove the key")
        else:
            _unknown_key(model, path[-1:], document, path)


def where(loc: tuple[int | str, ...], document: Document, path: KeyPath) -> KeyPath:
    """Return the innermost path of the file on pydantic's way; its own steps (a union's member, ...) are left out."""
    for step in loc:
        if (*path, step) in document.lines:
            path = (*path, step)
    return path


def _given(value: object, path: KeyPath, type_: str) -> str:
    """Return the value's kind, with a number that should have been text, unless it may be a secret."""
    secret = any(word in str(step).lower() for step in path for word in _SECRET_WORDS)
    if type_ == "string_type" and isinstance(value, bool | int | float) and not secret:
        return f"the {'boolean' if isinstance(value, bool) else 'number'} {str(value).lower()}"
    return "a fraction" if type_ == "int_type" and isinstance(value, float) else kind(value)


def _hint(type_: str, given: object) -> str:
    if type_ == "string_type" and isinstance(given, bool | int | float):
        return "quote it"
    if type_ == "bool_type" and isinstance(given, str):
        return "write it unquoted; yes, no, on and off are text in YAML 1.2"
    return "write it unquoted" if type_ in {"int_type", "float_type"} and isinstance(given, str) else ""


def _unknown_key(model: type[BaseModel], loc: tuple[int | str, ...], document: Document, where: KeyPath) -> None:
    key, owner = str(loc[-1]), _model_at(model, loc[:-1])
    fields = {} if owner is None else owner.model_fields
    names = {field.alias or name for name, field in fields.items()}
    if key in getattr(owner, "not_built", ()):
        document.add(where, f"{key!r} is not supported yet", "remove it")
    else:
        document.add(where, f"unknown key {key!r}", getattr(owner, "elsewhere", {}).get(key) or near(key, names))


def _model_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    """Return the model that holds the last step of a pydantic location."""
    here: Any = model
    for step in loc:
        if isinstance(here, type) and issubclass(here, BaseModel):
            named = {field.alias or name: field.annotation for name, field in here.model_fields.items()}
            if step not in named:
                continue
            here = named[str(step)]
        elif get_args(here):
            here = get_args(here)[0 if get_origin(here) in {tuple, list} else -1]
        here = bare(here)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def bare(annotation: Any) -> Any:
    """Return a type without Annotated and None; of a union the first model, else its first member."""
    while get_origin(annotation) in {Annotated, Union, UnionType}:
        annotated = get_origin(annotation) is Annotated
        members = [item for item in get_args(annotation)[: 1 if annotated else None] if item is not NoneType]
        models = [item for item in members if isinstance(item, type) and issubclass(item, BaseModel)]
        annotation = (models or members)[0]
    return annotation
