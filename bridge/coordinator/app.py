"""The coordinator's HTTP API."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from bridge import __version__
from bridge.coordinator import answers, problem
from bridge.coordinator.alertmanager import Notification, parse_notification
from bridge.coordinator.body import MAX_ALERTS_BODY, MAX_BODY, BodyError, parse_request
from bridge.coordinator.config import CoordinatorConfig
from bridge.coordinator.guard import HostGuard, authenticate, read_json_body, read_nothing, refuse_browsers
from bridge.coordinator.problem import ProblemBody, ProblemError
from bridge.coordinator.records import ListFilter, Receipt, Record, Submission, Taken
from bridge.coordinator.service import Coordinator
from bridge.domain.errors import RequestError, UnknownRequestError
from bridge.domain.request import RequestState

REQUESTS = "/api/v1/retrain-requests"
ALERTS = "/api/v1/alertmanager"
Reported = Literal["accepted", "running", "succeeded", "failed", "cancelled", "lost"]


def create_app(coordinator: Coordinator, config: CoordinatorConfig) -> FastAPI:
    """The API over one coordinator; `openapi.document` describes it."""
    app = FastAPI(
        title="Retrain Bridge coordinator",
        version=__version__,
        description="Takes requests to retrain a model, runs each once, and says what became of it.",
        docs_url=None,  # pages of FastAPI load scripts from elsewhere
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(HostGuard(config)), Depends(refuse_browsers)],
    )
    problem.install(app)
    app.include_router(_requests(coordinator))
    app.include_router(_alerts(coordinator))
    app.include_router(_management(coordinator))
    return app


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    texts = {
        400: "The call is wrong; `errors` names the fields.",
        401: "A secret is configured and the call is neither signed with it nor carries the token.",
        403: "The call comes from a browser page.",
        404: "There is no such request.",
        409: "Not possible in the present state, or the id belongs to another model.",
        413: "The body is too large.",
        415: "The body is not JSON.",
        421: "The host name is not one of the coordinator's: `--web.allowed-host`.",
        503: "Nothing was accepted; ask again after `Retry-After` seconds.",
    }
    return {status: {"model": ProblemBody, "description": texts[status]} for status in statuses}


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
        summary="Ask for a retraining; the same id any number of times is one run",
        response_model=answers.RequestAnswer,
        responses={
            200: {"model": answers.RequestAnswer, "description": "The id is known: its present record."},
            **_problems(400, 401, 403, 409, 413, 415, 421, 503),
        },
        openapi_extra={**_body("RetrainRequest"), "parameters": [_KEY]},
    )
    async def submit(request: Request) -> JSONResponse:
        raw = await read_json_body(request, MAX_BODY)
        receipt = await run_in_threadpool(_take, coordinator, request, raw)
        headers = {"Location": f"{REQUESTS}/{receipt.record.id}"}
        status = 202 if receipt.taken is Taken.NEW else 200
        return JSONResponse(answers.of(receipt.record).model_dump(), status, headers)

    @router.post(
        f"{REQUESTS}/{{request_id}}/cancel",
        summary="Cancel a request that waits, or end its run",
        response_model=answers.RequestAnswer,
        responses={
            202: {"model": answers.RequestAnswer, "description": "It runs; its processes are being ended."},
            **_problems(400, 401, 403, 404, 409, 421, 503),
        },
    )
    async def cancel(request_id: str, request: Request) -> JSONResponse:
        await read_nothing(request)
        record = await run_in_threadpool(_cancel, coordinator, request, request_id)
        status = 200 if record.state is RequestState.CANCELLED else 202
        return JSONResponse(answers.of(record).model_dump(), status)


def _reading(router: APIRouter, coordinator: Coordinator) -> None:
    @router.get(REQUESTS, summary="List requests, newest first", responses=_problems(400, 421, 503))
    def list_requests(
        state: Reported | None = None,
        project: str = "",
        pipeline: str = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    ) -> answers.ListAnswer:
        records, total = coordinator.page(
            ListFilter(RequestState(state) if state else None, project, pipeline, limit, offset)
        )
        return answers.ListAnswer(requests=[answers.of(record) for record in records], total=total)

    @router.get(f"{REQUESTS}/{{request_id}}", summary="What became of a request", responses=_problems(404, 421, 503))
    def get_request(request_id: str) -> answers.RequestAnswer:
        return answers.of(_known(coordinator, request_id))

    @router.get(
        f"{REQUESTS}/{{request_id}}/body",
        summary="The request as the command gets it",
        response_class=JSONResponse,
        responses=_problems(404, 421, 503),
    )
    def get_body(request_id: str) -> Response:
        return Response(_known(coordinator, request_id).body, media_type="application/json")


def _take(coordinator: Coordinator, request: Request, raw: bytes) -> Receipt:
    authenticate(coordinator.config, request.headers, raw, coordinator.now())
    try:
        submission = parse_request(raw)
    except BodyError as error:
        coordinator.metrics.received.labels("api", "invalid").inc()
        raise ProblemError(400, error.detail, error.fields) from None
    _check_key(request, submission)
    receipt = coordinator.submit(submission)
    if receipt.taken is Taken.CONFLICT:
        raise ProblemError(409, f"id {submission.id} belongs to a request for {_model(receipt.record)}")
    return receipt


def _check_key(request: Request, submission: Submission) -> None:
    key = request.headers.get("idempotency-key")
    if key != submission.id:
        found = "is missing" if key is None else "is another"
        raise ProblemError(400, f"the header Idempotency-Key must be the id of the body; it {found}")


def _cancel(coordinator: Coordinator, request: Request, request_id: str) -> Record:
    authenticate(coordinator.config, request.headers, b"", coordinator.now(), message_id=request_id)
    try:
        return coordinator.cancel(request_id)
    except UnknownRequestError as error:
        raise ProblemError(404, str(error)) from None
    except RequestError as error:
        raise ProblemError(409, str(error)) from None


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
        summary="Alertmanager's webhook payload, version 4, keyed by the label retrain_request_id",
        response_model=answers.AlertsAnswer,
        responses=_problems(400, 401, 403, 413, 415, 421, 503),
        openapi_extra=_body("AlertmanagerNotification"),
    )
    async def take_alerts(request: Request) -> answers.AlertsAnswer:
        raw = await read_json_body(request, MAX_ALERTS_BODY)
        return await run_in_threadpool(_take_alerts, coordinator, request, raw)

    return router


def _take_alerts(coordinator: Coordinator, request: Request, raw: bytes) -> answers.AlertsAnswer:
    authenticate(coordinator.config, request.headers, raw, coordinator.now())
    try:
        notification = parse_notification(raw)
    except BodyError as error:
        coordinator.metrics.received.labels("alertmanager", "invalid").inc()
        raise ProblemError(400, error.detail, error.fields) from None
    return _submit_all(coordinator, notification)


def _submit_all(coordinator: Coordinator, notification: Notification) -> answers.AlertsAnswer:
    """A conflict is counted, not answered as an error: Alertmanager could do nothing about it."""
    ignored = Counter(notification.ignored)
    ids: dict[Taken, list[str]] = {taken: [] for taken in Taken}
    for submission in notification.submissions:
        ids[coordinator.submit(submission).taken].append(submission.id)
    if ids[Taken.CONFLICT]:
        ignored["conflict"] = len(ids[Taken.CONFLICT])
    for reason, count in ignored.items():
        coordinator.metrics.ignored.labels(reason).inc(count)
    mistakes = [problem.FieldProblem(field=field, message=text) for field, text in notification.mistakes]
    return answers.AlertsAnswer(accepted=ids[Taken.NEW], known=ids[Taken.KNOWN], ignored=dict(ignored), errors=mistakes)


def _management(coordinator: Coordinator) -> APIRouter:
    router = APIRouter(tags=["management"])

    @router.get("/-/healthy", summary="The process answers", response_class=PlainTextResponse)
    async def healthy() -> str:
        return "Retrain Bridge coordinator is healthy.\n"

    @router.get(
        "/-/ready",
        summary="Requests can be written down and started",
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
