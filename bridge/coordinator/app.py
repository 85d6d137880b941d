"""HTTP API of the coordinator."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from bridge import __version__
from bridge.coordinator import answers
from bridge.coordinator.alertmanager import Notification, parse_notification
from bridge.coordinator.body import MAX_ALERTS_BODY, MAX_BODY, BodyError, parse_request
from bridge.coordinator.config import CoordinatorConfig
from bridge.coordinator.guard import HostGuard, authenticate, read_json_body, read_nothing, refuse_browsers
from bridge.coordinator.records import ListFilter, Receipt, Record, Submission, SubmissionOutcome
from bridge.coordinator.service import Coordinator
from bridge.domain.request import RequestState
from bridge.net import problem, problem_handlers
from bridge.net.problem import ProblemError

REQUESTS = "/api/v1/retrain-requests"
MOST_IDS = 100  # a URL of 4 kB
ALERTS = "/api/v1/alertmanager"
RETRY_SECONDS = 5
Reported = Literal["accepted", "running", "succeeded", "failed", "cancelled", "lost"]


def create_app(coordinator: Coordinator, config: CoordinatorConfig) -> FastAPI:
    """Return the API of one coordinator; `openapi.document` describes it."""
    app = FastAPI(
        title="Retrain Bridge coordinator",
        version=__version__,
        description="Accepts requests to retrain a model, runs each of them once, and reports their status.",
        docs_url=None,  # FastAPI's pages load scripts from other hosts
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(HostGuard(config)), Depends(refuse_browsers)],
    )
    problem_handlers.install(app, RETRY_SECONDS)
    app.include_router(_requests(coordinator))
    app.include_router(_alerts(coordinator))
    app.include_router(_management(coordinator))
    return app


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    texts = {
        400: "Invalid request; `errors` lists the fields.",
        401: "The call has neither a valid signature nor the configured token.",
        403: "The call was made by a browser page.",
        404: "There is no such request.",
        409: "Not possible in the current state, or the id belongs to another model.",
        413: "The body is too large.",
        415: "The body is not JSON.",
        421: "The host name is not allowed; see `--web.allowed-host`.",
        503: "Nothing was accepted; retry after `Retry-After` seconds.",
    }
    content = answers.content(problem.Problem, problem.PROBLEM)
    return {status: {**content, "description": texts[status]} for status in statuses}


def _success(body: type[problem.Body], description: str = "Success.") -> dict[str, Any]:
    return {**answers.content(body), "description": description}


def _body(schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"required": True, "content": content}}


_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "The `id` of the body.",
    "schema": {"type": "string"},
}


def _requests(coordinator: Coordinator) -> APIRouter:
    router = APIRouter(tags=["requests"])
    _writing(router, coordinator)
    _reading(router, coordinator)
    return router


def _writing(router: APIRouter, coordinator: Coordinator) -> None:
    @router.post(
        REQUESTS,
        status_code=202,
        summary="Request a retraining; repeats of an id do not start another run",
        responses={
            202: _success(answers.RequestAnswer, "The request was accepted."),
            200: _success(answers.RequestAnswer, "The id is known; the body is its current record."),
            **_problems(400, 401, 403, 409, 413, 415, 421, 503),
        },
        openapi_extra={**_body("RetrainRequest"), "parameters": [_KEY]},
    )
    async def submit(request: Request) -> Response:
        raw = await read_json_body(request, MAX_BODY)
        receipt = await run_in_threadpool(_accept, coordinator, request, raw)
        headers = {"Location": f"{REQUESTS}/{receipt.record.id}"}
        status = 202 if receipt.outcome is SubmissionOutcome.NEW else 200
        return answers.response(answers.of(receipt.record), status, headers)

    @router.post(
        f"{REQUESTS}/{{request_id}}/cancel",
        summary="Cancel a waiting request, or stop its run",
        responses={
            200: _success(answers.RequestAnswer),
            202: _success(answers.RequestAnswer, "It is running; its processes are being stopped."),
            **_problems(400, 401, 403, 404, 409, 421, 503),
        },
    )
    async def cancel(request_id: str, request: Request) -> Response:
        await read_nothing(request)
        record = await run_in_threadpool(_cancel, coordinator, request, request_id)
        status = 200 if record.state is RequestState.CANCELLED else 202
        return answers.response(answers.of(record), status)


def _reading(router: APIRouter, coordinator: Coordinator) -> None:
    @router.get(
        REQUESTS,
        summary="List requests, newest first",
        responses={200: _success(answers.ListAnswer), **_problems(400, 421, 503)},
    )
    def list_requests(
        id: Annotated[list[str], Query(max_length=MOST_IDS)] = [],  # noqa: A002, B006
        state: Reported | None = None,
        project: str = "",
        pipeline: str = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    ) -> Response:
        records, total = coordinator.page(
            ListFilter(tuple(id), RequestState(state) if state else None, project, pipeline, limit, offset)
        )
        return answers.response(answers.ListAnswer([answers.of(record) for record in records], total))

    @router.get(
        f"{REQUESTS}/{{request_id}}",
        summary="Get a request and its status",
        responses={200: _success(answers.RequestAnswer), **_problems(404, 421, 503)},
    )
    def get_request(request_id: str) -> Response:
        return answers.response(answers.of(_known(coordinator, request_id)))

    @router.get(
        f"{REQUESTS}/{{request_id}}/body",
        summary="Get the request body that the command receives",
        response_class=JSONResponse,
        responses=_problems(404, 421, 503),
    )
    def get_body(request_id: str) -> Response:
        return Response(_known(coordinator, request_id).body, media_type="application/json")


def _accept(coordinator: Coordinator, request: Request, raw: bytes) -> Receipt:
    authenticate(coordinator.config, request.headers, raw, coordinator.now())
    try:
        submission = parse_request(raw)
    except BodyError:
        coordinator.metrics.received.labels("api", "invalid").inc()
        raise
    _check_key(request, submission)
    receipt = coordinator.submit(submission)
    if receipt.outcome is SubmissionOutcome.CONFLICT:
        raise ProblemError(409, f"id {submission.id} belongs to a request for {_model(receipt.record)}")
    return receipt


def _check_key(request: Request, submission: Submission) -> None:
    key = request.headers.get("idempotency-key")
    if key != submission.id:
        problem_text = "it is missing" if key is None else "it is different"
        raise ProblemError(400, f"the header Idempotency-Key must equal the id in the body; {problem_text}")


def _cancel(coordinator: Coordinator, request: Request, request_id: str) -> Record:
    authenticate(coordinator.config, request.headers, b"", coordinator.now(), message_id=request_id)
    return coordinator.cancel(request_id)


def _known(coordinator: Coordinator, request_id: str) -> Record:
    record = coordinator.get(request_id)
    if record is None:
        raise ProblemError(404, f"there is no request {request_id}")
    return record


def _model(record: Record) -> str:
    return f"{record.owner}/{record.version}"


def _alerts(coordinator: Coordinator) -> APIRouter:
    router = APIRouter(tags=["alertmanager"])

    @router.post(
        ALERTS,
        summary="Accept Alertmanager's webhook payload, version 4; the label retrain_request_id is the id",
        responses={200: _success(answers.AlertsAnswer), **_problems(400, 401, 403, 413, 415, 421, 503)},
        openapi_extra=_body("AlertmanagerNotification"),
    )
    async def take_alerts(request: Request) -> Response:
        raw = await read_json_body(request, MAX_ALERTS_BODY)
        return answers.response(await run_in_threadpool(_take_alerts, coordinator, request, raw))

    return router


def _take_alerts(coordinator: Coordinator, request: Request, raw: bytes) -> answers.AlertsAnswer:
    authenticate(coordinator.config, request.headers, raw, coordinator.now())
    try:
        notification = parse_notification(raw)
    except BodyError:
        coordinator.metrics.received.labels("alertmanager", "invalid").inc()
        raise
    return _submit_all(coordinator, notification)


def _submit_all(coordinator: Coordinator, notification: Notification) -> answers.AlertsAnswer:
    """Submit every request. A conflict is counted but is not an error: Alertmanager could not resolve it."""
    ignored = Counter(notification.ignored)
    ids: dict[SubmissionOutcome, list[str]] = {outcome: [] for outcome in SubmissionOutcome}
    for submission in notification.submissions:
        ids[coordinator.submit(submission).outcome].append(submission.id)
    if ids[SubmissionOutcome.CONFLICT]:
        ignored["conflict"] = len(ids[SubmissionOutcome.CONFLICT])
    for reason, count in ignored.items():
        coordinator.metrics.ignored.labels(reason).inc(count)
    mistakes = [problem.FieldError(field, text) for field, text in notification.mistakes]
    return answers.AlertsAnswer(
        accepted=ids[SubmissionOutcome.NEW], known=ids[SubmissionOutcome.KNOWN], ignored=dict(ignored), errors=mistakes
    )


def _management(coordinator: Coordinator) -> APIRouter:
    router = APIRouter(tags=["management"])

    @router.get("/-/healthy", summary="Liveness check", response_class=PlainTextResponse)
    async def healthy() -> str:
        return "Retrain Bridge coordinator is healthy.\n"

    @router.get(
        "/-/ready",
        summary="Readiness check: requests can be recorded and started",
        response_class=PlainTextResponse,
        responses=_problems(503),
    )
    def ready() -> str:
        coordinator.check_ready()
        return "Retrain Bridge coordinator is ready.\n"

    @router.get("/metrics", summary="Metrics in Prometheus' text format", response_class=PlainTextResponse)
    def metrics() -> Response:
        return Response(coordinator.metrics.render(), media_type=CONTENT_TYPE_LATEST)

    return router
