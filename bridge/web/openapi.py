"""The published description of the API, as FastAPI knows it, put right where it knows less than the code does."""

from __future__ import annotations

from typing import Any

_ERROR = {
    "type": "object",
    "required": ["status", "errorType", "error"],
    "properties": {
        "status": {"type": "string", "const": "error"},
        "errorType": {"type": "string"},
        "error": {"type": "string"},
    },
}
_SUCCESS = {
    "type": "object",
    "required": ["status", "data"],
    "properties": {"status": {"type": "string", "const": "success"}, "data": {"type": "object"}},
}


def corrected(document: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Wrong parameters are answered 400, not 422, and everything under /api comes in the envelope."""
    schemas = document["components"]["schemas"]
    for never_sent in ("HTTPValidationError", "ValidationError"):
        schemas.pop(never_sent, None)
    schemas |= {"Error": _ERROR, "Success": _SUCCESS}
    document["servers"] = [{"url": prefix or "/"}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            responses = operation["responses"]
            responses.pop("422", None)
            if path.startswith("/api/"):
                responses["200"]["content"] = _json("Success")
                responses["default"] = {"description": "What is wrong.", "content": _json("Error")}
    return document


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
