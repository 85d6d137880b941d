"""Life cycle of requests: created, checked by the gates, rechecked while held, retried, and ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

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
from bridge.domain.truncation import truncated_request
from bridge.domain.verdict import Code
from bridge.engine.evaluation.evaluation import Evaluation
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.requests import decision_log, recovery
from bridge.engine.requests.episodes import TickTransaction
from bridge.engine.requests.gates import Gatekeeper
from bridge.engine.requests.rechecks import POSTPONED
from bridge.ports import Kind, NewDelivery

_FAILED = {RequestState.FAILED, RequestState.LOST, RequestState.UNDELIVERED}
REFUSED_FOR = 5 * MINUTE  # minimum time before an undelivered request of an episode is followed by another


def may_follow(record: RequestRecord) -> bool:
    """Return whether another attempt of the episode may follow: this one did not help, and no operator ended it."""
    helped = record.verdict in {None, RecoveryVerdict.RECOVERED}
    return (record.state in _FAILED or not helped) and not record.acted("cancel")


@dataclass(frozen=True, slots=True)
class RequestLifecycle:
    """Life cycle of the requests of one group.

    runs: every rule of the bridge, by name: an episode may link rules of other groups.
    version_since: returns the version of the model's pipeline that was first seen after an instant, "" if none.
    """

    group: Group
    runs: Mapping[str, RuleEvaluator]
    keeper: Gatekeeper
    version_since: Callable[[ModelKey, Timestamp], str]

    def request(
        self, episode: Episode, fired: Sequence[Evaluation], slot: Timestamp, *, attempt: int, late: bool
    ) -> RetrainRequest:
        """Return the request of an attempt, with the current numbers of its rules."""
        leader = self.runs[episode.leader]
        model_slot = leader.table.row(episode.model)
        reasons = tuple([evaluation.describe(model_slot) for evaluation in fired])
        evidence = tuple([item for evaluation in fired for item in decision_log.evidence(evaluation, model_slot)])
        id_ = request_id(episode.model, episode.leader, episode.started_at, attempt)
        annotations = self.runs[fired[0].rule.name].alert_annotations(model_slot)
        made = RetrainRequest(  # by position: by name, it would take four times as long
            episode.model, reasons[0], slot, id_, episode.leader, episode.started_at, attempt, reasons, evidence,
            leader.alert_labels(model_slot), annotations, late,
        )  # fmt: skip
        return truncated_request(made)

    def submit(
        self, tick: TickTransaction, request: RetrainRequest, fired: Sequence[Evaluation], slot: Timestamp
    ) -> None:
        """Send the request if every gate is open, else hold it. The episode counts the attempt.

        fired: the rules that start firing or are breached now; none for a late request, whose rules fired earlier.
        """
        episode = tick.episode(request.model)
        if episode is not None and episode.attempts != request.attempt:
            tick.put_episode(replace(episode, attempts=request.attempt))
        record = RequestRecord(request, RequestState.HELD, slot)
        settled = self.keeper.settle(tick, record, self._rule(request.rule), slot)
        outcome, suffix = decision_log.outcome(settled), ""
        if settled.hold is not None:
            suffix = f"; {decision_log.held(settled)}"
        elif settled.state is RequestState.RECORDED:
            suffix = "; dry run: not sent"
        if request.late:
            self._decided(tick, settled, outcome, f"{request.reason}; caught up after downtime{suffix}", slot)
        for index, evaluation in enumerate(fired):
            row = evaluation.table.row(request.model)
            text, own = evaluation.describe(row) + suffix, outcome
            if index:
                own, text = Outcome.JOINED, f"{text}; joins the request led by {request.rule}"
            before = "firing" if request.attempt > 1 else "pending"
            decision_log.record_transition(tick, self.group, evaluation, row, own, before, "firing", text, request.id)

    def _rule(self, name: str, fallback: Rule | None = None) -> Rule:
        return fallback if fallback is not None and name not in self.runs else self.runs[name].rule

    def _decided(
        self, tick: TickTransaction, record: RequestRecord, outcome: Outcome, reason: str, slot: Timestamp
    ) -> None:
        decision_log.record_request_decision(tick, self.group.name, record, outcome, reason, slot)

    # ------------------------------------------------------------ the end of an episode

    def end_episode(self, tick: TickTransaction, episode: Episode, slot: Timestamp, why: str) -> None:
        """End an episode: withdraw a held request, and notify receivers that want resolved notifications."""
        record, deferred = tick.request(episode.model), tick.deferred.pop(episode.model, None)
        if deferred is not None and record is None:
            record = RequestRecord(
                deferred, RequestState.MISSED, slot, ended_at=slot, message="ended while the bridge was down"
            )
            tick.put_request(record)
            self._decided(tick, record, Outcome.MISSED, "episode began and ended while the bridge was down", slot)
        elif record is not None:
            self._end_request(tick, record, slot, why)
        tick.put_episode(replace(episode, ended_at=slot, end_reason=why))

    def _end_request(self, tick: TickTransaction, record: RequestRecord, slot: Timestamp, why: str) -> None:
        if record.state.waiting:
            ended = replace(
                record, state=RequestState.WITHDRAWN, updated_at=slot, ended_at=slot, message=why, hold=None
            )
            tick.put_request(ended)
            self._decided(tick, ended, Outcome.WITHDRAWN, f"episode ended ({why}) while the request was held", slot)
            return
        unreported = record.state is RequestState.REQUESTED and not record.reference
        if unreported and not self.keeper.routing.tracked(record.destinations):
            tick.put_request(replace(record, state=RequestState.CLOSED, updated_at=slot, ended_at=slot, message=why))
        self._send_resolved(tick, record)

    # ------------------------------------------------------------ later slots

    def advance(self, tick: TickTransaction, evaluations: Mapping[str, Evaluation], slot: Timestamp) -> None:
        """Update existing requests before new ones: expire, judge recovery, recheck the held ones."""
        gates = self.keeper.gates
        budgets = any((gates.total, gates.per_project, gates.per_pipeline))
        tick.committed.rechecks.begin(slot, self.keeper.storms, budgets=budgets)
        self._expire_in_flight(tick, slot)
        self._judge_recovery(tick, slot)
        self._reconsider(tick, evaluations, slot, waiting=True)

    def start_attempts(self, tick: TickTransaction, evaluations: Mapping[str, Evaluation], slot: Timestamp) -> None:
        """Make the requests of open episodes that are deferred or due for another attempt."""
        self._reconsider(tick, evaluations, slot, waiting=False)

    def _expire_in_flight(self, tick: TickTransaction, slot: Timestamp) -> None:
        """Mark requests as lost whose outcome was not reported in time."""
        for record in tick.committed.overdue(slot, self.keeper.gates.in_flight_limit):
            if record.id not in tick.requests:
                message = "no outcome was reported within in_flight_limit"
                lost = replace(record, state=RequestState.LOST, updated_at=slot, ended_at=slot, message=message)
                tick.put_request(lost)
                self._decided(tick, lost, Outcome.NONE, f"lost: {message}", slot)

    def _judge_recovery(self, tick: TickTransaction, slot: Timestamp) -> None:
        """Judge whether retrainings helped that this group's rules, or no remaining rule, led to."""
        gates, mine = self.keeper.gates, {rule.name for rule in self.group.rules}
        for known in list(tick.committed.unjudged.values()):
            if known.request.rule not in mine and known.request.rule in self.runs:
                continue
            record = self._with_version(tick, known)
            rules = tick.committed.rules_of(record)
            result = recovery.verdict(record, rules, self.runs, slot, gates.settle, gates.verdict_limit)
            if result is not None:
                verdict, why = result
                judged = replace(record, verdict=verdict, verdict_at=slot)
                tick.put_request(judged)
                self._decided(tick, judged, Outcome.JUDGED, f"{verdict.replace('_', ' ')}: {why}", slot)
                self._count_unhelpful(tick, judged)

    def _with_version(self, tick: TickTransaction, record: RequestRecord) -> RequestRecord:
        """Return a successful request with its new version: the reported one, else the one that the series show."""
        version = "" if record.new_version else self.version_since(record.request.model, record.sent_at)
        if not version:
            return record
        found = replace(record, new_version=version)
        tick.put_request(found)
        return found

    @staticmethod
    def _count_unhelpful(tick: TickTransaction, judged: RequestRecord) -> None:
        """Count an unhelpful retraining in a later request that was sent before the verdict."""
        latest = tick.committed.latest_of(judged.owner)
        later = latest is not None and latest.id != judged.id and latest.sent_at >= judged.sent_at
        if latest is not None and later and judged.verdict is RecoveryVerdict.NOT_RECOVERED:
            known = tick.requests.get(latest.id, latest)
            tick.put_request(replace(known, unhelpful=max(known.unhelpful, judged.unhelpful + 1)))

    def _reconsider(
        self, tick: TickTransaction, evaluations: Mapping[str, Evaluation], slot: Timestamp, *, waiting: bool
    ) -> None:
        """Recheck open episodes: those with a held request if `waiting`, else those without an active one."""
        mine = {rule.name: rule for rule in self.group.rules}
        for model in list(tick.waiting(slot)):
            episode = tick.episode(model)
            if episode is None:
                continue
            current = tick.request(model)
            if waiting != (current is not None and current.state.waiting):
                continue
            rules = [mine[name] for name in episode.rules if name in mine]
            linked = [evaluations[name] for name in episode.rules if name in evaluations]
            record, deferred = current, tick.deferred.pop(model, None)
            if deferred is not None:  # decide now, even if its rules have no verdict in this slot
                self.submit(tick, deferred, (), slot)
            if not rules or deferred is not None or record is None:
                continue
            breached = [evaluation for evaluation in linked if self._breached(evaluation, model)]
            if record.state.waiting:
                healthy = bool(linked) and all(self._code(evaluation, model) == Code.OK for evaluation in linked)
                self._recheck(tick, record, rules[0], slot, healthy=healthy)
            elif breached and self._may_retry(tick, record, rules[0], slot):
                self._send_resolved(tick, record)
                if episode.leader not in self.runs:
                    episode = replace(episode, leader=breached[0].rule.name)
                    tick.put_episode(episode)
                attempt = record.request.attempt + 1
                retry = self.request(episode, breached, slot, attempt=attempt, late=False)
                self.submit(tick, retry, breached, slot)

    def _send_resolved(self, tick: TickTransaction, record: RequestRecord) -> None:
        """Queue resolved notifications for a request that has ended."""
        notified = record.sent_at and record.state is not RequestState.UNDELIVERED
        if not notified:
            return
        for destination in record.destinations:
            if self.keeper.routing.wants_resolved(destination):
                tick.deliveries.append(NewDelivery(record.id, destination, Kind.RESOLVED))

    def _may_retry(self, tick: TickTransaction, record: RequestRecord, linked: Rule, slot: Timestamp) -> bool:
        """Return whether another attempt may follow the last one, and its cooldown is over."""
        if not may_follow(record):
            return False
        rule = self._rule(record.request.rule, linked)
        if record.state is RequestState.UNDELIVERED:
            wait = max(rule.cooldown.after(record.unhelpful), REFUSED_FOR)
            return slot >= record.ended_at + wait
        hold = self.keeper.hold(tick, record, rule, slot)
        return hold is None or hold.reason is not HoldReason.COOLDOWN

    @staticmethod
    def _code(evaluation: Evaluation, model: ModelKey) -> int:
        return int(evaluation.columns.code[evaluation.table.row(model)])

    @staticmethod
    def _breached(evaluation: Evaluation, model: ModelKey) -> bool:
        return bool(evaluation.columns.code[evaluation.table.row(model)] == Code.BREACHED)

    def _recheck(
        self, tick: TickTransaction, record: RequestRecord, linked: Rule, slot: Timestamp, *, healthy: bool
    ) -> None:
        """Recheck a held request: send it if its gate has opened, expire it if it was held for too long.

        linked: a rule of the episode, whose settings apply if the leading rule was removed.
        healthy: True if nothing is breached now (`keep_firing_for` keeps the episode open): the request is not sent.
        """
        if slot - record.request.triggered_at >= self.keeper.gates.hold_limit:
            expired = replace(record, state=RequestState.EXPIRED, updated_at=slot, ended_at=slot, hold=None)
            tick.put_request(expired)
            self._decided(tick, expired, Outcome.EXPIRED, "held for longer than hold_limit", slot)
            return
        if healthy:
            return
        settled = self.keeper.settle(tick, record, self._rule(record.request.rule, linked), slot)
        if not settled.state.waiting:
            self._decided(tick, settled, decision_log.outcome(settled), f"released: {record.hold} ended", slot)
        elif settled.hold != record.hold:
            self._decided(tick, settled, decision_log.outcome(settled), decision_log.held(settled), slot)
        elif settled == record and settled.hold in POSTPONED:
            expires = record.request.triggered_at + self.keeper.gates.hold_limit
            tick.postponed[record.request.model] = min(settled.hold_until or expires, expires)
