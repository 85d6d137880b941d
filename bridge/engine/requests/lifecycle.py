"""Requests of episodes: made, put before the gates, looked at again while they wait, asked anew, and ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.domain.fitting import fitted
from bridge.domain.model import ModelKey
from bridge.domain.request import (
    Episode,
    HoldReason,
    Outcome,
    RecoveryVerdict,
    RequestRecord,
    RequestState,
    RetrainRequest,
    request_id,
)
from bridge.domain.rule import Group, Rule
from bridge.domain.times import MINUTE, Timestamp
from bridge.domain.verdict import Code
from bridge.engine.evaluation.rule import Evaluation, RuleEvaluator
from bridge.engine.requests import decision_log, recovery
from bridge.engine.requests.episodes import TickTransaction
from bridge.engine.requests.gates import Gatekeeper
from bridge.ports import Kind, NewDelivery

_FAILED = {RequestState.FAILED, RequestState.LOST, RequestState.UNDELIVERED}
REFUSED_FOR = 5 * MINUTE  # at least so long is a receiver that took nothing not asked for the same episode


@dataclass(frozen=True, slots=True)
class RequestLifecycle:
    """Asks for one group. runs: every rule of the bridge by name (an episode may link rules of other groups)."""

    group: Group
    runs: Mapping[str, RuleEvaluator]
    keeper: Gatekeeper

    def request(
        self, episode: Episode, fired: Sequence[Evaluation], slot: Timestamp, *, attempt: int, late: bool
    ) -> RetrainRequest:
        """The request of an attempt, with what its rules see now."""
        leader = self.runs[episode.leader]
        model_slot = leader.table.row(episode.model)
        reasons = tuple(evaluation.describe(model_slot) for evaluation in fired)
        made = RetrainRequest(
            model=episode.model,
            reason=reasons[0],
            triggered_at=slot,
            id=request_id(episode.model, episode.leader, episode.started_at, attempt),
            rule=episode.leader,
            episode_start=episode.started_at,
            attempt=attempt,
            reasons=reasons,
            evidence=tuple(item for evaluation in fired for item in decision_log.evidence(evaluation, model_slot)),
            labels=leader.alert_labels(model_slot),
            annotations=fired[0].run.rendered(model_slot),
            late=late,
        )
        return fitted(made)

    def ask(
        self, draft: TickTransaction, request: RetrainRequest, fired: Sequence[Evaluation], slot: Timestamp
    ) -> None:
        """Make the request: sent when every gate is open, else held. The episode counts the attempt."""
        episode = draft.episode(request.model)
        if episode is not None:
            draft.put_episode(replace(episode, attempts=request.attempt))
        record = RequestRecord(request, RequestState.HELD, slot)
        settled = self.keeper.settle(draft, record, self._rule(request.rule), slot)
        outcome = decision_log.outcome(settled)
        if not fired:
            self._decided(draft, settled, outcome, f"{request.reason}; caught up after a down-time", slot)
        for place, evaluation in enumerate(fired):
            model_slot = evaluation.run.table.row(request.model)
            text = evaluation.describe(model_slot) + ("; caught up after a down-time" if request.late else "")
            if settled.hold is not None:
                text += f"; held: {settled.hold}"
            elif settled.state is RequestState.RECORDED:
                text += "; dry run: sent to nobody"
            before, own = "firing" if request.attempt > 1 or request.late else "pending", outcome
            if place:
                own, text = Outcome.JOINED, f"{text}; joins the request led by {request.rule}"
            decision_log.note(
                draft, self.group, evaluation.run, model_slot, own, evaluation.slot, before, "firing", text, request.id
            )

    def _rule(self, name: str, instead: Rule | None = None) -> Rule:
        return instead if instead is not None and name not in self.runs else self.runs[name].rule

    def _decided(
        self, draft: TickTransaction, record: RequestRecord, outcome: Outcome, reason: str, slot: Timestamp
    ) -> None:
        decision_log.decided(draft, self.group.name, record, outcome, reason, slot)

    # ------------------------------------------------------------ the end of an episode

    def end_episode(self, draft: TickTransaction, episode: Episode, slot: Timestamp, why: str) -> None:
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

    def _end_request(self, draft: TickTransaction, record: RequestRecord, slot: Timestamp, why: str) -> None:
        if record.state.waiting:
            ended = replace(
                record, state=RequestState.WITHDRAWN, updated_at=slot, ended_at=slot, message=why, hold=None
            )
            draft.put_request(ended)
            self._decided(draft, ended, Outcome.WITHDRAWN, f"episode ended ({why}) while the request was held", slot)
            return
        unreported = record.state is RequestState.REQUESTED and not record.reference
        if unreported and not self.keeper.routing.tracked(record.destinations):
            draft.put_request(replace(record, state=RequestState.CLOSED, updated_at=slot, ended_at=slot, message=why))
        self._tell_over(draft, record)

    # ------------------------------------------------------------ later slots

    def before(self, draft: TickTransaction, evaluations: Mapping[str, Evaluation], slot: Timestamp) -> None:
        """What comes before new requests: flights that never landed, whether a retraining helped, and what waits."""
        self._expire_flights(draft, slot)
        self._judge_retrainings(draft, slot)
        self._reconsider(draft, evaluations, slot, waiting=True)

    def go_on(self, draft: TickTransaction, evaluations: Mapping[str, Evaluation], slot: Timestamp) -> None:
        """What time alone may change of open episodes: attempts that were not made yet, or that come next."""
        self._reconsider(draft, evaluations, slot, waiting=False)

    def _expire_flights(self, draft: TickTransaction, slot: Timestamp) -> None:
        """No end of a request was reported for too long: it no longer counts as running."""
        for record in draft.book.overdue(slot, self.keeper.gates.in_flight_limit):
            if record.id not in draft.requests:
                message = "no end of it was reported within in_flight_limit"
                lost = replace(record, state=RequestState.LOST, updated_at=slot, ended_at=slot, message=message)
                draft.put_request(lost)
                self._decided(draft, lost, Outcome.NONE, f"lost: {message}", slot)

    def _judge_retrainings(self, draft: TickTransaction, slot: Timestamp) -> None:
        """Of the retrainings that this group's rules led to, or nobody's any more: did they help?"""
        gates, mine = self.keeper.gates, {rule.name for rule in self.group.rules}
        for record in list(draft.book.unjudged.values()):
            if record.request.rule not in mine and record.request.rule in self.runs:
                continue
            rules = draft.book.rules_of(record)
            found = recovery.verdict(record, rules, self.runs, slot, gates.settle, gates.verdict_limit)
            if found is not None:
                verdict, why = found
                judged = replace(record, verdict=verdict, verdict_at=slot)
                draft.put_request(judged)
                self._decided(draft, judged, Outcome.JUDGED, f"{verdict.replace('_', ' ')}: {why}", slot)
                self._count_unhelpful(draft, judged)

    @staticmethod
    def _count_unhelpful(draft: TickTransaction, judged: RequestRecord) -> None:
        """A later request of the pipeline went before this was known: it follows one more that did not help."""
        latest = draft.book.latest_of(judged.owner)
        later = latest is not None and latest.id != judged.id and latest.sent_at >= judged.sent_at
        if latest is not None and later and judged.verdict is RecoveryVerdict.NOT_RECOVERED:
            known = draft.requests.get(latest.id, latest)
            draft.put_request(replace(known, unhelpful=max(known.unhelpful, judged.unhelpful + 1)))

    def _reconsider(
        self, draft: TickTransaction, evaluations: Mapping[str, Evaluation], slot: Timestamp, *, waiting: bool
    ) -> None:
        """Open episodes whose request waits, or else those where it is over or not made yet."""
        mine = {rule.name: rule for rule in self.group.rules}
        for model in list(draft.waiting()):
            episode = draft.episode(model)
            if episode is None or episode.started_at == slot:
                continue
            current = draft.request(model)
            if waiting != (current is not None and current.state.waiting):
                continue
            rules = [mine[name] for name in episode.rules if name in mine]
            linked = [evaluations[name] for name in episode.rules if name in evaluations]
            record, unasked = current, draft.unasked.pop(model, None)
            if unasked is not None:  # now or never, even if its rules could not be judged in this slot
                self.ask(draft, unasked, linked[:1], slot)
            if not rules or unasked is not None or record is None:
                continue
            breached = [evaluation for evaluation in linked if self._breached(evaluation, model)]
            if record.state.waiting:
                healthy = bool(linked) and all(self._code(evaluation, model) == Code.OK for evaluation in linked)
                self._recheck(draft, record, rules[0], slot, healthy=healthy)
            elif breached and self._may_ask_again(draft, record, rules[0], slot):
                self._tell_over(draft, record)
                if episode.leader not in self.runs:
                    episode = replace(episode, leader=breached[0].run.rule.name)
                    draft.put_episode(episode)
                attempt = record.request.attempt + 1
                again = self.request(episode, breached, slot, attempt=attempt, late=False)
                self.ask(draft, again, breached, slot)

    def _tell_over(self, draft: TickTransaction, record: RequestRecord) -> None:
        """Receivers that want to know are told that a request is over, though its episode is not."""
        heard = record.sent_at and record.state is not RequestState.UNDELIVERED
        for destination in record.destinations if heard else ():
            if self.keeper.routing.wants_resolved(destination):
                draft.deliveries.append(NewDelivery(record.id, destination, Kind.RESOLVED))

    def _may_ask_again(self, draft: TickTransaction, record: RequestRecord, linked: Rule, slot: Timestamp) -> bool:
        """The next attempt of an episode needs the last one over, known not to have helped, and its cooldown over."""
        helped = record.verdict in {None, RecoveryVerdict.RECOVERED}
        if record.state not in _FAILED and helped:
            return False
        rule = self._rule(record.request.rule, linked)
        if record.state is RequestState.UNDELIVERED:
            wait = max(rule.cooldown.after(record.unhelpful), REFUSED_FOR)
            return slot >= record.ended_at + wait
        hold = self.keeper.hold(draft, record, rule, slot)
        return hold is None or hold.reason is not HoldReason.COOLDOWN

    @staticmethod
    def _code(evaluation: Evaluation, model: ModelKey) -> int:
        return int(evaluation.run.staged.code[evaluation.run.table.row(model)])

    @staticmethod
    def _breached(evaluation: Evaluation, model: ModelKey) -> bool:
        return bool(evaluation.run.staged.code[evaluation.run.table.row(model)] == Code.BREACHED)

    def _recheck(
        self, draft: TickTransaction, record: RequestRecord, linked: Rule, slot: Timestamp, *, healthy: bool
    ) -> None:
        """A held request: has its gate opened, or has it been held for too long?

        linked: a rule that still belongs to the episode; its gates count when the leading rule was edited away.
        healthy: nothing is breached now (`keep_firing_for` keeps the episode): it is not sent, whatever the gates say.
        """
        if slot - record.request.triggered_at >= self.keeper.gates.hold_limit:
            expired = replace(record, state=RequestState.EXPIRED, updated_at=slot, ended_at=slot, hold=None)
            draft.put_request(expired)
            self._decided(draft, expired, Outcome.EXPIRED, "held for longer than hold_limit", slot)
            return
        if healthy:
            return
        settled = self.keeper.settle(draft, record, self._rule(record.request.rule, linked), slot)
        if not settled.state.waiting:
            self._decided(draft, settled, decision_log.outcome(settled), f"released: {record.hold} is over", slot)
        elif settled.hold != record.hold:
            self._decided(draft, settled, decision_log.outcome(settled), f"held: {settled.hold}", slot)
