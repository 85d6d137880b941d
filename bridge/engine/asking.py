"""Requests of episodes: made, put before the gates, looked at again while they wait, asked anew, and ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.domain.model import ModelKey
from bridge.domain.request import (
    Episode,
    HoldReason,
    Outcome,
    RequestRecord,
    RequestState,
    RetrainRequest,
    Verdict,
    request_id,
)
from bridge.domain.rule import Group, Rule
from bridge.domain.times import Timestamp
from bridge.domain.verdict import Code
from bridge.engine import helping, noting
from bridge.engine.book import Draft
from bridge.engine.gatekeeping import Gatekeeper
from bridge.engine.rule_run import Evaluation, RuleRun
from bridge.ports import Kind, NewDelivery

_FAILED = {RequestState.FAILED, RequestState.LOST}


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks for one group. runs: every rule of the bridge by name (an episode may link rules of other groups)."""

    group: Group
    runs: Mapping[str, RuleRun]
    keeper: Gatekeeper

    def request(
        self, episode: Episode, fired: Sequence[Evaluation], slot: Timestamp, *, attempt: int, late: bool
    ) -> RetrainRequest:
        """The request of an attempt, with what its rules see now."""
        leader = self.runs[episode.leader]
        model_slot = leader.table.slot(episode.model)
        reasons = tuple(evaluation.describe(model_slot) for evaluation in fired)
        return RetrainRequest(
            model=episode.model,
            reason=reasons[0],
            triggered_at=slot,
            id=request_id(episode.model, episode.leader, episode.started_at, attempt),
            rule=episode.leader,
            episode_start=episode.started_at,
            attempt=attempt,
            reasons=reasons,
            evidence=tuple(item for evaluation in fired for item in noting.evidence(evaluation, model_slot)),
            labels=dict(leader.rule.labels),
            annotations=fired[0].run.rendered(model_slot),
            late=late,
        )

    def ask(self, draft: Draft, request: RetrainRequest, fired: Sequence[Evaluation], slot: Timestamp) -> None:
        """Make the request: sent when every gate is open, else held. The episode counts the attempt."""
        episode = draft.episode(request.model)
        if episode is not None:
            draft.put_episode(replace(episode, attempts=request.attempt))
        record = RequestRecord(request, RequestState.HELD, slot)
        settled = self.keeper.settle(draft, record, self._rule(request.rule), slot)
        outcome = noting.outcome(settled)
        if not fired:
            self._decided(draft, settled, outcome, f"{request.reason}; caught up after a down-time", slot)
        for place, evaluation in enumerate(fired):
            model_slot = evaluation.run.table.slot(request.model)
            text = evaluation.describe(model_slot) + ("; caught up after a down-time" if request.late else "")
            if settled.hold is not None:
                text += f"; held: {settled.hold}"
            elif settled.state is RequestState.RECORDED:
                text += "; dry run: sent to nobody"
            before, own = "firing" if request.attempt > 1 or request.late else "pending", outcome
            if place:
                own, text = Outcome.JOINED, f"{text}; joins the request led by {request.rule}"
            noting.note(
                draft, self.group, evaluation.run, model_slot, own, evaluation.slot, before, "firing", text, request.id
            )

    def _rule(self, name: str, instead: Rule | None = None) -> Rule:
        return instead if instead is not None and name not in self.runs else self.runs[name].rule

    def _decided(self, draft: Draft, record: RequestRecord, outcome: Outcome, reason: str, slot: Timestamp) -> None:
        noting.decided(draft, self.group.name, record, outcome, reason, slot)

    # ------------------------------------------------------------ the end of an episode

    def end_episode(self, draft: Draft, episode: Episode, slot: Timestamp, why: str) -> None:
        """Close an episode: a held request is withdrawn, receivers that want it are told."""
        record, unasked = draft.request(episode.model), draft.unasked.pop(episode.model, None)
        if unasked is not None and record is None:
            record = RequestRecord(
                unasked, RequestState.MISSED, slot, ended_at=slot, message="ended before it was seen"
            )
            draft.put_request(record)
            self._decided(draft, record, Outcome.MISSED, "episode began and ended while the bridge was down", slot)
        elif record is not None:
            self._end_request(draft, record, slot, why)
        draft.put_episode(replace(episode, ended_at=slot, end_reason=why))

    def _end_request(self, draft: Draft, record: RequestRecord, slot: Timestamp, why: str) -> None:
        if record.state.waiting:
            ended = replace(
                record, state=RequestState.WITHDRAWN, updated_at=slot, ended_at=slot, message=why, hold=None
            )
            draft.put_request(ended)
            self._decided(draft, ended, Outcome.WITHDRAWN, f"episode ended ({why}) while the request was held", slot)
            return
        routing = self.keeper.routing
        if record.state.in_flight and not routing.tracked(record.destinations):
            draft.put_request(replace(record, state=RequestState.CLOSED, updated_at=slot, ended_at=slot, message=why))
        for destination in record.destinations if record.sent_at else ():
            if routing.wants_resolved(destination):
                draft.deliveries.append(NewDelivery(record.id, destination, Kind.RESOLVED))

    # ------------------------------------------------------------ later slots

    def go_on(self, draft: Draft, evaluations: Mapping[str, Evaluation], slot: Timestamp) -> None:
        """What time alone may change: flights that never land, whether a retraining helped, and open episodes."""
        self._expire_flights(draft, slot)
        self._judge_retrainings(draft, evaluations, slot)
        self._reconsider(draft, evaluations, slot)

    def _expire_flights(self, draft: Draft, slot: Timestamp) -> None:
        """No end of a request was reported for too long: it no longer counts as running."""
        for record in draft.book.overdue(slot, self.keeper.gates.in_flight_limit):
            if record.id not in draft.requests:
                message = "no end of it was reported within in_flight_limit"
                lost = replace(record, state=RequestState.LOST, updated_at=slot, ended_at=slot, message=message)
                draft.put_request(lost)
                self._decided(draft, lost, Outcome.NONE, f"lost: {message}", slot)

    def _judge_retrainings(self, draft: Draft, evaluations: Mapping[str, Evaluation], slot: Timestamp) -> None:
        """Of the retrainings that this group's rules led to: did they help?"""
        gates = self.keeper.gates
        for record in list(draft.book.unjudged.values()):
            if record.request.rule not in evaluations and record.request.rule in self.runs:
                continue
            found = helping.verdict(record, self.runs, slot, gates.settle, gates.verdict_limit)
            if found is not None:
                verdict, why = found
                judged = replace(record, verdict=verdict, verdict_at=slot)
                draft.put_request(judged)
                self._decided(draft, judged, Outcome.JUDGED, f"{verdict.replace('_', ' ')}: {why}", slot)

    def _reconsider(self, draft: Draft, evaluations: Mapping[str, Evaluation], slot: Timestamp) -> None:
        """Open episodes whose request is held, over or not made yet."""
        for model in list(draft.waiting()):
            episode = draft.episode(model)
            if episode is None or episode.started_at == slot:
                continue
            linked = [evaluations[name] for name in episode.rules if name in evaluations]
            record, unasked = draft.request(model), draft.unasked.pop(model, None)
            if unasked is not None:  # now or never, even if its rules could not be judged in this slot
                self.ask(draft, unasked, linked[:1], slot)
            if not linked or unasked is not None or record is None:
                continue
            breached = [evaluation for evaluation in linked if self._breached(evaluation, model)]
            if record.state.waiting:
                self._recheck(draft, record, linked[0].run.rule, slot)
            elif breached and self._may_ask_again(draft, record, slot):
                attempt = record.request.attempt + 1
                again = self.request(episode, breached, slot, attempt=attempt, late=False)
                self.ask(draft, again, breached, slot)

    def _may_ask_again(self, draft: Draft, record: RequestRecord, slot: Timestamp) -> bool:
        """The next attempt of an episode needs the last one over, known not to have helped, and its cooldown over."""
        helped = record.verdict in {None, Verdict.RECOVERED}
        if record.request.rule not in self.runs or (record.state not in _FAILED and helped):
            return False
        hold = self.keeper.hold(draft, record, self._rule(record.request.rule), slot)
        return hold is None or hold.reason is not HoldReason.COOLDOWN

    @staticmethod
    def _breached(evaluation: Evaluation, model: ModelKey) -> bool:
        return bool(evaluation.run.staged.code[evaluation.run.table.slot(model)] == Code.BREACHED)

    def _recheck(self, draft: Draft, record: RequestRecord, linked: Rule, slot: Timestamp) -> None:
        """A held request: has its gate opened, or has it been held for too long?

        linked: a rule that still belongs to the episode; its gates count when the leading rule was edited away.
        """
        if slot - record.request.triggered_at >= self.keeper.gates.hold_limit:
            expired = replace(record, state=RequestState.EXPIRED, updated_at=slot, ended_at=slot, hold=None)
            draft.put_request(expired)
            self._decided(draft, expired, Outcome.EXPIRED, "held for longer than hold_limit", slot)
            return
        settled = self.keeper.settle(draft, record, self._rule(record.request.rule, linked), slot)
        if not settled.state.waiting:
            self._decided(draft, settled, noting.outcome(settled), f"released: {record.hold} is over", slot)
        elif settled.hold != record.hold:
            self._decided(draft, settled, noting.outcome(settled), f"held: {settled.hold}", slot)
