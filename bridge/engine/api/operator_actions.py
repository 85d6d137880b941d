"""What people may do: let a held request go, approve it, take it back, ask by hand, and pause."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge.domain.errors import RequestError, StoreError, StoreUncertainError, UnknownRequestError
from bridge.domain.fitting import fitted
from bridge.domain.limits import LONGEST_PART
from bridge.domain.model import ModelKey
from bridge.domain.request import (
    MANUAL,
    OperatorAction,
    Outcome,
    RequestRecord,
    RequestState,
    RetrainRequest,
    request_id,
)
from bridge.domain.rule import Cooldown, Mode, Rule
from bridge.domain.times import Duration, Timestamp, format_duration, rfc3339
from bridge.engine.engine import Engine
from bridge.engine.requests import decision_log
from bridge.engine.requests.episodes import TickTransaction
from bridge.engine.requests.gates import Gatekeeper
from bridge.ports import History, Pause, TickChanges

log = logging.getLogger(__name__)

_NOT_STORED = "the connection to the store was lost and nothing was stored; try again"
_BY_HAND = Rule(MANUAL, "", "", cooldown=Cooldown(0))
_PAST = {"approve": "approved", "release": "released", "withdraw": "withdrawn"}


@dataclass(frozen=True, slots=True)
class OperatorActions:
    """Acts of people on one engine; each is committed with who did it and when before it takes effect.

    Every method raises RequestError (UnknownRequestError) when the present state does not allow it, and StoreError.
    """

    engine: Engine
    history: History
    now: Callable[[], Timestamp]

    def act(self, request_id: str, what: str, who: str, note: str = "") -> RequestRecord:
        """`approve`, `release` or `withdraw` a request that waits; the request as it is then.

        Approving answers the gate `approval` only; releasing opens every gate; withdrawing ends the request, and its
        episode asks no more.
        """
        with self.engine.certain(self.now()):
            record = self.history.request(request_id)
            if record is None:
                raise UnknownRequestError(f"there is no request {request_id!r}")
            if not record.state.waiting:
                raise RequestError(
                    f"request {request_id} is {record.state}; only one that is held can be {_PAST[what]}"
                )
            at = self.now()
            acted = replace(record, acts=(*record.acts, OperatorAction(what, who, at, note)), updated_at=at)
            draft = TickTransaction(self.engine.book)
            said = f"{_PAST[what]} by {who}" + (f": {note}" if note else "")
            settled = self._settled(draft, acted, what, at, said)
            self._commit(draft, at)
        log.info("request was acted on", extra={"request_id": request_id, "act": what, "who": who})
        return settled

    def _settled(
        self, draft: TickTransaction, acted: RequestRecord, what: str, at: Timestamp, said: str
    ) -> RequestRecord:
        rule = self._rule_of(acted)
        group = rule.group
        if what == "withdraw":
            ended = replace(acted, state=RequestState.WITHDRAWN, ended_at=at, hold=None, hold_until=0, message=said)
            draft.put_request(ended)
            decision_log.decided(draft, group, ended, Outcome.WITHDRAWN, said, at)
            return ended
        draft.put_request(acted)
        settled = self._keeper().settle(draft, acted, rule, at)
        outcome = decision_log.outcome(settled)
        text = said if settled.hold is None else f"{said}; held: {settled.hold}"
        decision_log.decided(draft, group, settled, outcome, text, at)
        return settled

    def _rule_of(self, record: RequestRecord) -> Rule:
        """The leading rule; when that is gone another one of the episode, when all are, one without cooldown."""
        runs, episode = self.engine.runs(), self.engine.book.episodes.get(record.request.model)
        names = (record.request.rule, *(() if episode is None else episode.rules))
        found = next((runs[name].rule for name in names if name in runs), _BY_HAND)
        return replace(_BY_HAND, mode=Mode.DRY_RUN) if found is _BY_HAND and self.engine.dry_run else found

    def create(self, model: ModelKey, reason: str, who: str, *, force: bool = False) -> RequestRecord:
        """Ask for a retraining by hand. A gate that is closed refuses it, unless `force`."""
        if max(map(len, model.labels().values())) > LONGEST_PART:
            raise RequestError(f"project, pipeline and version have at most {LONGEST_PART} characters")
        with self.engine.certain(self.now()):
            at = self.now()
            attempt = 1
            while self.history.request(request_id(model, MANUAL, at, attempt)) is not None:
                attempt += 1  # a second one in the same millisecond is another request
            id_ = request_id(model, MANUAL, at, attempt)
            request = fitted(RetrainRequest(model, reason, at, id_, MANUAL, at, attempt, reasons=(reason,)))
            record = RequestRecord(request, RequestState.HELD, at, acts=(OperatorAction("create", who, at, reason),))
            draft, keeper = TickTransaction(self.engine.book), self._keeper()
            hold = None if force else keeper.hold(draft, record, _BY_HAND, at)
            if hold is not None:
                until = f" until {rfc3339(hold.until)}" if hold.until else ""
                raise RequestError(f"{model.owner}: gate {hold.reason} is closed{until}; force it to ask all the same")
            rule = replace(_BY_HAND, mode=Mode.DRY_RUN) if self.engine.dry_run else _BY_HAND
            sent = keeper.let_go(draft, record, rule, at)
            if sent.state is RequestState.REQUESTED and not keeper.routing.tracked(sent.destinations):
                sent = replace(sent, state=RequestState.CLOSED, ended_at=at, message="nobody reports its end")
            draft.put_request(sent)
            decision_log.decided(draft, "", sent, decision_log.outcome(sent), f"asked by {who}: {reason}", at)
            self._commit(draft, at)
        log.info("request was made by hand", extra={"request_id": sent.id, "who": who, "model": str(model)})
        return sent

    def pause(self, project: str, pipeline: str, length: Duration, who: str, note: str = "") -> Pause:
        """Send no request of a pipeline, a project ("" = any) or of all for `length` ms; 0: go on at once."""
        with self.engine.certain(self.now()):
            at = self.now()
            pause = Pause(project, pipeline, at + length, who, at, note)
            try:
                self.engine.store.save_pause(pause)
            except StoreUncertainError as error:
                self._load(error, at)
                if pause not in self.engine.book.pauses if length else self._lasting(project, pipeline):
                    raise StoreError(_NOT_STORED) from error
            others = [item for item in self.engine.book.pauses if (item.project, item.pipeline) != (project, pipeline)]
            self.engine.book.pauses = [*others, pause] if length else others
        log.warning(
            "requests are paused" if length else "requests go on",
            extra={"project": project, "pipeline": pipeline, "who": who, "for": format_duration(length)},
        )
        return pause

    def pauses(self) -> list[Pause]:
        """Those that last."""
        with self.engine.lock:
            return [item for item in self.engine.book.pauses if item.until > self.now()]

    def _keeper(self) -> Gatekeeper:
        return self.engine.keeper()

    def _commit(self, draft: TickTransaction, at: Timestamp) -> None:
        """In one transaction, and then in memory."""
        changes = TickChanges(
            "", 0, episodes=list(draft.episodes.values()), requests=list(draft.requests.values()),
            deliveries=draft.deliveries, decisions=draft.decisions, at=at,
        )  # fmt: skip
        try:
            self.engine.store.commit(changes)
        except StoreUncertainError as error:
            self._load(error, at)
            if not all(self._stored(record) for record in draft.requests.values()):
                raise StoreError(_NOT_STORED) from error
        else:
            draft.apply()

    def _load(self, error: StoreUncertainError, at: Timestamp) -> None:
        """Find out what the store holds; while it does not say, the person is told that it is not known."""
        try:
            self.engine.recover(at)
        except StoreError:
            raise error from None

    def _stored(self, record: RequestRecord) -> bool:
        """Whether a request is there with all that people did to it."""
        found = self.history.request(record.id)
        return found is not None and found.acts == record.acts

    def _lasting(self, project: str, pipeline: str) -> bool:
        return any((item.project, item.pipeline) == (project, pipeline) for item in self.engine.book.pauses)
