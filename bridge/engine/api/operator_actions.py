"""Operator actions: approve, release, withdraw and cancel requests, start runs again, create requests, and pause."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from msgspec import structs

from bridge.domain.destination import RUN, Destination
from bridge.domain.errors import RequestError, UnknownRequestError
from bridge.domain.limits import LONGEST_PART
from bridge.domain.model import ModelKey
from bridge.domain.request import (
    MANUAL,
    Feedback,
    OperatorAction,
    Outcome,
    RequestRecord,
    RequestState,
    RetrainRequest,
    request_id,
)
from bridge.domain.rule import Cooldown, Mode, Rule
from bridge.domain.times import Duration, Timestamp, format_duration, rfc3339
from bridge.domain.truncation import truncated_request
from bridge.engine.access import EngineState, EngineTransaction
from bridge.engine.engine import Engine
from bridge.engine.requests import decision_log
from bridge.engine.requests.episodes import TickTransaction
from bridge.ports import History, Pause, RequestFilter, RunAction, RunLedger

log = logging.getLogger(__name__)

_CLOSED = "sent, and no receiver reports its end"
_BY_HAND = Rule(MANUAL, "", "", cooldown=Cooldown(0))
CANCEL, START_AGAIN = "cancel", "start-again"
_PAST = {"approve": "approved", "release": "released", "withdraw": "withdrawn", CANCEL: "cancelled"}


@dataclass(frozen=True, slots=True)
class OperatorActions:
    """Operator actions on one engine. Each is committed with its author and instant before it takes effect.

    An action is committed with the idempotency key of its call. A call with the same key changes nothing, and returns
    the request as it is now: a caller whose answer was lost repeats the call, also at the next owner of a fleet.

    Every method raises RequestError (UnknownRequestError) when the present state does not allow it, and StoreError.
    """

    engine: Engine
    history: History
    ledger: RunLedger
    now: Callable[[], Timestamp]

    def act(self, request_id: str, what: str, who: str, note: str = "", key: str = "") -> RequestRecord:
        """Approve, release or withdraw a held request, or cancel or start again the runs of one in flight; return it.

        `approve` opens the gate `approval` only. `release` opens every gate. `withdraw` ends the request; its episode
        makes no other one. `cancel`, and `withdraw` of a request in flight, cancel its runs: the request ends when the
        orchestrators report that. `start-again` allows one more start call of the runs that may have been started and
        cannot be found.
        """
        with self.engine.transact(self.now, self.history) as change:
            record = self._known(request_id)
            if _repeated(record, key, what):
                return record
            if what == "withdraw" and record.state.in_flight:
                what = CANCEL
            action = OperatorAction(what, who, change.at, note, key)
            acted = structs.replace(record, acts=(*record.acts, action), updated_at=change.at)
            if what in {CANCEL, START_AGAIN}:
                change.runs += self._run_actions(record, what)
                change.draft.put_request(acted)
            elif record.state.waiting:
                said = f"{_PAST[what]} by {who}" + (f": {note}" if note else "")
                acted = self._settled(change, acted, what, said)
            else:
                needed = "awaits approval" if what == "approve" else "is held or awaits approval"
                raise RequestError(
                    f"request {request_id} is {record.state}; only one that {needed} can be {_PAST[what]}"
                )
        level = logging.WARNING if what == START_AGAIN else logging.INFO
        log.log(level, "operator action applied", extra={"request_id": request_id, "act": what, "who": who})
        return acted

    def _known(self, request_id: str) -> RequestRecord:
        record = self.history.request(request_id)
        if record is None:
            raise UnknownRequestError(f"there is no request {request_id!r}")
        return record

    def _run_actions(self, record: RequestRecord, what: str) -> list[RunAction]:
        """Return the actions that cancel the runs of a request, or that allow to start its held runs once more."""
        destinations = run_destinations(record) if record.state.in_flight else []
        if what == CANCEL and not record.state.in_flight:
            raise RequestError(f"request {record.id} is {record.state}; only one in flight can be cancelled")
        if what == CANCEL and not destinations:
            raise RequestError(f"request {record.id} started no run that the bridge could cancel")
        if what == CANCEL:
            return [RunAction(record.id, item, cancel=True) for item in destinations]
        held = [run.destination for run in self.ledger.runs(record.id) if run.held and run.destination in destinations]
        if not held:
            raise RequestError(f"request {record.id} has no run that may have been started but cannot be found")
        return [RunAction(record.id, item, cancel=False) for item in held]

    def feedback(self, request_id: str, opinion: Feedback, who: str, note: str = "", key: str = "") -> RequestRecord:
        """Record an operator's opinion on a request in any state, and return the request; the latest one counts."""
        with self.engine.transact(self.now, self.history) as change:
            record = self._known(request_id)
            if _repeated(record, key, opinion.value):
                return record
            action = OperatorAction(opinion.value, who, change.at, note, key)
            said = structs.replace(record, acts=(*record.acts, action), feedback=opinion)
            change.put_request(said)
            text = f"feedback of {who}: {opinion}" + (f": {note}" if note else "")
            group = rule_of(change.state, said).group
            decision_log.record_request_decision(change.draft, group, said, Outcome.NONE, text, change.at)
        log.info("feedback recorded", extra={"request_id": request_id, "feedback": opinion.value, "who": who})
        return said

    def _settled(self, change: EngineTransaction, acted: RequestRecord, what: str, said: str) -> RequestRecord:
        draft, at, rule = change.draft, change.at, rule_of(change.state, acted)
        group = rule.group
        if what == "withdraw":
            ended = structs.replace(
                acted, state=RequestState.WITHDRAWN, ended_at=at, hold=None, hold_until=0, message=said
            )
            draft.put_request(ended)
            decision_log.record_request_decision(draft, group, ended, Outcome.WITHDRAWN, said, at)
            return ended
        draft.put_request(acted)
        settled = change.state.gatekeeper.settle(draft, acted, rule, at)
        outcome = decision_log.outcome(settled)
        text = said if settled.hold is None else f"{said}; {decision_log.held(settled)}"
        decision_log.record_request_decision(draft, group, settled, outcome, text, at)
        return settled

    def create(self, model: ModelKey, reason: str, who: str, *, force: bool = False, key: str = "") -> RequestRecord:
        """Request a retraining by hand. A closed gate refuses it, unless `force` is set.

        The gates `approval` and `max_attempts` wait for an operator, who makes this request: they are open.
        """
        if max(map(len, model.labels().values())) > LONGEST_PART:
            raise RequestError(f"project, pipeline and version have at most {LONGEST_PART} characters")
        with self.engine.transact(self.now, self.history) as change:
            if (created := self._created(model, key)) is not None:
                return created
            at = change.at
            attempt = 1
            while self.history.request(request_id(model, MANUAL, at, attempt)) is not None:
                attempt += 1  # a second request in the same millisecond gets its own id
            id_ = request_id(model, MANUAL, at, attempt)
            request = truncated_request(RetrainRequest(model, reason, at, id_, MANUAL, at, attempt, reasons=(reason,)))
            record = RequestRecord(
                request, RequestState.HELD, at, acts=(OperatorAction("create", who, at, reason, key),)
            )
            draft, keeper = change.draft, change.state.gatekeeper
            closed = _closed_gate(change.state, draft, record, at)
            if closed and not force:
                raise RequestError(f"{closed}; use force (--force on the command line) to request it anyway")
            sent = keeper.let_go(draft, record, _by_hand(change.state), at)
            outcome, said = decision_log.outcome(sent), f"requested by {who}: {reason}"
            if closed:
                said += f"; forced: {closed}"
            if sent.state is RequestState.REQUESTED and not keeper.routing.tracked(sent.destinations):
                sent = structs.replace(sent, state=RequestState.CLOSED, ended_at=at, message=_CLOSED)
                said += f"; closed: {_CLOSED}"
            draft.put_request(sent)
            decision_log.record_request_decision(draft, "", sent, outcome, said, at)
        log.info("manual request created", extra={"request_id": sent.id, "who": who, "model": str(model)})
        return sent

    def _created(self, model: ModelKey, key: str) -> RequestRecord | None:
        """Return the request that a call with this key created; None if there is none among the latest ones."""
        which = RequestFilter(project=model.project, pipeline=model.pipeline, version=model.version, rule=MANUAL)
        latest = self.history.requests(which) if key else []
        return next((record for record in latest if record.act_of(key) is not None), None)

    def refusal(self, model: ModelKey) -> str:
        """Return why `create` would refuse a request now without `force`; "" if it would not."""
        at = self.now()
        request = RetrainRequest(model, "", at, "", MANUAL, at)
        with self.engine.read() as state:
            return _closed_gate(state, state.draft(), RequestRecord(request, RequestState.HELD, at), at)

    def pause(self, project: str, pipeline: str, length: Duration, who: str, note: str = "") -> Pause:
        """Send no request of a pipeline or project ("" = any) for `length` ms; 0 ends the pause."""
        with self.engine.transact(self.now, self.history) as change:
            pause = Pause(project, pipeline, change.at + length, who, change.at, note)
            change.pause = pause
        log.warning(
            "requests paused" if length else "requests resumed",
            extra={"project": project, "pipeline": pipeline, "who": who, "for": format_duration(length)},
        )
        return pause

    def pauses(self) -> list[Pause]:
        """Return the pauses that have not ended."""
        with self.engine.read() as state:
            return [item for item in state.episode_index.pauses if item.until > self.now()]


