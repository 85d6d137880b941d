"""Templates of calls: `{{ .Name }}` in a text, and mappings and lists of such texts.

A text that consists of one `{{ .Name }}` becomes the value itself: text, number, list or mapping. So a value enters
JSON as a value, whatever characters it contains. In a longer text, and in paths, values are inserted as text; in paths
they are percent-encoded.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import AfterValidator, WithJsonSchema

BASE = "$base"  # key of a mapping: value that the other keys are merged into
_SLOT = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_EXPRESSION = re.compile(r"\s*\.([A-Za-z]\w*)((?:\.[\w-]+)*)\s*((?:\|\s*\w+\s*)*)")
TEXTS = {
    "ID": "id of the request",
    "RunID": "name of the run",
    "Receiver": "name of the receiver",
    "Project": "project of the model",
    "Pipeline": "pipeline of the model",
    "Version": "version of the model",
    "Rule": "leading rule",
    "Reason": "reason of the request",
    "Attempt": "number of the request in its episode",
    "Link": "URL of the request in the bridge",
    "Reference": "the server's own id of the run",
    "References": "list of the server's ids of several runs",
    "Username": "user of `login`",
    "Password": "password of `login`",
    "Now": "present time, RFC 3339",
}
MAPPINGS = {
    "Target": "keys of `target`",
    "Parameters": "keys of `parameters`",
    "Labels": "labels of the request",
    "Annotations": "annotations of the request",
    "Request": "whole request, as sent to a coordinator",
    "Found": "values that `find` took from the server",
}
Variables = Mapping[str, Any]


def _strings(value: Any) -> Any:
    return {str(key): _text(item) for key, item in value.items()} if isinstance(value, Mapping) else _text(value)


def _items(value: Any) -> Iterator[tuple[str, str]]:
    return ((str(key), _text(item)) for key, item in value.items()) if isinstance(value, Mapping) else iter(())


FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "json": lambda value: json.dumps(value, ensure_ascii=False, sort_keys=True),
    "strings": _strings,
    "number": lambda value: int(value) if isinstance(value, str) and value.isdecimal() else value,
    "pairs": lambda value: [f"{key}={text}" for key, text in _items(value)],
    "tags": lambda value: [{"key": key, "value": text} for key, text in _items(value)],
    "env": lambda value: [{"name": f"RB_{_upper(key)}", "value": text} for key, text in _items(value)],
}


def _upper(key: str) -> str:
    return re.sub(r"\W", "_", key).upper()


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


def near(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known word, or all of them."""
    names_ = sorted(known)
    found = difflib.get_close_matches(word, names_, 1, 0.5)
    return f"did you mean {found[0]!r}?" if found else f"known are: {', '.join(names_)}"


class TemplateError(ValueError):
    """Invalid template, or one that names an unknown variable."""


def names(template: Any) -> Iterator[tuple[str, str]]:
    """Yield the variables of a template: root and dotted rest. Raises TemplateError."""
    for text in _texts(template):
        for slot in _SLOT.findall(text):
            root, rest, _ = _parsed(slot)
            yield root, rest
        if "{{" in _SLOT.sub("", text) or "}}" in _SLOT.sub("", text):
            raise TemplateError(f"unbalanced {{{{ and }}}} in {text!r}")


def _texts(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, Mapping):
        for key, item in template.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(template, list | tuple):
        for item in template:
            yield from _texts(item)


def _parsed(slot: str) -> tuple[str, str, list[str]]:
    found = _EXPRESSION.fullmatch(slot)
    if found is None:
        raise TemplateError(f"{{{{{slot}}}}} is not a variable: write {{{{ .ID }}}} or {{{{ .Target.name }}}}")
    root, rest, functions = found[1], found[2][1:], [word.strip() for word in found[3].split("|")[1:]]
    if root not in TEXTS and root not in MAPPINGS:
        raise TemplateError(f"unknown variable .{root}; {near(root, {*TEXTS, *MAPPINGS})}")
    if rest and root in TEXTS:
        raise TemplateError(f".{root} has no parts: write {{{{ .{root} }}}}")
    unknown = [word for word in functions if word not in FUNCTIONS]
    if unknown:
        raise TemplateError(f"unknown function {unknown[0]!r}; known are: {', '.join(sorted(FUNCTIONS))}")
    return root, rest, functions


def render(template: Any, variables: Variables) -> Any:
    """Return the template with every variable replaced by its value; an absent one is null, or empty within a text."""
    if isinstance(template, str):
        whole = _SLOT.fullmatch(template)
        if whole is not None and "}}" not in whole[1]:
            return _value(whole[1], variables)
        return _SLOT.sub(lambda slot: _text(_value(slot[1], variables)), template)
    if isinstance(template, Mapping):
        own = {str(render(key, variables)): render(item, variables) for key, item in template.items() if key != BASE}
        return merged(render(template[BASE], variables), own) if BASE in template else own
    if isinstance(template, list | tuple):
        return [render(item, variables) for item in template]
    return template


def render_path(template: str, variables: Variables) -> str:
    """Return a path with the values percent-encoded, so that none can leave its segment."""
    return _SLOT.sub(lambda slot: quote(_text(_value(slot[1], variables)), safe=""), template)


def render_text(template: str, variables: Variables) -> str:
    """Return the template as text."""
    return _text(render(template, variables))


def _value(slot: str, variables: Variables) -> Any:
    root, rest, functions = _parsed(slot)
    value = variables.get(root)
    for part in rest.split(".") if rest else ():
        value = value.get(part) if isinstance(value, Mapping) else None
    for word in functions:
        value = FUNCTIONS[word](value)
    return value


def merged(base: Any, own: Any) -> Any:
    """Return `own` merged into `base`: mappings key by key, lists element by element; `key+` appends to a list."""
    if isinstance(base, Mapping) and isinstance(own, Mapping):
        result = dict(base)
        for key, item in own.items():
            if key.endswith("+"):
                result[key[:-1]] = [*(result.get(key[:-1]) or []), *(item or [])]
            else:
                result[key] = merged(result.get(key), item)
        return result
    if isinstance(own, Mapping):
        return merged({}, own)
    if isinstance(base, list) and isinstance(own, list):
        longer = base[len(own) :] if len(base) > len(own) else []
        return [merged(base[index] if index < len(base) else None, item) for index, item in enumerate(own)] + longer
    return own


def _checked(template: Any) -> Any:
    for _ in names(template):
        pass
    return template


Template = Annotated[str, AfterValidator(_checked)]
_ANY = {"format": "json"}  # any value
Structure = Annotated[Any, AfterValidator(_checked), WithJsonSchema(_ANY)]  # mappings, lists and texts, nested
