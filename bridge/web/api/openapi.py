"""Corrections to the OpenAPI document that FastAPI generates: response schemas, error statuses, security."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from bridge.net.problem import PROBLEM, Problem
from bridge.web.api.schemas import DATA, ref, schemas

# Error statuses by kind of operation.
_ALL = (400, 401, 405, 408, 413, 421, 500, 503)
_CHANGES = (403, 415)
_WITH_ID = (404,)
_CONFLICTS = (
    "/redrive",
    "/retry",
    "/status",
    "/approve",
    "/release",
    "/withdraw",
    "/cancel",
    "/start-again",
    "/expire",
    "/explain",
    "/api/v1/requests",
    "/api/v1/silences",
)
_NAMING = {"/api/v1/requests", "/api/v1/pause", "/api/v1/silences"}  # POST: the body names models
_LISTINGS = {"/api/v1/requests", "/api/v1/silences"}
_SECURITY = {"basic": {"type": "http", "scheme": "basic", "description": "Required if --web.config.file lists users."}}


def corrected(document: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the document with every status of each operation, and the schema of its body."""
    components = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        components.pop(unused, None)
    document["components"]["schemas"] = schemas() | components
    document["components"]["securitySchemes"] = _SECURITY
    document["security"] = [{}, {"basic": []}]
    document["servers"] = [{"url": prefix or "/"}]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            responses.pop("422", None)
            if (data := DATA.get((method, path))) is not None:
                content = {"application/json": {"schema": _envelope(ref(data))}}
                responses["200"] = {"description": "Success.", "content": content}
            elif path == "/-/ready":
                responses["503"] = {"description": "Not ready, with the reason.", "content": _PLAIN}
            for status in _problems(method, path):
                responses.setdefault(str(status), _problem(status))
            if path == "/-/reload":
                responses["500"]["content"] |= _PLAIN
    return document


_PLAIN = {"text/plain": {"schema": {"type": "string"}}}


def _envelope(data: dict[str, Any]) -> dict[str, Any]:
    members = {"status": {"const": "success"}, "data": data}
    return {"type": "object", "required": ["status", "data"], "properties": members, "additionalProperties": False}


def _problems(method: str, path: str) -> list[int]:
    statuses = list(_ALL)
    if method != "get":
        statuses += _CHANGES
    if "{" in path or path == "/api/v1/history":
        statuses += _WITH_ID
    if path.endswith(_CONFLICTS) and not (method == "get" and path in _LISTINGS):
        statuses.append(409)
    if method == "post" and path in _NAMING:
        statuses.append(422)
    return sorted(statuses)


def _problem(status: int) -> dict[str, Any]:
    return {"description": HTTPStatus(status).phrase, "content": {PROBLEM: {"schema": ref(Problem)}}}
