"""`/docs`: the API's operations from its OpenAPI document, each GET with a form that asks it; no script is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from bridge.web.pages.site import Site

Json = Mapping[str, Any]
_METHODS = ("get", "put", "post", "delete")


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter or a member of a body. where: "path" | "query" | "body". kind: its type and limits, in words."""

    name: str
    where: str
    required: bool
    kind: str
    default: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. answers: status and description."""

    method: str
    path: str
    text: str
    fields: tuple[Field, ...]
    answers: tuple[tuple[str, str], ...]

    @property
    def id(self) -> str:
        """Of its place in the page."""
        return f"{self.method}{self.path}".translate(str.maketrans("/{}", "---"))


def routes(site: Site) -> APIRouter:
    """/docs/try leads to the operation that a form names: only to those of the document, so to nowhere else."""
    router = APIRouter()

    @router.get("/docs")
    def several(request: Request) -> Response:
        found: dict[str, list[Operation]] = {}
        for tag, operation in operations(request.app.openapi()):
            found.setdefault(tag, []).append(operation)
        return site.page("api_docs.html", live=False, groups=found)

    @router.get("/docs/try")
    def attempt(request: Request) -> Response:
        asked = request.query_params
        for _, operation in operations(request.app.openapi()):
            if operation.method == "get" and operation.path == asked.get("_path"):
                return RedirectResponse(site.settings.prefix + _filled(operation, asked.multi_items()), 303)
        return site.error(404, "No such operation", "the API has no GET of this path; /docs lists what it has")

    return router


def _filled(operation: Operation, given: list[tuple[str, str]]) -> str:
    """Path and query; what was left empty is left out."""
    path, query = operation.path, list[tuple[str, str]]()
    known = {field.name: field.where for field in operation.fields}
    for name, value in given:
        if known.get(name) == "path":
            path = path.replace(f"{{{name}}}", quote(value, safe="") or "-")
        elif value and known.get(name) == "query":
            query.append((name, value))
    return path + (f"?{urlencode(query)}" if query else "")


def operations(document: Json) -> Iterator[tuple[str, Operation]]:
    """Every operation of an OpenAPI document with its first tag, in the document's order."""
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method not in item:
                continue
            found = item[method]
            fields = [_parameter(document, entry) for entry in found.get("parameters", ())]
            content = found.get("requestBody", {}).get("content", {})
            for body in content.values():
                fields += _members(document, body.get("schema", {}))
            answers = tuple((status, answer["description"]) for status, answer in found["responses"].items())
            text = found.get("description") or found.get("summary", "")
            yield (found.get("tags") or ["other"])[0], Operation(method, path, text, tuple(fields), answers)


def _parameter(document: Json, entry: Json) -> Field:
    return _field(document, entry["name"], entry["in"], entry["schema"], required=entry.get("required", False))


def _members(document: Json, schema: Json) -> list[Field]:
    schema = _resolved(document, schema)
    needed = schema.get("required", ())
    members = schema.get("properties", {}).items()
    return [_field(document, name, "body", found, required=name in needed) for name, found in members]


def _field(document: Json, name: str, where: str, schema: Json, *, required: bool) -> Field:
    schema = _resolved(document, schema)
    several = schema.get("type") == "array"
    one = _resolved(document, schema["items"]) if several else schema
    choices = tuple(str(item) for item in one.get("enum", ()))
    limits = [f"{word} {one[key]}" for key, word in _LIMITS.items() if key in one]
    kind = ", ".join([str(one.get("type", "any")), *limits, *(["may be repeated"] if several else [])])
    default = schema.get("default", "")
    shown = str(default).lower() if isinstance(default, bool) else "" if isinstance(default, list) else str(default)
    return Field(name, where, required, kind, shown, choices)


_LIMITS = {"minimum": "at least", "maximum": "at most", "maxLength": "characters at most", "format": "as"}


def _resolved(document: Json, schema: Json) -> Json:
    """Behind a reference; of alternatives the first that is not null."""
    while "$ref" in schema or "anyOf" in schema or "allOf" in schema:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        else:
            some = schema.get("anyOf") or schema["allOf"]
            found: Json = next((item for item in some if item.get("type") != "null"), {})
            schema = {**{key: value for key, value in schema.items() if key == "default"}, **found}
    return schema
