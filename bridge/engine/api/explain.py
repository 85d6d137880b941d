"""Answers "why was there (no) request?": from the engine as it stands, or by replaying the slots up to an instant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bridge.domain import gate
from bridge.domain.alert import State
from bridge.domain.errors import RequestError
from bridge.domain.explain import Check, Explanation, curl
from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, HoldReason, RecoveryVerdict, RequestRecord, RequestState
from bridge.domain.rule import Group, Mode, RuleKind
from bridge.domain.times import HOUR, Duration, Timestamp, format_duration, rfc3339
from bridge.domain.verdict import Cause, Code
from bridge.engine.engine import Engine
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.replay.replay import Replay
from bridge.engine.requests.decision_log import query_text
from bridge.engine.requests.episodes import TickTransaction
from bridge.ports import DecisionFilter, History, RequestFilter

SHORTEST: Duration = HOUR  # of what is replayed before the instant that is asked for
LONGEST_SLOTS = 2_000


@dataclass(frozen=True, slots=True)
class Explainer:
    """prometheus_url: shown in commands, without secrets."""

    engine: Engine
    history: History
    prometheus_url: Callable[[], str]

    def explain(self, model: ModelKey, rule: str = "", at: Timestamp = 0) -> list[Explanation]:
        """One explanation for each rule (or of `rule`); at 0: now. Raises RequestError, SourceError and StoreError.

        A past instant is re-computed from history by the same engine, over as much time before it as the rule looks
        back; what was decided and asked then comes from the records.
        """
        with self.engine.lock:
            found = [
                (group.group, run) for group in self.engine.groups.values() for run in group.runs
                if rule in {"", run.rule.name}
            ]  # fmt: skip
            if not found:
                raise RequestError(f"there is no rule {rule!r}" if rule else "there are no rules")
            if not at:
                return [self._now(group, run, model) for group, run in found]
        return [self._then(group, run, model, at) for group, run in found]

    def repeat(self, decision: Decision) -> list[str]:
        """Shell commands that ask the decision's queries again at its instant; none when they are not known apart."""
        with self.engine.lock:
            run = self.engine.runs().get(decision.rule)
            exprs = [text for query in run.queries.values() for text in query.exprs.values()] if run is not None else []
            same = run is not None and query_text(run) == decision.query
        if not same:
            exprs = [decision.query] if decision.query and "\n" not in decision.query else []
        return [curl(self.prometheus_url(), text, decision.query_time) for text in exprs]

    # ------------------------------------------------------------ now

    def _now(self, group: Group, run: RuleEvaluator, model: ModelKey) -> Explanation:
        checks = [*_of_rule(group, run, model, run.last_evaluation)]
        if all(check.passed for check in checks):
            checks += self._of_request(run, model)
        return self._explanation(group, run, model, run.last_evaluation, checks)

    def _of_request(self, run: RuleEvaluator, model: ModelKey) -> Iterator[Check]:
        """The episode, the gates and the request of a firing rule."""
        book, keeper = self.engine.book, self.engine.keeper()
        episode = book.episodes.get(model)
        if episode is None:
            yield Check("episode", passed=False, text=_asks_nothing(run))
            return
        led = "leads it" if episode.leader == run.rule.name else f"joined it; {episode.leader} leads"
        yield Check("episode", passed=True, text=f"open since {rfc3339(episode.started_at)}; this rule {led}")
        record = book.requests.get(book.current.get(model, ""))
        if record is None:
            yield Check("request", passed=None, text="none is known: not made yet, or so old that it is not kept")
            return
        leader = self.engine.runs().get(record.request.rule, run).rule
        slot = run.last_evaluation
        if record.state.waiting:
            situation = keeper.situation(TickTransaction(book), record, leader, slot)
            for reason, closed, until in gate.gates(situation):
                text = _until(closed=closed, until=until)
                if closed and reason is HoldReason.SILENCES_UNKNOWN:
                    text += "".join(f"; silence {item.id}: {item.unclear}" for item in keeper.unclear(record, slot))
                yield Check(f"gate {reason.value}", not closed, text)
        yield _of_record(record)

    # ------------------------------------------------------------ then

    def _then(self, group: Group, run: RuleEvaluator, model: ModelKey, at: Timestamp) -> Explanation:
        slot = group.slot_at(at)
        replay = Replay(self.engine.source, self.engine.table, [group], lambda _: None)
        try:
            for _ in replay.walk(max(slot - _look_back(group, run), slot - LONGEST_SLOTS * group.interval), slot):
                pass
        finally:
            replay.close()
        again = replay.engine.runs()[run.rule.name]
        checks = [*_of_rule(group, again, model, slot), *self._recorded(run, model, slot)]
        return self._explanation(group, again, model, slot, checks, recomputed=True)

    def _recorded(self, run: RuleEvaluator, model: ModelKey, slot: Timestamp) -> Iterator[Check]:
        """What the records say of the time: the last decision, and requests of the pipeline that were open then."""
        told = self.history.decisions(DecisionFilter(model, run.rule.name, until=slot, limit=1))
        text = f"{rfc3339(told[0].slot)}: {told[0].reason}" if told else "no decision is kept from before"
        yield Check("decision", True if told else None, text)
        which = RequestFilter(project=model.project, pipeline=model.pipeline, limit=1000)
        for record in self.history.requests(which):
            if record.request.triggered_at <= slot and (not record.ended_at or record.ended_at > slot):
                yield _of_record(record)

    def _explanation(
        self, group: Group, run: RuleEvaluator, model: ModelKey, slot: Timestamp, checks: list[Check], *,
        recomputed: bool = False,
    ) -> Explanation:  # fmt: skip
        stopped = next((check for check in checks if check.passed is not True), None)
        answer = "a request was made: " + checks[-1].text if stopped is None else f"{stopped.name}: {stopped.text}"
        at = slot - group.offset
        repeat = tuple(
            curl(self.prometheus_url(), text, at) for query in run.queries.values() for text in query.exprs.values()
        )
        helped = _helped(self.history.verdicts().get(run.rule.name, {}))
        return Explanation(run.rule.name, model, slot, answer, tuple(checks), repeat, recomputed, helped)


