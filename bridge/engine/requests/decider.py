"""Decisions from alert transitions: episodes, requests and decision records. Pure except for the tick transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from msgspec.structs import replace

from bridge.domain.alert import State
from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, Episode, Outcome, RequestState
from bridge.domain.rule import Mode
from bridge.domain.times import Timestamp, rfc3339
from bridge.domain.verdict import Cause
from bridge.engine.evaluation.evaluation import Evaluation
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.requests import decision_log
from bridge.engine.requests.episodes import TickTransaction
from bridge.engine.requests.lifecycle import RequestLifecycle


@dataclass(frozen=True, slots=True)
class Decider:
    """Decision maker of one group; requests are left to its RequestLifecycle."""

    lifecycle: RequestLifecycle

    def slot(self, tick: TickTransaction, evaluations: Sequence[Evaluation], slot: Timestamp, *, live: bool) -> None:
        """Decide one slot.

        live: False while catching up: new requests then wait for the present slot.
        """
        by_model: dict[ModelKey, tuple[Evaluation, ...]] = {}
        for evaluation in evaluations:
            self._note_moves(tick, evaluation)
            if evaluation.rule.requests_retraining:
                alone = (evaluation,)  # shared by all models for which no other rule fires
                for row in evaluation.moves.fired.tolist():
                    model = evaluation.table[row]
                    by_model[model] = (*by_model[model], evaluation) if model in by_model else alone
            else:
                self._note_fired(tick, evaluation)
        by_rule = {evaluation.rule.name: evaluation for evaluation in evaluations}
        if live:
            self.lifecycle.advance(tick, by_rule, slot)
        self._storm(tick, by_model, evaluations, slot)
        for model in sorted(by_model):
            self._fired(tick, model, by_model[model], slot, live=live)
        for evaluation in evaluations:
            for row in evaluation.moves.resolved.tolist():
                self._resolved(tick, evaluation, row, slot)
        if live:
            self.lifecycle.start_attempts(tick, by_rule, slot)

    # ------------------------------------------------------------ transitions

    def _note_moves(self, tick: TickTransaction, evaluation: Evaluation) -> None:
        """Record transitions that lead to no request: pending, back to inactive, and inconclusive verdicts."""
        for row in evaluation.moves.pending.tolist():
            reason = evaluation.describe(row, waiting=True)
            self._note(tick, evaluation, row, Outcome.NONE, "inactive", "pending", reason)
        for row in evaluation.moves.reset.tolist():
            self._note(tick, evaluation, row, Outcome.NONE, "pending", "inactive", "healthy again before `for` elapsed")
        for row in evaluation.unsure.tolist():
            cause = Cause(evaluation.columns.cause[row])
            state = State(evaluation.columns.state[row]).name.lower()
            outcome = Outcome.NONE if cause is Cause.NONE else Outcome.INCONCLUSIVE
            reason = "conclusive again" if cause is Cause.NONE else f"inconclusive: {cause.word}"
            self._note(tick, evaluation, row, outcome, state, state, reason)

    def _note_fired(self, tick: TickTransaction, evaluation: Evaluation) -> None:
        """Record a firing rule that makes no requests: an `alert:` or a shadow rule."""
        shadow = evaluation.rule.mode is Mode.SHADOW
        for row in evaluation.moves.fired.tolist():
            text = evaluation.describe(row)
            outcome = Outcome.RECORDED if shadow else Outcome.NOTIFIED
            if shadow:
                text += "; shadow rule: no request"
            self._note(tick, evaluation, row, outcome, "pending", "firing", text)

    def _note(
        self, tick: TickTransaction, evaluation: Evaluation, row: int, outcome: Outcome,
        before: str, after: str, reason: str, request: str = "",
    ) -> None:  # fmt: skip
        decision_log.record_transition(
            tick, self.lifecycle.group, evaluation, row, outcome, before, after, reason, request
        )

    def _storm(
        self,
        tick: TickTransaction,
        fired: dict[ModelKey, tuple[Evaluation, ...]],
        evaluations: Sequence[Evaluation],
        slot: Timestamp,
    ) -> None:
        """Detect a storm and hold the requests of its models.

        So many models that start firing at once most likely share one cause, which an operator should check.
        """
        keeper, group = self.lifecycle.keeper, self.lifecycle.group
        storm = keeper.gates.storm
        new = [model for model in fired if tick.episode(model) is None]
        if storm is None or len(new) <= storm.share * storm.min_models:
            return
        seen = np.zeros(max(len(item.columns.known) for item in evaluations), np.bool_)
        for item in evaluations:
            seen[: len(item.columns.known)] |= item.columns.known
        total = int(seen.sum())
        if total < storm.min_models or len(new) <= storm.share * total:
            return
        since, until = keeper.storms.get(group.name, (slot, 0))
        keeper.storms[group.name] = (since if until > slot else slot, slot + storm.hold)
        leader = min(chain.from_iterable(fired.values()), key=lambda item: item.rule.order)
        text = (
            f"storm: {len(new)} of {total} models started firing in one slot, more than {storm.share:.0%}; "
            f"their requests are held until {rfc3339(slot + storm.hold)}"
        )
        tick.decisions.append(
            Decision(slot, group.name, leader.rule.name, None, Outcome.HELD, "inactive", "firing", text)
        )

    # ------------------------------------------------------------ episodes

    def _fired(
        self, tick: TickTransaction, model: ModelKey, fired: Sequence[Evaluation], slot: Timestamp, *, live: bool
    ) -> None:
        """Open an episode for a model whose rules started firing, or join the open one."""
        if len(fired) > 1:
            fired = sorted(fired, key=lambda item: (item.rule.mode is not Mode.LIVE, item.rule.order))
        names = tuple([evaluation.rule.name for evaluation in fired])
        episode = tick.episode(model)
        if episode is not None:
            self._join(tick, episode, fired, slot, live=live)
            return
        episode = Episode(model, slot, names[0], names, attempts=int(live))
        tick.put_episode(episode)
        request = self.lifecycle.request(episode, fired, slot, attempt=1, late=not live)
        if live:
            self.lifecycle.submit(tick, request, fired, slot)
            return
        tick.deferred[model] = request
        for evaluation in fired:
            row, leads = evaluation.table.row(model), evaluation is fired[0]
            text = f"{evaluation.describe(row)}; " + ("found late" if leads else f"joins the request led by {names[0]}")
            outcome = Outcome.NONE if leads else Outcome.JOINED
            self._note(tick, evaluation, row, outcome, "pending", "firing", text, request.id)

    def _join(
        self, tick: TickTransaction, episode: Episode, fired: Sequence[Evaluation], slot: Timestamp, *, live: bool
    ) -> None:
        names = (evaluation.rule.name for evaluation in fired)
        rules = (*episode.rules, *(name for name in names if name not in episode.rules))
        tick.put_episode(replace(episode, rules=rules))
        record = tick.request(episode.model)
        if live and record is not None and record.state is RequestState.RECORDED:
            live_ones = [evaluation for evaluation in fired if evaluation.rule.mode is Mode.LIVE]
            if live_ones:  # the dry run's request was not sent, so a live rule makes one
                leader = live_ones[0].rule.name
                episode = replace(episode, rules=rules, leader=leader)
                tick.put_episode(episode)
                attempt = record.request.attempt + 1
                self.lifecycle.submit(
                    tick, self.lifecycle.request(episode, live_ones, slot, attempt=attempt, late=False), live_ones, slot
                )
                return
        deferred = tick.deferred.get(episode.model)
        joined = record.id if record is not None else "" if deferred is None else deferred.id
        for evaluation in fired:
            row = evaluation.table.row(episode.model)
            text = f"{evaluation.describe(row)}; joins the open episode led by {episode.leader}"
            self._note(tick, evaluation, row, Outcome.JOINED, "pending", "firing", text, joined)

    def _resolved(self, tick: TickTransaction, evaluation: Evaluation, row: int, slot: Timestamp) -> None:
        """Record a resolved rule; the last one to resolve ends the episode."""
        model = evaluation.table[row]
        self._note(tick, evaluation, row, Outcome.NONE, "firing", "inactive", "healthy again")
        if evaluation.rule.requests_retraining:
            self._end_if_resolved(tick, model, slot, "resolved")

    def _end_if_resolved(self, tick: TickTransaction, model: ModelKey, slot: Timestamp, why: str) -> None:
        episode = tick.episode(model)
        if episode is not None and not any(self._fires(name, model) for name in episode.rules):
            self.lifecycle.end_episode(tick, episode, slot, why)

    def _fires(self, rule: str, model: ModelKey) -> bool:
        run = self.lifecycle.runs.get(rule)
        row = None if run is None else run.table.find(model)
        if run is None or row is None or row >= len(run.staged.code):
            return False
        return bool(run.staged.alerts.state[row] == State.FIRING) and run.rule.requests_retraining

    def leave(
        self, tick: TickTransaction, run: RuleEvaluator, signal: str, rows: np.ndarray, slot: Timestamp, why: str
    ) -> None:
        """Drop the state of retired models and end their episodes."""
        states = run.staged.alerts.state[rows].tolist()
        run.leave(rows)
        evaluation = run.unmoved(slot)
        for row, state in zip(rows.tolist(), states, strict=True):
            text = f"{why}: {signal} no longer reports it"
            before = State(state).name.lower()
            self._note(tick, evaluation, row, Outcome.NONE, before, "inactive", text)
            if state == State.FIRING and run.rule.requests_retraining:
                self._end_if_resolved(tick, run.table[row], slot, why)

    def end_orphans(self, tick: TickTransaction, slot: Timestamp) -> None:
        """End the open episodes that no rule keeps firing any more, after a change of the rules."""
        for model, episode in sorted(tick.committed.episodes.items()):
            if not any(self._fires(name, model) for name in episode.rules):
                self.lifecycle.end_episode(tick, episode, slot, "its rules were removed or changed")
