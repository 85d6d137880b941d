"""The published OpenAPI document matches the code and is valid."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from openapi_spec_validator import validate

from bridge.coordinator.openapi import document, render
from tests.coordinator.conftest import Start
from tests.support.coordinator import ID, REQUESTS, alert, body, notification

PUBLISHED = Path(__file__).parents[2] / "docs" / "coordinator-openapi.json"


def test_the_published_document_equals_the_generated_one() -> None:
    """Otherwise: python -m bridge.coordinator.openapi > docs/coordinator-openapi.json"""
    assert PUBLISHED.read_text(encoding="utf-8") == render()


def test_it_is_valid_openapi() -> None:
    validate(document())


def test_every_route_is_described() -> None:
    assert sorted(f"{method} {path}" for path, operations in document()["paths"].items() for method in operations) == [
        "get /-/healthy",
        "get /-/ready",
        "get /api/v1/retrain-requests",
        "get /api/v1/retrain-requests/{request_id}",
        "get /api/v1/retrain-requests/{request_id}/body",
        "get /metrics",
        "post /api/v1/alertmanager",
        "post /api/v1/retrain-requests",
        "post /api/v1/retrain-requests/{request_id}/cancel",
    ]


def conforms(instance: object, schema: str) -> None:
    found = document()
    jsonschema.validate(instance, {"$ref": f"#/components/schemas/{schema}", "components": found["components"]})


def test_bodies_and_answers_conform_to_it(start: Start) -> None:
    """Requests of a bridge and of Alertmanager, and the responses."""
    _, client = start()
    conforms(body(), "RetrainRequest")
    conforms(notification(alert()), "AlertmanagerNotification")
    conforms(client.submit().json(), "RequestAnswer")
    conforms(client.call("GET", REQUESTS).json(), "ListAnswer")
    conforms(client.notify(alert("x")).json(), "AlertsAnswer")
    conforms(client.submit(version=3).json(), "Problem")


def test_a_wrong_body_does_not_conform() -> None:
    """Guard: the schema is strict enough for the test above to fail."""
    with pytest.raises(jsonschema.ValidationError):
        conforms(body(version=3), "RetrainRequest")
    with pytest.raises(jsonschema.ValidationError):
        conforms({"id": ID}, "RetrainRequest")


def test_only_400_stands_for_a_wrong_call() -> None:
    """FastAPI's 422 is never returned, so it is not documented."""
    text = json.dumps(document())
    assert '"422"' not in text
    assert "HTTPValidationError" not in text
