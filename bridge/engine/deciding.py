"""From moved rules to episodes, requests and decisions. Pure but for the draft that it fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from bridge.domain import gate
from bridge.domain.alert import State
from bridge.domain.model import ModelKey
from bridge.domain.request import (
    Decision,
    Episode,
    Evidence,
    HoldReason,
    Outcome,
    RequestRecord,
    RequestState,
    RetrainRequest,
    request_id,
)
from bridge.domain.rule import Gates, Group, Rule
from bridge.domain.times import Timestamp
from bridge.domain.verdict import Cause, Code
from bridge.engine.book import Draft
from bridge.engine.rule_run import Evaluation, RuleRun
from bridge.ports import Kind, NewDelivery

REQUEST_ALERT = "ModelRetrainRequested"
_RETRY_AFTER = {RequestState.FAILED, RequestState.LOST, RequestState.SUCCEEDED}


@dataclass(frozen=True, slots=True)
class Way:
    """Where a request goes: receivers by name, and their destinations ("receiver/integration/index")."""

    receivers: tuple[str, ...]
    destinations: tuple[str, ...]


class Routing(Protocol):
    """The configured routes."""

    def way(self, labels: Mapping[str, str]) -> Way: ...

    def tracked(self, destinations: Sequence[str]) -> bool:
        """Whether one of them reports what became of a request."""
        ...

    def wants_resolved(self, destination: str) -> bool:
        """Whether the destination is told through the outbox that an episode ended."""
        ...


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides one group's slots. runs: every rule of the bridge by name (an episode may link rules of other groups)."""

    group: Group
    runs: Mapping[str, RuleRun]
    routing: Routing
    gates: Gates

    def slot(self, draft: Draft, evaluations: Sequence[Evaluation], slot: Timestamp, *, live: bool) -> None:
        """Decide one slot. `live` False while catching up: then requests wait for the present slot."""
        for evaluation in evaluations:
            self._note_moves(draft, evaluation)
        by_model: dict[ModelKey, list[Evaluation]] = {}
        for evaluation in evaluations:
            for model_slot in evaluation.moves.fired.tolist():
                by_model.setdefault(evaluation.run.table[model_slot], []).append(evaluation)
        for model in sorted(by_model):
            self._fired(draft, model, by_model[model], slot, live=live)
        for evaluation in evaluations:
            for model_slot in evaluation.moves.resolved.tolist():
                self._resolved(draft, evaluation, model_slot, slot)
        if live:
            self._expire_flights(draft, slot)
            self._reconsider(draft, {evaluation.run.rule.name: evaluation for evaluation in evaluations}, slot)

    # ------------------------------------------------------------ what moved

    def _note_moves(self, draft: Draft, evaluation: Evaluation) -> None:
        """Changes that ask for nothing: pending, back to inactive, and not knowing."""
        run = evaluation.run
        for model_slot in evaluation.moves.pending.tolist():
            reason = evaluation.describe(model_slot, waiting=True)
            self._note(draft, evaluation, model_slot, Outcome.NONE, "inactive", "pending", reason)
        for model_slot in evaluation.moves.reset.tolist():
            self._note(
                draft, evaluation, model_slot, Outcome.NONE, "pending", "inactive", "healthy again before `for` ran out"
            )
        for model_slot in evaluation.unsure.tolist():
            cause = Cause(run.staged.cause[model_slot])
            state = State(run.staged.alerts.state[model_slot]).name.lower()
            outcome = Outcome.NONE if cause is Cause.NONE else Outcome.INCONCLUSIVE
            reason = "known again" if cause is Cause.NONE else f"inconclusive: {cause.word}"
            self._note(draft, evaluation, model_slot, outcome, state, state, reason)

    def _note(
        self, draft: Draft, evaluation: Evaluation, model_slot: int, outcome: Outcome,
        before: str, after: str, reason: str, request: str = "",
    ) -> None:  # fmt: skip
        run, now = evaluation.run, evaluation.run.staged
        draft.decisions.append(
            Decision(
                slot=evaluation.slot,
                group=self.group.name,
                rule=run.rule.name,
                model=run.table[model_slot],
                outcome=outcome,
                before=before,
                after=after,
                reason=reason,
                verdict=Code(now.code[model_slot]).name.lower(),
                cause=Cause(now.cause[model_slot]).word,
                value=_known(now.value[model_slot]),
                statistic=_known(now.statistic[model_slot]),
                threshold=_known(now.threshold[model_slot]),
                query=_query(run),
                query_time=evaluation.slot - self.group.offset,
                request_id=request,
            )
        )

    # ------------------------------------------------------------ episodes

    def _fired(self, draft: Draft, model: ModelKey, fired: list[Evaluation], slot: Timestamp, *, live: bool) -> None:
        """Rules of a model began to fire: they open its episode, or join the one that is open."""
        fired = sorted(fired, key=lambda evaluation: evaluation.run.rule.order)
        names = tuple(evaluation.run.rule.name for evaluation in fired)
        episode = draft.episode(model)
        if episode is not None:
            self._join(draft, episode, fired)
            return
        episode = Episode(model, slot, names[0], names, attempts=0)
        draft.put_episode(episode)
        request = self._request(episode, fired, slot, attempt=1, late=not live)
        if live:
            self._ask(draft, request, fired, slot)
        else:
            draft.unasked[model] = request

    def _join(self, draft: Draft, episode: Episode, fired: list[Evaluation]) -> None:
        names = (evaluation.run.rule.name for evaluation in fired)
        rules = (*episode.rules, *(name for name in names if name not in episode.rules))
        draft.put_episode(replace(episode, rules=rules))
        record = draft.request(episode.model)
        for evaluation in fired:
            model_slot = evaluation.run.table.slot(episode.model)
            self._note(
                draft, evaluation, model_slot, Outcome.JOINED, "pending", "firing",
                f"{evaluation.describe(model_slot)}; joins the open episode led by {episode.leader}",
                record.id if record else "",
            )  # fmt: skip

    def _resolved(self, draft: Draft, evaluation: Evaluation, model_slot: int, slot: Timestamp) -> None:
        """A rule stopped firing: the episode ends with the last of its rules."""
        model = evaluation.run.table[model_slot]
        self._note(draft, evaluation, model_slot, Outcome.NONE, "firing", "inactive", "healthy again")
        episode = draft.episode(model)
        if episode is not None and not any(self._fires(name, model) for name in episode.rules):
            self.end_episode(draft, episode, slot, "resolved")

    def _fires(self, rule: str, model: ModelKey) -> bool:
        run = self.runs.get(rule)
        place = None if run is None else run.table.find(model)
        if run is None or place is None or place >= len(run.staged.code):
            return False
        return bool(run.staged.alerts.state[place] == State.FIRING)

    def end_orphans(self, draft: Draft, slot: Timestamp) -> None:
        """After a change of the rules: end the open episodes that no rule keeps firing any more."""
        for model, episode in sorted(draft.book.episodes.items()):
            if not any(self._fires(name, model) for name in episode.rules):
                self.end_episode(draft, episode, slot, "its rules were removed or changed")

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
        if record.state is RequestState.HELD:
            ended = replace(
                record, state=RequestState.WITHDRAWN, updated_at=slot, ended_at=slot, message=why, hold=None
            )
            draft.put_request(ended)
            self._decided(draft, ended, Outcome.WITHDRAWN, f"episode ended ({why}) while the request was held", slot)
            return
        if record.state.in_flight and not self.routing.tracked(record.destinations):
            draft.put_request(replace(record, state=RequestState.CLOSED, updated_at=slot, ended_at=slot, message=why))
        for destination in record.destinations if record.sent_at else ():
            if self.routing.wants_resolved(destination):
                draft.deliveries.append(NewDelivery(record.id, destination, Kind.RESOLVED))

    # ------------------------------------------------------------ requests

    def _request(
        self, episode: Episode, fired: Sequence[Evaluation], slot: Timestamp, *, attempt: int, late: bool
    ) -> RetrainRequest:
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
            evidence=tuple(_evidence(evaluation, model_slot) for evaluation in fired),
            labels=dict(leader.rule.labels),
            annotations=fired[0].run.rendered(model_slot),
            late=late,
        )

    def _ask(self, draft: Draft, request: RetrainRequest, fired: Sequence[Evaluation], slot: Timestamp) -> None:
        """Make the request: sent when every gate is open, else held. The episode counts the attempt."""
        episode = draft.episode(request.model)
        if episode is not None:
            draft.put_episode(replace(episode, attempts=request.attempt))
        record = RequestRecord(request, RequestState.HELD, slot)
        settled = self._through_gates(draft, record, self._rule(request.rule), slot)
        outcome = Outcome.HELD if settled.state is RequestState.HELD else Outcome.REQUESTED
        if not fired:
            self._decided(draft, settled, outcome, f"{request.reason}; caught up after a down-time", slot)
        for place, evaluation in enumerate(fired):
            model_slot = evaluation.run.table.slot(request.model)
            text = evaluation.describe(model_slot) + ("; caught up after a down-time" if request.late else "")
            if settled.hold is not None:
                text += f"; held: {settled.hold}"
            before, own = "firing" if request.attempt > 1 or request.late else "pending", outcome
            if place:
                own, text = Outcome.JOINED, f"{text}; joins the request led by {request.rule}"
            self._note(draft, evaluation, model_slot, own, before, "firing", text, request.id)

    def _through_gates(self, draft: Draft, record: RequestRecord, rule: Rule, slot: Timestamp) -> RequestRecord:
        """Hold the request or let it go by the rule's cooldown and the pipeline's load, and put it down."""
        load = draft.pipeline_load(record.owner, self.gates.in_flight_limit)
        hold = gate.check(load, slot, rule.cooldown)
        if hold is not None:
            settled = replace(record, hold=hold.reason, hold_until=hold.until)
        else:
            way = self.routing.way(route_labels(record.request))
            settled = replace(
                record, state=RequestState.REQUESTED, hold=None, hold_until=0, sent_at=slot, updated_at=slot,
                receivers=way.receivers, destinations=way.destinations,
            )  # fmt: skip
            draft.deliveries.extend(NewDelivery(record.id, place, Kind.FIRING) for place in way.destinations)
        if settled != record:
            draft.put_request(settled)
        return settled

    def _rule(self, name: str, instead: Rule | None = None) -> Rule:
        return instead if instead is not None and name not in self.runs else self.runs[name].rule

    def _decided(self, draft: Draft, record: RequestRecord, outcome: Outcome, reason: str, slot: Timestamp) -> None:
        """A decision about a request, outside a move of its rule."""
        request = record.request
        over = outcome in {Outcome.WITHDRAWN, Outcome.MISSED} or draft.episode(request.model) is None
        after = "inactive" if over else "firing"
        before = after if outcome is Outcome.NONE else "firing"
        draft.decisions.append(
            Decision(
                slot,
                self.group.name,
                request.rule,
                request.model,
                outcome,
                before,
                after,
                reason,
                request_id=request.id,
            )
        )

    # ------------------------------------------------------------ later slots of an episode

    def _expire_flights(self, draft: Draft, slot: Timestamp) -> None:
        """No end of a request was reported for too long: it no longer counts as running."""
        for record in draft.book.overdue(slot, self.gates.in_flight_limit):
            if record.id not in draft.requests:
                message = "no end of it was reported within in_flight_limit"
                lost = replace(record, state=RequestState.LOST, updated_at=slot, ended_at=slot, message=message)
                draft.put_request(lost)
                self._decided(draft, lost, Outcome.NONE, f"lost: {message}", slot)

    def _reconsider(self, draft: Draft, evaluations: Mapping[str, Evaluation], slot: Timestamp) -> None:
        """Open episodes whose request is held, over or not made yet."""
        for model in list(draft.waiting()):
            episode = draft.episode(model)
            if episode is None or episode.started_at == slot:
                continue
            linked = [evaluations[name] for name in episode.rules if name in evaluations]
            record, unasked = draft.request(model), draft.unasked.pop(model, None)
            if unasked is not None:  # now or never, even if its rules could not be judged in this slot
                self._ask(draft, unasked, linked[:1], slot)
            if not linked or unasked is not None:
                continue
            breached = [evaluation for evaluation in linked if self._breached(evaluation, model)]
            if record is not None and record.state is RequestState.HELD:
                self._recheck(draft, record, linked[0].run.rule, slot)
            elif record is not None and breached and self._may_ask_again(draft, record, slot):
                attempt = record.request.attempt + 1
                again = self._request(episode, breached, slot, attempt=attempt, late=False)
                self._ask(draft, again, breached, slot)

    def _may_ask_again(self, draft: Draft, record: RequestRecord, slot: Timestamp) -> bool:
        """The next attempt of an episode needs the last one over, and its cooldown too."""
        if record.state not in _RETRY_AFTER or record.request.rule not in self.runs:
            return False
        load = draft.pipeline_load(record.owner, self.gates.in_flight_limit)
        hold = gate.check(load, slot, self._rule(record.request.rule).cooldown)
        return hold is None or hold.reason is not HoldReason.COOLDOWN

    @staticmethod
    def _breached(evaluation: Evaluation, model: ModelKey) -> bool:
        return bool(evaluation.run.staged.code[evaluation.run.table.slot(model)] == Code.BREACHED)

    def _recheck(self, draft: Draft, record: RequestRecord, linked: Rule, slot: Timestamp) -> None:
        """A held request: has its gate opened, or has it been held for too long?

        linked: a rule that still belongs to the episode; its cooldown counts when the leading rule was edited away.
        """
        if slot - record.request.triggered_at >= self.gates.hold_limit:
            expired = replace(record, state=RequestState.EXPIRED, updated_at=slot, ended_at=slot, hold=None)
            draft.put_request(expired)
            self._decided(draft, expired, Outcome.EXPIRED, "held for longer than hold_limit", slot)
            return
        settled = self._through_gates(draft, record, self._rule(record.request.rule, linked), slot)
        if settled.state is not RequestState.HELD:
            self._decided(draft, settled, Outcome.REQUESTED, f"released: {record.hold} is over", slot)
        elif settled.hold != record.hold:
            self._decided(draft, settled, Outcome.HELD, f"held: {settled.hold}", slot)


def route_labels(request: RetrainRequest) -> dict[str, str]:
    """The labels that routes match: those of the alert, but for the request's id."""
    return {**request.labels, "alertname": REQUEST_ALERT, **request.model.labels(), "rule": request.rule}


def _evidence(evaluation: Evaluation, model_slot: int) -> Evidence:
    run = evaluation.run
    now = run.staged
    return Evidence(
        rule=run.rule.name,
        signal=run.query.name,
        event=run.query.event.value,
        query=_query(run),
        value=_known(now.value[model_slot]),
        statistic=_known(now.statistic[model_slot]),
        threshold=_known(now.threshold[model_slot]),
        unit=run.query.unit,
        series=evaluation.series(model_slot),
    )


def _known(number: np.float64) -> float | None:
    return None if np.isnan(number) else float(number)


def _query(run: RuleRun) -> str:
    exprs = run.query.exprs
    return (
        next(iter(exprs.values())) if len(exprs) == 1 else "\n".join(f"{name}: {text}" for name, text in exprs.items())
    )
