"""Handlers of errors: one form for the web server and for the coordinator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
import pytest
from fastapi import FastAPI, Query, Request, Response
from starlette.testclient import TestClient

from bridge.domain.errors import BridgeError, RequestError, StoreError, UnknownRequestError
from bridge.net.problem import PROBLEM, Problem, ProblemError
from bridge.net.problem_handlers import install

ERRORS: dict[str, Exception] = {
    "problem": ProblemError(415, "send JSON", [("evidence[0].rule", "is missing")], {"Connection": "close"}),
    "unknown": UnknownRequestError("there is no request 7"),
    "refused": RequestError("it has ended"),
    "store": StoreError("the disk is full"),
    "bridge": BridgeError("odd"),
}


def page(request: Request, status: int, title: str, text: str) -> Response | None:
    wants = "html" in request.headers.get("accept", "")
    return Response(f"{status} {title}: {text}", status) if wants else None


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    install(app, 7, page)

    @app.get("/fail/{name}")
    def fail(name: str, limit: Annotated[int, Query(ge=1)] = 1) -> None:
        raise ERRORS[name]

    @app.post("/fail/{name}")
    def change(name: str) -> None:
        raise ERRORS[name]

    @app.post("/body")
    def take(values: dict[str, int]) -> None:
        """Take numbers by name."""

    with TestClient(app) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "status", "kind", "headers"),
    [
        ("problem", 415, "bad_data", {"connection": "close"}),
        ("unknown", 404, "not_found", {}),
        ("refused", 409, "bad_data", {}),
        ("store", 503, "unavailable", {"retry-after": "7"}),
        ("bridge", 500, "internal", {}),
    ],
)
def test_an_error_has_its_status(
    client: TestClient, name: str, status: int, kind: str, headers: dict[str, str]
) -> None:
    """Text, kind and headers included; the body is what the schema says."""
    answer = client.get(f"/fail/{name}")
    problem = msgspec.json.decode(answer.content, type=Problem)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    assert (problem.status, problem.detail, problem.error_type) == (status, str(ERRORS[name]), kind)
    assert headers.items() <= dict(answer.headers).items()


def test_wrong_fields_are_listed(client: TestClient) -> None:
    """Of a body, and of the parameters of the URL."""
    errors = [client.get(url).json()["errors"] for url in ("/fail/problem", "/fail/problem?limit=0")]
    assert errors == [
        [{"field": "evidence[0].rule", "message": "is missing"}],
        [{"field": "limit", "message": "must be at least 1"}],
    ]


@pytest.mark.parametrize(
    ("body", "field"), [(b"", "body"), (b"[]", "body"), (b'{"a": ]', "body"), (b'{"a": "b"}', "a")]
)
def test_a_wrong_body_is_named(client: TestClient, body: bytes, field: str) -> None:
    """The whole body, or the field in it."""
    problem = client.post("/body", content=body, headers={"Content-Type": "application/json"}).json()
    assert problem["detail"].startswith(f"{field}: ")
    assert [error["field"] for error in problem["errors"]] == [field]


def test_an_unknown_path_and_method_are_named(client: TestClient) -> None:
    """With the methods that the path has."""
    assert client.get("/other").json()["detail"] == "/other: Not Found"
    answer = client.delete("/fail/problem")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_a_browser_gets_a_page_where_there_is_one(client: TestClient) -> None:
    """Other clients never do."""
    assert client.get("/other", headers={"Accept": "text/html"}).text == "404 Not Found: /other: Not Found"
    assert client.get("/other").headers["content-type"] == PROBLEM


def test_a_body_without_its_content_type_is_explained(client: TestClient) -> None:
    """As `curl -d` sends it."""
    answer = client.post("/body", content=b"{}", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "body: must be JSON with the header Content-Type: application/json"