def _helped(verdicts: Mapping[RecoveryVerdict, int]) -> str:
    total = sum(verdicts.values())
    good = verdicts.get(RecoveryVerdict.RECOVERED, 0)
    return f"of {total} retrainings that this rule led to, {good} helped" if total else ""


def _of_rule(group: Group, run: RuleEvaluator, model: ModelKey, slot: Timestamp) -> Iterator[Check]:
    """From the query to the firing rule."""
    asked = f"asked for {rfc3339(slot - group.offset)}"
    if not slot or run.health == "unknown":
        yield Check("query", passed=None, text="the rule was not evaluated yet")
        return
    if run.health != "ok":
        yield Check("query", passed=False, text=f"{asked}: {run.last_error}; states are kept meanwhile")
        return
    yield Check("query", passed=True, text=f"{asked}: answered")
    place = run.table.find(model)
    now = run.live
    known = place is not None and place < len(now.code) and bool(now.known[place])
    if not known or place is None:
        plain = run.strategy is None and not run.parts
        text = "is not in the answer: healthy for an expression" if plain else "was never reported by the signal"
        yield Check("sample", passed=False, text=f"{model} {text}")
        return
    code, cause = Code(now.code[place]), Cause(now.cause[place])
    if code is Code.INCONCLUSIVE:
        text = f"inconclusive: {cause.word}; the state is kept{_never_judged(run, place)}"
        yield Check("verdict", passed=False, text=text)
    elif code is not Code.BREACHED:
        yield Check("verdict", passed=False, text=f"{code.name.lower()}: {_numbers(run, place)}{_chance(run, place)}")
    else:
        facts = run.evaluation.facts(place) if run.evaluation is not None else _numbers(run, place)
        yield Check("verdict", passed=True, text=f"breached: {facts}")
    yield _of_state(run, place, slot)


def _never_judged(run: RuleEvaluator, place: int) -> str:
    if place not in run.never_judged():
        return ""
    lasts, most = format_duration(run.last_evaluation - int(run.live.since[place])), format_duration(run.patience)
    return f"; it has had numbers for {lasts} and was never judged, which should take no longer than {most}"


def _of_state(run: RuleEvaluator, place: int, slot: Timestamp) -> Check:
    alerts, rule = run.live.alerts, run.rule
    state, since = State(alerts.state[place]), int(alerts.active_at[place])
    if state is State.FIRING:
        return Check("state", passed=True, text=f"firing since {rfc3339(int(alerts.fired_at[place]))}")
    if state is State.PENDING:
        left = format_duration(max(0, since + rule.for_ - slot))
        return Check("state", passed=False, text=f"pending since {rfc3339(since)}: `for` needs {left} more")
    return Check("state", passed=False, text="inactive")


def _numbers(run: RuleEvaluator, place: int) -> str:
    live = run.live
    value, statistic, limit = float(live.value[place]), float(live.statistic[place]), float(live.threshold[place])
    own = statistic != value and statistic == statistic  # noqa: PLR0124 - NaN: none was made
    made = f", statistic {statistic:.6g}" if own else ""
    against = "" if limit != limit else f", limit {limit:.6g}"  # noqa: PLR0124 - NaN: there is none
    return f"{run.query.name} {value:.6g}{made}{against}"


def _chance(run: RuleEvaluator, place: int) -> str:
    return "" if run.evaluation is None else run.evaluation.chance(place)


def _asks_nothing(run: RuleEvaluator) -> str:
    if run.rule.kind is RuleKind.ALERT:
        return "an `alert:` rule tells people and asks for nothing"
    if run.rule.mode is Mode.SHADOW:
        return "a shadow rule asks for nothing"
    return "none is open"


def _of_record(record: RequestRecord) -> Check:
    text = f"{record.id} is {record.state.value}, attempt {record.request.attempt}"
    if record.sent_at:
        text += f", sent {rfc3339(record.sent_at)}"
    if record.hold is not None:
        text += f", held: {record.hold.value}"
    undelivered = record.state is RequestState.UNDELIVERED
    if undelivered:
        text += f": {record.message}; it holds no other request"
    if record.verdict is not None:
        text += f", judged {record.verdict.value}"
    return Check("request", passed=not (record.state.waiting or undelivered), text=text)


def _until(*, closed: bool, until: Timestamp) -> str:
    if not closed:
        return "open"
    return f"closed until {rfc3339(until)}" if until else "closed until somebody acts"


def _look_back(group: Group, run: RuleEvaluator) -> Duration:
    """How much time before an instant decides its state."""
    rule = run.rule
    slots = rule.breaches.of if rule.breaches is not None else 1
    return max(SHORTEST, 2 * (rule.for_ + rule.keep_firing_for + rule.warm_up) + (slots + 1) * group.interval)
