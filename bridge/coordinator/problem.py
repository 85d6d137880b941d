"""Error responses: RFC 9457 problem details in JSON."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from bridge.coordinator.body import path
from bridge.domain.errors import StoreError

_log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5


class FieldProblem(BaseModel):
    """Invalid field."""

    field: str = Field(examples=["evidence[0].rule"])
    message: str


class ProblemBody(BaseModel):
    """Problem details of a failed call (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(examples=["Bad Request"])
    status: int = Field(examples=[400])
    detail: str
    errors: list[FieldProblem] = Field(default_factory=list)


class ProblemError(Exception):
    """Failure of a call, answered as problem details. fields: (path, message) of invalid fields."""

    def __init__(
        self, status: int, detail: str, fields: Iterable[tuple[str, str]] = (), headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.fields = tuple(fields)
        self.headers = headers


def install(app: FastAPI) -> None:
    """Register handlers that answer every error of `app` with problem details."""
    app.add_exception_handler(ProblemError, _own)
    app.add_exception_handler(StoreError, _store)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(HTTPException, _http)


def _answer(problem: ProblemError) -> JSONResponse:
    body = ProblemBody(
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        errors=[FieldProblem(field=field, message=message) for field, message in problem.fields],
    )
    return JSONResponse(body.model_dump(), problem.status, problem.headers, MEDIA_TYPE)


async def _own(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)  # noqa: S101 - for the type checker: registered for it alone
    return _answer(error)


async def _store(_: Request, error: Exception) -> JSONResponse:
    """Answer 503: nothing was accepted, so the client must retry."""
    _log.error("cannot use the ledger", extra={"error": str(error)})
    return _answer(ProblemError(503, str(error), headers={"Retry-After": str(RETRY_SECONDS)}))


async def _parameters(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    fields = [(path(item["loc"][1:]), item["msg"]) for item in error.errors()]
    return _answer(ProblemError(400, "invalid parameter", fields))


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    return _answer(ProblemError(error.status_code, str(error.detail), headers=dict(error.headers or {}) or None))
