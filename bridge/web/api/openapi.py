"""The published description of the API, as FastAPI knows it, put right where it knows less than the code does."""

from __future__ import annotations

from copy import deepcopy
from http import HTTPStatus
from typing import Any

from bridge.web.api.schemas import DATA, SCHEMAS, members, ref
from bridge.web.http.responses import PROBLEM

# Besides those of every operation: what each can answer when something is wrong.
_ANY = (400, 401, 405, 408, 413, 421, 500, 503)
_OF_CHANGES = (403,)
_OF_BODIES = (415,)
_OF_ONE = (404,)
_CONFLICTS = ("/redrive", "/retry", "/status", "/approve", "/release", "/withdraw", "/explain", "/api/v1/requests")
_SECURITY = {"basic": {"type": "http", "scheme": "basic", "description": "Where --web.config.file names users."}}


def corrected(document: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Every status that an operation can answer with, and its body: data in the envelope, or a problem."""
    schemas = document["components"]["schemas"]
    for never_sent in ("HTTPValidationError", "ValidationError"):
        schemas.pop(never_sent, None)
    schemas |= deepcopy(dict(SCHEMAS))
    document["components"]["securitySchemes"] = _SECURITY
    document["security"] = [{}, {"basic": []}]
    document["servers"] = [{"url": prefix or "/"}]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            responses.pop("422", None)
            if (data := DATA.get((method, path))) is not None:
                envelope = members(status={"const": "success"}, data=deepcopy(data))
                responses["200"] = {"description": "It is so.", "content": {"application/json": {"schema": envelope}}}
            elif path == "/-/ready":
                responses["503"] = {"description": "Why it is not.", "content": {"text/plain": {"schema": _TEXT}}}
            for status in _problems(method, path):
                responses.setdefault(str(status), _problem(status))
            if path == "/-/reload":
                responses["500"]["content"] |= {"text/plain": {"schema": _TEXT}}
    return document


_TEXT = {"type": "string"}


def _problems(method: str, path: str) -> list[int]:
    found = list(_ANY)
    if method != "get":
        found += [*_OF_CHANGES, *_OF_BODIES]
    if "{" in path:
        found += _OF_ONE
    if path.endswith(_CONFLICTS) and not (method == "get" and path == "/api/v1/requests"):
        found.append(409)
    return sorted(found)


def _problem(status: int) -> dict[str, Any]:
    return {"description": HTTPStatus(status).phrase, "content": {PROBLEM: {"schema": ref("Problem")}}}
