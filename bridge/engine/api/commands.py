"""Commands on a running engine: the implementation of interface.Commands."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

from msgspec.structs import replace

from bridge.domain.errors import RequestError, UnknownRequestError
from bridge.domain.model import ModelKey
from bridge.domain.request import Feedback, RequestRecord, RequestState
from bridge.domain.times import Duration, Timestamp
from bridge.engine.access import EngineTransaction
from bridge.engine.api.discarding import Discarding
from bridge.engine.api.operator_actions import CANCEL, OperatorActions, run_destinations
from bridge.engine.api.views import Discarded, ReloadResult
from bridge.engine.engine import Engine
from bridge.ports import DeliveryState, History, Outbox, Pause, RunLedger, RunState, StatusReport

log = logging.getLogger(__name__)


class EngineCommands:
    """Commands on the engine and the store.

    configured: returns the destinations of the configuration.
    reload: loads and applies the configuration.
    wake: called when there are deliveries to make.
    now: the clock.
    """

    def __init__(
        self,
        engine: Engine,
        history: History,
        outbox: Outbox,
        ledger: RunLedger,
        *,
        configured: Callable[[], Collection[str]],
        reload: Callable[[], ReloadResult],
        wake: Callable[[], None],
        now: Callable[[], Timestamp],
    ) -> None:
        self._engine = engine
        self._history = history
        self._outbox = outbox
        self._ledger = ledger
        self._configured = configured
        self._reload = reload
        self._wake = wake
        self._now = now
        self._operator = OperatorActions(engine, history, ledger, now)
        self._discarding = Discarding(engine, history, outbox, configured, now, self.settled)

    def reload(self) -> ReloadResult:
        """Load and apply the configuration; on an error keep the old one and return the reason."""
        return self._reload()

    def report_status(self, report: StatusReport) -> RequestRecord:
        """Record a status report and return the request; it moves forward, never back. Raises UnknownRequestError."""
        with self._engine.transact(self._now, self._history) as change:
            record = self._known(report.request_id)
            if not record.state.may_become(report.state):
                return self._add_facts(record, report, change)
            ended = max(report.at, record.sent_at) if report.state.terminal else 0
            changed = replace(
                record,
                state=report.state,
                updated_at=self._now(),
                ended_at=ended,
                message=report.message or record.message,
                new_version=report.new_version or record.new_version,
                reference=report.reference or record.reference,
                link=report.link or record.link,
            )
            self._history.save_request(changed)
            change.adopt(changed)
        log.info(
            "request changed",
            extra={
                "request_id": record.id,
                "was": record.state.value,
                "state": changed.state.value,
                "model": str(record.request.model),
            },
        )
        return changed

    def _add_facts(self, record: RequestRecord, report: StatusReport, change: EngineTransaction) -> RequestRecord:
        """Record what else a report says that does not change the state of a request in flight."""
        facts = replace(
            record, link=report.link or record.link, message=report.message or record.message,
            reference=report.reference or record.reference,
        )  # fmt: skip
        if facts == record or record.state is not report.state:
            return record
        self._history.save_request(facts)
        change.adopt(facts)
        return facts

    def settled(self, request_ids: Sequence[str]) -> None:
        """Reload requests from the store after some of their deliveries have ended."""
        for record in self._engine.refresh(request_ids, self._history):
            if record.state is RequestState.UNDELIVERED:
                fields = {"request_id": record.id, "model": str(record.request.model)}
                log.error("request is undelivered", extra=fields)
            if record.state.in_flight:
                self._end_cancelled(record)

    def _end_cancelled(self, record: RequestRecord) -> RequestRecord:
        """End a request in flight whose runs were all cancelled before one of them was seen."""
        runs = self._ledger.runs(record.id) if run_destinations(record) else []
        if not runs or any(run.reference or run.state is not RunState.CANCELLED for run in runs):
            return record
        if len(runs) < len(run_destinations(record)):
            return record
        return self.report_status(
            StatusReport(record.id, RequestState.CANCELLED, self._now(), "cancelled before a run was started")
        )

    def redrive(self, request_id: str, destination: str | None = None) -> int:
        """Queue dead deliveries again and return their number. destination: None for all.

        Those to destinations that are not configured any more stay dead; RequestError if there are no others.
        """
        chosen = self._dead(request_id, destination)
        removed = sorted(chosen.difference(self._configured()))
        if removed and len(removed) == len(chosen):
            raise RequestError(f"destination not configured any more: {', '.join(removed)}")
        count = sum(self._outbox.redrive(request_id, one, self._now()) for one in sorted(chosen.difference(removed)))
        self.settled([request_id])
        self._wake()
        log.info("deliveries queued again", extra={"request_id": request_id, "count": count})
        return count

    def _dead(self, request_id: str, destination: str | None) -> set[str]:
        """Return the destinations with dead deliveries of a request. destination: None for all."""
        deliveries = self._history.deliveries(self._known(request_id).id)
        dead = {item.destination for item in deliveries if item.state is DeliveryState.DEAD}
        return dead if destination is None else dead & {destination}

    def retry(self, request_id: str) -> int:
        """Try deliveries to configured destinations that wait for a retry at once, and return their number."""
        count = self._outbox.retry(request_id, self._configured(), self._now())
        self._wake()
        log.info("deliveries retried at once", extra={"request_id": request_id, "count": count})
        return count

    def discard(self, receiver: str, who: str, note: str = "") -> Discarded:
        """End deliveries as Discarding.discard does."""
        return self._discarding.discard(receiver, who, note)

    def act(self, request_id: str, what: str, who: str, note: str = "", key: str = "") -> RequestRecord:
        """Apply an operator's action as OperatorActions.act does, and deliver a released request at once."""
        record = self._operator.act(request_id, what, who, note, key)
        if record.state.in_flight and record.acted(CANCEL):
            record = self._end_cancelled(record)
        self._wake()
        return record

    def feedback(self, request_id: str, opinion: Feedback, who: str, note: str = "", key: str = "") -> RequestRecord:
        """Record feedback as OperatorActions.feedback does."""
        return self._operator.feedback(request_id, opinion, who, note, key)

    def create(self, model: ModelKey, reason: str, who: str, *, force: bool = False, key: str = "") -> RequestRecord:
        """Create a request as OperatorActions.create does, and deliver it at once."""
        record = self._operator.create(model, reason, who, force=force, key=key)
        self._wake()
        return record

    def refusal(self, model: ModelKey) -> str:
        """Return why a request by hand would be refused now, as OperatorActions.refusal does."""
        return self._operator.refusal(model)

    def pause(self, project: str, pipeline: str, length: Duration, who: str, note: str = "") -> Pause:
        """Pause requests as OperatorActions.pause does."""
        return self._operator.pause(project, pipeline, length, who, note)

    def pauses(self) -> list[Pause]:
        """Return the pauses that have not ended."""
        return self._operator.pauses()

    def _known(self, request_id: str) -> RequestRecord:
        record = self._history.request(request_id)
        if record is None:
            raise UnknownRequestError(f"there is no request {request_id!r}")
        return record
