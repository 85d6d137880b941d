"""`/docs`: the operations of the OpenAPI document, with a form for each GET; works without scripts."""

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
    """Parameter, or property of a request body.

    where: "path", "query" or "body".
    kind: type and limits, as text.
    choices: the allowed values; empty if any value is allowed.
    """

    name: str
    where: str
    required: bool
    kind: str
    default: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. answers: status and description of each response."""

    method: str
    path: str
    text: str
    fields: tuple[Field, ...]
    answers: tuple[tuple[str, str], ...]

    @property
    def id(self) -> str:
        """Id of the operation's element in the page."""
        return f"{self.method}{self.path}".translate(str.maketrans("/{}", "---"))


def routes(site: Site) -> APIRouter:
    """Return the routes of /docs, and of /docs/try, which redirects a form only to operations of the document."""
    router = APIRouter()

    @router.get("/docs")
    def index(request: Request) -> Response:
        groups: dict[str, list[Operation]] = {}
        for tag, operation in operations(request.app.openapi()):
            groups.setdefault(tag, []).append(operation)
        return site.page("api_docs.html", live=False, groups=groups)

    @router.get("/docs/try")
    def attempt(request: Request) -> Response:
        parameters = request.query_params
        for _, operation in operations(request.app.openapi()):
            if operation.method == "get" and operation.path == parameters.get("_path"):
                return RedirectResponse(site.settings.prefix + _url(operation, parameters.multi_items()), 303)
        return site.error(404, "Operation not found", "The API has no GET for this path; /docs lists all operations.")

    return router


def _url(operation: Operation, values: list[tuple[str, str]]) -> str:
    """Return path and query of the operation with these values; empty ones are omitted from the query."""
    path, query = operation.path, list[tuple[str, str]]()
    locations = {field.name: field.where for field in operation.fields}
    for name, value in values:
        if locations.get(name) == "path":
            path = path.replace(f"{{{name}}}", quote(value, safe="") or "-")
        elif value and locations.get(name) == "query":
            query.append((name, value))
    return path + (f"?{urlencode(query)}" if query else "")


def operations(document: Json) -> Iterator[tuple[str, Operation]]:
    """Yield the first tag and the operation, for every operation of an OpenAPI document in its order."""
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method not in item:
                continue
            entry = item[method]
            fields = [_parameter(document, parameter) for parameter in entry.get("parameters", ())]
            content = entry.get("requestBody", {}).get("content", {})
            for body in content.values():
                fields += _members(document, body.get("schema", {}))
            answers = tuple((status, answer["description"]) for status, answer in entry["responses"].items())
            text = entry.get("description") or entry.get("summary", "")
            yield (entry.get("tags") or ["other"])[0], Operation(method, path, text, tuple(fields), answers)


def _parameter(document: Json, entry: Json) -> Field:
    return _field(document, entry["name"], entry["in"], entry["schema"], required=entry.get("required", False))


def _members(document: Json, schema: Json) -> list[Field]:
    schema = _resolved(document, schema)
    required = schema.get("required", ())
    members = schema.get("properties", {}).items()
    return [_field(document, name, "body", member, required=name in required) for name, member in members]


def _field(document: Json, name: str, where: str, schema: Json, *, required: bool) -> Field:
    schema = _resolved(document, schema)
    repeatable = schema.get("type") == "array"
    item = _resolved(document, schema["items"]) if repeatable else schema
    choices = tuple(str(value) for value in item.get("enum", ()))
    limits = [f"{phrase} {item[key]}" for key, phrase in _LIMITS.items() if key in item]
    kind = ", ".join([str(item.get("type", "any")), *limits, *(["repeatable"] if repeatable else [])])
    return Field(name, where, required, kind, _default_text(schema.get("default", "")), choices)


def _default_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if isinstance(value, list) else str(value)


_LIMITS = {"minimum": "minimum", "maximum": "maximum", "maxLength": "maximum length", "format": "format"}


def _resolved(document: Json, schema: Json) -> Json:
    """Resolve references; of several alternatives take the first that is not null."""
    while "$ref" in schema or "anyOf" in schema or "allOf" in schema:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        else:
            alternatives = schema.get("anyOf") or schema["allOf"]
            chosen: Json = next((item for item in alternatives if item.get("type") != "null"), {})
            schema = {**{key: value for key, value in schema.items() if key == "default"}, **chosen}
    return schema
