"""OpenAPI document of the coordinator. `python -m bridge.coordinator.openapi` prints it."""

from __future__ import annotations

import json
import sys
from typing import Any, cast

from pydantic.json_schema import models_json_schema

from bridge.coordinator import answers
from bridge.coordinator.alertmanager import NotificationBody
from bridge.coordinator.app import create_app
from bridge.coordinator.body import RequestBody
from bridge.coordinator.config import CoordinatorConfig
from bridge.coordinator.service import Coordinator


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document: FastAPI's description of the routes, and the bodies parsed by hand."""
    app = create_app(cast("Coordinator", None), CoordinatorConfig())  # only described, never called
    document_ = app.openapi()
    _, bodies = models_json_schema(
        [(RequestBody, "validation"), (NotificationBody, "validation")], ref_template="#/components/schemas/{model}"
    )
    named = {model["title"]: model for model in bodies["$defs"].values()}
    renames = {name: model["title"] for name, model in bodies["$defs"].items()}
    schemas = document_["components"]["schemas"]
    schemas.update(answers.schemas())
    schemas.update(json.loads(_renamed(json.dumps(named), renames)))
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path in document_["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)  # invalid parameters are 400
    document_["components"]["schemas"] = dict(sorted(schemas.items()))
    return document_


def render() -> str:
    """Return the text of docs/coordinator-openapi.json."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _renamed(text: str, renames: dict[str, str]) -> str:
    for name, title in renames.items():
        text = text.replace(f'"#/components/schemas/{name}"', f'"#/components/schemas/{title}"')
    return text


if __name__ == "__main__":
    sys.stdout.write(render())