def _closed_gate(state: EngineState, draft: TickTransaction, record: RequestRecord, at: Timestamp) -> str:
    """Return which gate is closed for a request by hand, and until when; "" if none is.

    Its cooldown is the longest of the rules that evaluate its pipeline.
    """
    keeper, owner = state.gatekeeper, record.owner
    rows = state.table.of(owner)
    unhelpful = draft.load(owner, keeper.gates.in_flight_limit).unhelpful
    cooldowns = [
        run.rule.cooldown.after(unhelpful)
        for run in state.rules.values()
        if run.rule.requests_retraining and any(row < len(run.live.known) and run.live.known[row] for row in rows)
    ]
    rule = replace(_BY_HAND, cooldown=Cooldown(max(cooldowns, default=0)))
    hold = keeper.hold(draft, record, rule, at)
    if hold is None:
        return ""
    return f"{owner}: gate {hold.reason} is closed" + (f" until {rfc3339(hold.until)}" if hold.until else "")


def _repeated(record: RequestRecord, key: str, what: str) -> bool:
    """Return whether a call with this key has performed the action. Raises RequestError if it performed another."""
    done = record.act_of(key)
    if done is not None and done.what not in {what, CANCEL if what == "withdraw" else what}:
        raise RequestError(f"the Idempotency-Key was used for another action on request {record.id}: {done.what}")
    return done is not None


def run_destinations(record: RequestRecord) -> list[str]:
    """Return the destinations of a request that start runs."""
    return [item for item in record.destinations if Destination.parse(item).integration == RUN]


def rule_of(state: EngineState, record: RequestRecord) -> Rule:
    """Return the leading rule, else another rule of the episode, else a rule without cooldown."""
    rules, episode = state.rules, state.episode_index.episodes.get(record.request.model)
    names = (record.request.rule, *(() if episode is None else episode.rules))
    return next((rules[name].rule for name in names if name in rules), _by_hand(state))


def _by_hand(state: EngineState) -> Rule:
    """Return the rule of manual requests."""
    return replace(_BY_HAND, mode=Mode.DRY_RUN) if state.settings.dry_run else _BY_HAND
