"""Conformance of the API to its OpenAPI document, tested by schemathesis."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from schemathesis.checks import CheckFunction, load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import positive_data_acceptance

from bridge.web.app import create_app
from bridge.web.http.settings import WebConfig, WebSettings
from tests.support.fake_views import AT, FakeCommands, FakeQueries

load_all_checks()
OURS = {"Host": "127.0.0.1:9095"}  # another name is not served: that is told with 421, which would hide all else
# Selectors, lengths of pauses, half a model: these may be refused although their form is right.
MORE_THAN_A_SCHEMA_SAYS = {"/api/v1/rules", "/api/v1/pause", "/api/v1/decisions"}
ENOUGH = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=True
)  # fmt: skip


def app_of(queries: FakeQueries | None = None) -> FastAPI:
    return create_app(
        queries or FakeQueries(), FakeCommands(), WebSettings(), lambda _: b"up 1\n", WebConfig(), lambda: AT, tuple
    )


schema = schemathesis.openapi.from_asgi("/openapi.json", app_of(), headers=OURS)


@schema.parametrize()
@ENOUGH
def test_every_operation_answers_as_it_is_described(case: schemathesis.Case[Any]) -> None:
    """Statuses, media types, headers and bodies conform; invalid requests are refused, and nothing is a 500."""
    without: list[CheckFunction] = [positive_data_acceptance] if case.operation.path in MORE_THAN_A_SCHEMA_SAYS else []
    case.call_and_validate(headers=OURS, excluded_checks=without)


def lying(change: Any) -> FastAPI:
    """Return an app with a changed OpenAPI document."""
    app = app_of()
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        change(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def forget_a_member(document: dict[str, Any]) -> None:
    decision = document["components"]["schemas"]["Decision"]
    decision["properties"].pop("reason")
    decision["required"].remove("reason")


def promise_another_status(document: dict[str, Any]) -> None:
    answers = document["paths"]["/api/v1/decisions"]["get"]["responses"]
    answers["201"] = answers.pop("200")


def promise_another_type(document: dict[str, Any]) -> None:
    content = document["paths"]["/api/v1/decisions"]["get"]["responses"]["200"]["content"]
    content["text/html"] = content.pop("application/json")


@pytest.mark.parametrize("lie", [forget_a_member, promise_another_status, promise_another_type])
def test_an_error_in_the_document_is_detected(lie: Any) -> None:
    """An undocumented member, and a status or media type that is never sent."""
    found = schemathesis.openapi.from_asgi("/openapi.json", lying(lie), headers=OURS)
    operation = found["/api/v1/decisions"]["GET"]
    with pytest.raises(FailureGroup):
        operation.Case().call_and_validate(headers=OURS)
