"""From moved rules to episodes and decisions. Pure but for the draft that it fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bridge.domain.alert import State
from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, Episode, Outcome, RequestState
from bridge.domain.rule import Mode, RuleKind
from bridge.domain.times import Timestamp, rfc3339
from bridge.domain.verdict import Cause
from bridge.engine.evaluation.rule import Evaluation, RuleEvaluator
from bridge.engine.requests import decision_log
from bridge.engine.requests.episodes import TickTransaction
from bridge.engine.requests.lifecycle import RequestLifecycle


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides one group's slots; requests are the asker's."""

    lifecycle: RequestLifecycle

    def slot(self, draft: TickTransaction, evaluations: Sequence[Evaluation], slot: Timestamp, *, live: bool) -> None:
        """Decide one slot. `live` False while catching up: then requests wait for the present slot."""
        by_model: dict[ModelKey, list[Evaluation]] = {}
        for evaluation in evaluations:
            self._note_moves(draft, evaluation)
            if _asks(evaluation.run):
                for model_slot in evaluation.moves.fired.tolist():
                    by_model.setdefault(evaluation.run.table[model_slot], []).append(evaluation)
            else:
                self._tell_fired(draft, evaluation)
        asked_for = {evaluation.run.rule.name: evaluation for evaluation in evaluations}
        if live:
            self.lifecycle.before(draft, asked_for, slot)
        self._storm(draft, by_model, evaluations, slot)
        for model in sorted(by_model):
            self._fired(draft, model, by_model[model], slot, live=live)
        for evaluation in evaluations:
            for model_slot in evaluation.moves.resolved.tolist():
                self._resolved(draft, evaluation, model_slot, slot)
        if live:
            self.lifecycle.go_on(draft, asked_for, slot)

    # ------------------------------------------------------------ what moved

    def _note_moves(self, draft: TickTransaction, evaluation: Evaluation) -> None:
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

    def _tell_fired(self, draft: TickTransaction, evaluation: Evaluation) -> None:
        """Rules that ask for nothing: one that tells people, one that is only watched."""
        shadow = evaluation.run.rule.mode is Mode.SHADOW
        for model_slot in evaluation.moves.fired.tolist():
            text = evaluation.describe(model_slot)
            outcome = Outcome.RECORDED if shadow else Outcome.NOTIFIED
            if shadow:
                text += "; a shadow rule: it asks for nothing"
            self._note(draft, evaluation, model_slot, outcome, "pending", "firing", text)

    def _note(
        self, draft: TickTransaction, evaluation: Evaluation, model_slot: int, outcome: Outcome,
        before: str, after: str, reason: str, request: str = "",
    ) -> None:  # fmt: skip
        run = evaluation.run
        decision_log.note(
            draft, self.lifecycle.group, run, model_slot, outcome, evaluation.slot, before, after, reason, request
        )

    def _storm(
        self,
        draft: TickTransaction,
        fired: dict[ModelKey, list[Evaluation]],
        evaluations: Sequence[Evaluation],
        slot: Timestamp,
    ) -> None:
        """So many models at once are one incident, most likely of something else: all of them wait, people look."""
        keeper, group = self.lifecycle.keeper, self.lifecycle.group
        storm = keeper.gates.storm
        new = [model for model in fired if draft.episode(model) is None]
        if storm is None or len(new) <= storm.share * storm.min_models:
            return
        seen = np.zeros(max(len(item.run.staged.known) for item in evaluations), np.bool_)
        for item in evaluations:
            seen[: len(item.run.staged.known)] |= item.run.staged.known
        total = int(seen.sum())
        if total < storm.min_models or len(new) <= storm.share * total:
            return
        since, until = keeper.storms.get(group.name, (slot, 0))
        keeper.storms[group.name] = (since if until > slot else slot, slot + storm.hold)
        leader = min((item for found in fired.values() for item in found), key=lambda item: item.run.rule.order)
        text = (
            f"storm: {len(new)} of {total} models began to fire in one slot, more than {storm.share:.0%}; "
            f"their requests are held until {rfc3339(slot + storm.hold)}"
        )
        draft.decisions.append(
            Decision(slot, group.name, leader.run.rule.name, None, Outcome.HELD, "inactive", "firing", text)
        )

    # ------------------------------------------------------------ episodes

    def _fired(
        self, draft: TickTransaction, model: ModelKey, fired: list[Evaluation], slot: Timestamp, *, live: bool
    ) -> None:
        """Rules of a model began to fire: they open its episode, or join the one that is open."""
        fired = sorted(fired, key=lambda found: (found.run.rule.mode is not Mode.LIVE, found.run.rule.order))
        names = tuple(evaluation.run.rule.name for evaluation in fired)
        episode = draft.episode(model)
        if episode is not None:
            self._join(draft, episode, fired, slot, live=live)
            return
        episode = Episode(model, slot, names[0], names, attempts=0)
        draft.put_episode(episode)
        request = self.lifecycle.request(episode, fired, slot, attempt=1, late=not live)
        if live:
            self.lifecycle.ask(draft, request, fired, slot)
        else:
            draft.unasked[model] = request

    def _join(
        self, draft: TickTransaction, episode: Episode, fired: list[Evaluation], slot: Timestamp, *, live: bool
    ) -> None:
        names = (evaluation.run.rule.name for evaluation in fired)
        rules = (*episode.rules, *(name for name in names if name not in episode.rules))
        draft.put_episode(replace(episode, rules=rules))
        record = draft.request(episode.model)
        if live and record is not None and record.state is RequestState.RECORDED:
            lively = [evaluation for evaluation in fired if evaluation.run.rule.mode is Mode.LIVE]
            if lively:  # what a dry run would have asked for is not asked for yet
                leader = lively[0].run.rule.name
                episode = replace(episode, rules=rules, leader=leader)
                draft.put_episode(episode)
                attempt = record.request.attempt + 1
                self.lifecycle.ask(
                    draft, self.lifecycle.request(episode, lively, slot, attempt=attempt, late=False), lively, slot
                )
                return
        for evaluation in fired:
            model_slot = evaluation.run.table.row(episode.model)
            self._note(
                draft, evaluation, model_slot, Outcome.JOINED, "pending", "firing",
                f"{evaluation.describe(model_slot)}; joins the open episode led by {episode.leader}",
                record.id if record else "",
            )  # fmt: skip

    def _resolved(self, draft: TickTransaction, evaluation: Evaluation, model_slot: int, slot: Timestamp) -> None:
        """A rule stopped firing: the episode ends with the last of its rules."""
        model = evaluation.run.table[model_slot]
        self._note(draft, evaluation, model_slot, Outcome.NONE, "firing", "inactive", "healthy again")
        if _asks(evaluation.run):
            self._end_if_quiet(draft, model, slot, "resolved")

    def _end_if_quiet(self, draft: TickTransaction, model: ModelKey, slot: Timestamp, why: str) -> None:
        episode = draft.episode(model)
        if episode is not None and not any(self._fires(name, model) for name in episode.rules):
            self.lifecycle.end_episode(draft, episode, slot, why)

    def _fires(self, rule: str, model: ModelKey) -> bool:
        run = self.lifecycle.runs.get(rule)
        place = None if run is None else run.table.find(model)
        if run is None or place is None or place >= len(run.staged.code):
            return False
        return bool(run.staged.alerts.state[place] == State.FIRING) and _asks(run)

    def leave(
        self, draft: TickTransaction, run: RuleEvaluator, signal: str, places: np.ndarray, slot: Timestamp, why: str
    ) -> None:
        """Models that are gone for good: what the rule knew of them is dropped, their episodes end."""
        states = run.staged.alerts.state[places].tolist()
        run.leave(places)
        for place, state in zip(places.tolist(), states, strict=True):
            text = f"{why}: {signal} does not report it any more"
            before = State(state).name.lower()
            decision_log.note(draft, self.lifecycle.group, run, place, Outcome.NONE, slot, before, "inactive", text)
            if state == State.FIRING and _asks(run):
                self._end_if_quiet(draft, run.table[place], slot, why)

    def end_orphans(self, draft: TickTransaction, slot: Timestamp) -> None:
        """After a change of the rules: end the open episodes that no rule keeps firing any more."""
        for model, episode in sorted(draft.book.episodes.items()):
            if not any(self._fires(name, model) for name in episode.rules):
                self.lifecycle.end_episode(draft, episode, slot, "its rules were removed or changed")


def _asks(run: RuleEvaluator) -> bool:
    """Whether the rule asks for retrainings at all."""
    return run.rule.kind is RuleKind.RETRAIN and run.rule.mode is not Mode.SHADOW
