"""Failures of HTTP calls, answered as problem details (RFC 9457): one form for all servers of the bridge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response

PROBLEM = "application/problem+json"
# `errorType` as in the envelope of Prometheus.
_ERROR_TYPES = {401: "unauthorized", 403: "forbidden", 404: "not_found", 500: "internal", 503: "unavailable"}


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """Base of all response bodies; `forbid_unknown_fields` makes the schemas complete."""


class FieldError(Body):
    """Invalid parameter or body member."""

    field: str
    message: str


class Problem(Body):
    """Problem details (RFC 9457) with the error type of Prometheus."""

    type: str
    title: str
    status: int
    detail: str
    error_type: str = msgspec.field(name="errorType")
    errors: list[FieldError]


class ProblemError(Exception):
    """Failure of a call.

    status: HTTP status of the answer.
    fields: (name, message) of each invalid parameter or body member.
    """

    def __init__(
        self, status: int, detail: str, fields: Iterable[tuple[str, str]] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.fields = tuple(fields)
        self.headers = headers


def refusal(
    status: int, detail: str, headers: Mapping[str, str] | None = None, fields: Iterable[tuple[str, str]] = ()
) -> Response:
    """Return problem details.

    detail: the error, and how to fix it.
    fields: name and message of each invalid parameter or body member.
    """
    errors = [FieldError(name, message) for name, message in fields]
    title, kind = HTTPStatus(status).phrase, _ERROR_TYPES.get(status, "bad_data")
    body = Problem("about:blank", title, status, detail, error_type=kind, errors=errors)
    return Response(msgspec.json.encode(body), status, headers, PROBLEM)


def answer(error: ProblemError) -> Response:
    """Return the response for a failed call."""
    return refusal(error.status, error.detail, error.headers, error.fields)


def path(parts: Iterable[int | str]) -> str:
    """Format a location: ("evidence", 0, "rule") -> "evidence[0].rule"."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
