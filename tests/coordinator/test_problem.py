"""Error responses of the coordinator."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import FastAPI, HTTPException, Query
from fastapi.testclient import TestClient

from bridge.coordinator import problem
from bridge.coordinator.problem import ProblemError
from bridge.domain.errors import StoreError

RAISED: list[Exception] = []


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    problem.install(app)

    @app.get("/")
    def fail(limit: Annotated[int, Query(ge=1)] = 1) -> None:
        raise RAISED.pop()

    return TestClient(app)


@pytest.mark.parametrize(
    ("error", "status", "title", "retry"),
    [
        (ProblemError(409, "taken"), 409, "Conflict", None),
        (StoreError("taken"), 503, "Service Unavailable", "5"),
        (HTTPException(418, "taken"), 418, "I'm a Teapot", None),
        (ProblemError(401, "taken", headers={"Retry-After": "7"}), 401, "Unauthorized", "7"),
    ],
)
def test_errors_are_problem_details(
    client: TestClient, error: Exception, status: int, title: str, retry: str | None
) -> None:
    RAISED.append(error)
    answer = client.get("/")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"type": "about:blank", "title": title, "status": status, "detail": "taken", "errors": []}
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry)


def test_fields_are_named(client: TestClient) -> None:
    """Those of a body, and parameters."""
    RAISED.append(ProblemError(400, "wrong", [("evidence[0].rule", "is missing")]))
    assert client.get("/").json()["errors"] == [{"field": "evidence[0].rule", "message": "is missing"}]
    (error,) = client.get("/?limit=0").json()["errors"]
    assert error["field"] == "limit"


def test_an_unknown_path_is_a_problem_too(client: TestClient) -> None:
    answer = client.get("/none")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")
