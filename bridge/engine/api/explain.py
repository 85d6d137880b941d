"""Explanation of why there was or was not a request, now or at a past instant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from time import monotonic

from bridge.domain import gate, waits
from bridge.domain.alert import State
from bridge.domain.errors import RequestError, SourceError
from bridge.domain.explain import Check, Explanation, curl
from bridge.domain.model import ModelKey
from bridge.domain.request import (
    Decision,
    HoldReason,
    Outcome,
    RecoveryVerdict,
    RequestRecord,
    RequestState,
    RetrainRequest,
)
from bridge.domain.rule import DEFAULT_SERVER, Group, Mode, RuleKind
from bridge.domain.times import HOUR, Duration, Timestamp, format_duration, rfc3339
from bridge.domain.verdict import Cause, Code
from bridge.engine.access import EngineState
from bridge.engine.api.first_verdict import awaited, detected
from bridge.engine.engine import Engine
from bridge.engine.evaluation.evaluation import Evaluation, query_text
from bridge.engine.evaluation.group import GroupEvaluator
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.replay.replay import Replay
from bridge.engine.requests.episodes import retrained_at
from bridge.engine.requests.gates import Gatekeeper, not_weighed
from bridge.engine.requests.lifecycle import may_follow
from bridge.ports import DecisionFilter, History, MetricSource, RequestFilter, TickReport

SHORTEST: Duration = HOUR  # least history that is replayed before a past instant
LONGEST_SLOTS = 2_000
LATEST = 5  # decisions that are listed for a past instant
_NOT_IN_RESULT = "is not in the result, so an expression counts it as healthy"
_NO_ANSWER = frozenset({"network", "timeout", "unavailable", "rate_limited"})  # at the next slots neither


@dataclass(frozen=True, slots=True)
class Explainer:
    """Explanations of a running engine.

    prometheus_url: of a server by name, without secrets, for commands.
    clock: seconds, for the time limit only.
    """

    engine: Engine
    history: History
    prometheus_url: Callable[[str], str]
    clock: Callable[[], float] = monotonic

    def explain(self, model: ModelKey, rule: str = "", at: Timestamp = 0) -> list[Explanation]:
        """Return one explanation for each rule, or for `rule` only. Raises RequestError, SourceError and StoreError.

        A past instant is evaluated again from history with the present rules, over as much time before it as the rule
        looks back. Decisions and requests of that time come from the store; nothing that came later is shown. A server
        that does not answer, or answers too slowly, ends this with SourceError.

        at: the instant to explain, 0 for now.
        """
        with self.engine.read() as state:
            selected = [
                (group, run) for group in state.groups.values() for run in group.runs if rule in {"", run.rule.name}
            ]
            if not selected:
                raise RequestError(f"there is no rule {rule!r}" if rule else "there are no rules")
            if not at:
                return [self._now(state, group, run, model) for group, run in selected]
        source, ends = state.source, self.clock() + waits.REPLAY
        return [self._then(source, group.group, run, model, at, ends) for group, run in selected]

    def repeat(self, decision: Decision) -> list[str]:
        """Return shell commands that repeat the decision's queries at its instant, none if the queries are unknown."""
        with self.engine.read() as state:
            run = state.rules.get(decision.rule)
            queries = [] if run is None else list(run.queries.values())
            server = DEFAULT_SERVER if run is None else run.query.server
            found = [(query.server, text) for query in queries for text in query.exprs.values()]
            same = run is not None and query_text(run.rule, run.queries) == decision.query
        if not same:
            found = [(server, decision.query)] if decision.query and "\n" not in decision.query else []
        return [curl(self.prometheus_url(name), text, decision.query_time) for name, text in found]

    # ------------------------------------------------------------ now

    def _now(self, state: EngineState, group: GroupEvaluator, run: RuleEvaluator, model: ModelKey) -> Explanation:
        evaluation = group.evaluations.get(run.rule.name)
        absence = "" if _knows(run, model) else self._absence(state, run, model)
        checks = [*_of_rule(group.group, run, evaluation, model, run.last_evaluation, absence)]
        if all(check.passed for check in checks):
            checks += self._of_request(state, run, model)
        elif _may_open(state, run, model):
            checks += _would_hold(state, run, model)
        return self._explanation(group.group, run, model, run.last_evaluation, checks)

    def _absence(self, state: EngineState, run: RuleEvaluator, model: ModelKey) -> str:
        """Return why a rule does not know a model now."""
        record = state.episode_index.replaced.get(model)
        if record is not None:
            successor = ModelKey(model.project, model.pipeline, record.new_version)
            return f"was replaced by {successor} (request {record.id})"
        if run.strategy is None and not run.parts:
            return _NOT_IN_RESULT
        decisions = self.history.decisions(DecisionFilter(model, run.rule.name, limit=1))
        if not decisions:
            return "was never reported by the signal"
        latest = f"{rfc3339(decisions[0].slot)}: {decisions[0].reason}"
        return f"is no longer reported; its latest decision is of {latest}"

    def _of_request(self, state: EngineState, run: RuleEvaluator, model: ModelKey) -> Iterator[Check]:
        """Yield the checks of the episode, the gates and the request of a firing rule."""
        index, keeper = state.episode_index, state.gatekeeper
        episode = index.episodes.get(model)
        if episode is None:
            yield Check("episode", passed=False, text=_no_episode(run))
            return
        role = "leads it" if episode.leader == run.rule.name else f"joined it; {episode.leader} leads"
        yield Check("episode", passed=True, text=f"open since {rfc3339(episode.started_at)}; this rule {role}")
        record = index.requests.get(index.current.get(model, ""))
        if record is None:
            yield Check(
                "request", passed=None, text="no request is known: it was not made yet, or is past the retention"
            )
            return
        leader = state.rules.get(record.request.rule, run).rule
        slot = run.last_evaluation
        if record.state.waiting:
            situation = keeper.situation(state.draft(), record, leader, slot)
            for reason, closed, until in gate.gates(situation):
                text = _until(closed=closed, until=until)
                if closed:
                    text += _cause(state, keeper, record, situation, reason)
                yield Check(f"gate {reason.value}", not closed, text)
        yield _of_record(record)
        if record.state.terminal and record.state is not RequestState.UNDELIVERED:
            yield from _of_next(keeper.hold(state.draft(), record, leader, slot), record)

    # ------------------------------------------------------------ then

    def _then(
        self, source: MetricSource, group: Group, run: RuleEvaluator, model: ModelKey, at: Timestamp, ends: float
    ) -> Explanation:
        slot = group.slot_at(at)
        replay = Replay(source, self.engine.table, [group], lambda _: None)
        evaluation: Evaluation | None = None
        try:
            for result in replay.walk(max(slot - _look_back(group, run), slot - LONGEST_SLOTS * group.interval), slot):
                evaluation = result.evaluations.get(run.rule.name)
                self._check_answered(result.report, ends)
        finally:
            replay.close()
        again = replay.all_rules()[run.rule.name]
        plain = run.strategy is None and not run.parts
        absence = _NOT_IN_RESULT if plain else "was not reported in the history before this instant"
        checks = [*_of_rule(group, again, evaluation, model, slot, absence), *self._recorded(run, model, slot)]
        return self._explanation(group, again, model, slot, checks, recomputed=True)

    def _check_answered(self, report: TickReport, ends: float) -> None:
        """Raise SourceError if a query of the slot got no answer, or the time is up."""
        for query in report.queries:
            if query.error in _NO_ANSWER:
                raise SourceError(query.message, reason=query.error, transient=True)
        if self.clock() > ends:
            text = f"the replay of the history took longer than {waits.REPLAY:g} s; explain one rule at a time"
            raise SourceError(text, reason="timeout", transient=True)

    def _recorded(self, run: RuleEvaluator, model: ModelKey, slot: Timestamp) -> Iterator[Check]:
        """Yield the latest decisions up to the slot, and the requests of the pipeline that were open then."""
        decisions = self.history.decisions(DecisionFilter(model, run.rule.name, until=slot, limit=LATEST))
        for item in decisions:
            yield Check("decision", passed=True, text=f"{rfc3339(item.slot)}: {item.reason}")
        if not decisions:
            yield Check("decision", passed=None, text="no earlier decision is stored")
        until_then = RequestFilter(project=model.project, pipeline=model.pipeline, limit=1000, until=slot)
        records = [item for item in self.history.requests(until_then) if not item.ended_at or item.ended_at > slot]
        for record in records:
            sent = 0 < record.sent_at <= slot
            text = f"sent {rfc3339(record.sent_at)}" if sent else f"not sent yet{self._held(record, slot)}"
            yield Check("request", passed=sent, text=f"{record.id}: attempt {record.request.attempt}, {text}")
        if not records:
            yield Check("request", passed=None, text="no request of the pipeline was open")

    def _held(self, record: RequestRecord, slot: Timestamp) -> str:
        """Return the latest decision up to the slot that held a request: its slot, its gate and its evidence."""
        request, outcomes = record.request, (Outcome.HELD, Outcome.ESCALATED)
        which = DecisionFilter(request.model, request.rule, outcomes, request.triggered_at, slot)
        decisions = (item for item in self.history.decisions(which) if item.request_id == record.id)
        return next((f"; {rfc3339(item.slot)}: {item.reason}" for item in decisions), "")

    def _explanation(
        self,
        group: Group,
        run: RuleEvaluator,
        model: ModelKey,
        slot: Timestamp,
        checks: list[Check],
        *,
        recomputed: bool = False,
    ) -> Explanation:
        stopped = next((check for check in checks if check.passed is not True), None)
        answer = "a request was made: " + checks[-1].text if stopped is None else f"{stopped.name}: {stopped.text}"
        at = slot - group.offset
        repeat = tuple(
            curl(self.prometheus_url(query.server), text, at)
            for query in run.queries.values()
            for text in query.exprs.values()
        )
        helped = "" if recomputed else _helped(self.history.verdicts().get(run.rule.name, {}))
        row = run.table.find(model)
        detects = detected(run, row) if row is not None and _knows(run, model) else ""
        return Explanation(run.rule.name, model, slot, answer, tuple(checks), repeat, recomputed, helped, detects)


def _helped(verdicts: Mapping[RecoveryVerdict, int]) -> str:
    total = sum(verdicts.values())
    good = verdicts.get(RecoveryVerdict.RECOVERED, 0)
    return f"{good} of {total} retrainings led by this rule helped" if total else ""


def _of_rule(
    group: Group, run: RuleEvaluator, evaluation: Evaluation | None, model: ModelKey, slot: Timestamp, absence: str
) -> Iterator[Check]:
    """Yield the checks from the query to the firing rule.

    evaluation: the rule's last one.
    absence: why the rule does not know the model, if it does not.
    """
    at = f"at {rfc3339(slot - group.offset)}"
    if not slot or run.health == "unknown":
        yield Check("query", passed=None, text="the rule has not been evaluated yet")
        return
    if run.health != "ok":
        yield Check("query", passed=False, text=f"{at}: {run.last_error}; states are kept meanwhile")
        return
    yield Check("query", passed=True, text=f"{at}: answered")
    row, now = run.table.find(model), run.live
    if row is None or not _knows(run, model):
        yield Check("sample", passed=False, text=f"{model} {absence}")
        return
    code, cause = Code(now.code[row]), Cause(now.cause[row])
    if code is Code.INCONCLUSIVE:
        text = f"inconclusive: {cause.word}; the state is kept{awaited(run, row, cause)}"
        yield Check("verdict", passed=False, text=text)
    elif code is not Code.BREACHED:
        yield Check(
            "verdict", passed=False, text=f"{code.name.lower()}: {_numbers(run, row)}{_chance(evaluation, row)}"
        )
    else:
        facts = evaluation.facts(row) if evaluation is not None else _numbers(run, row)
        yield Check("verdict", passed=True, text=f"breached: {facts}")
    yield _of_state(run, row, slot)


def _knows(run: RuleEvaluator, model: ModelKey) -> bool:
    row = run.table.find(model)
    return row is not None and row < len(run.live.known) and bool(run.live.known[row])


def _may_open(state: EngineState, run: RuleEvaluator, model: ModelKey) -> bool:
    """Return whether the rule would open an episode of the model, and request a retraining, if it fired."""
    evaluated = bool(run.last_evaluation) and _knows(run, model)
    return evaluated and run.rule.requests_retraining and model not in state.episode_index.episodes


def _of_state(run: RuleEvaluator, row: int, slot: Timestamp) -> Check:
    alerts, rule = run.live.alerts, run.rule
    state, since = State(alerts.state[row]), int(alerts.active_at[row])
    if state is State.FIRING:
        return Check("state", passed=True, text=f"firing since {rfc3339(int(alerts.fired_at[row]))}")
    if state is State.PENDING:
        remaining = format_duration(max(0, since + rule.for_ - slot))
        return Check("state", passed=False, text=f"pending since {rfc3339(since)}: `for` needs {remaining} more")
    return Check("state", passed=False, text="inactive")


def _numbers(run: RuleEvaluator, row: int) -> str:
    if run.empty()[row]:
        return "the expression returns nothing for the model"
    live = run.live
    value, statistic, limit = float(live.value[row]), float(live.statistic[row]), float(live.threshold[row])
    own = statistic != value and statistic == statistic  # noqa: PLR0124 - NaN: none was made
    made = f", statistic {statistic:.6g}" if own else ""
    against = "" if limit != limit else f", limit {limit:.6g}"  # noqa: PLR0124 - NaN: there is none
    return f"{run.query.name} {value:.6g}{made}{against}"


def _chance(evaluation: Evaluation | None, row: int) -> str:
    return "" if evaluation is None else evaluation.chance(row)


def _no_episode(run: RuleEvaluator) -> str:
    if run.rule.kind is RuleKind.ALERT:
        return "an `alert:` rule notifies people and requests nothing"
    if run.rule.mode is Mode.SHADOW:
        return "a shadow rule requests nothing"
    return "no episode is open"


def _of_record(record: RequestRecord) -> Check:
    held = f" by {record.hold.value}" if record.hold is not None and record.state is RequestState.HELD else ""
    text = f"{record.id}: {record.state.value}{held}, attempt {record.request.attempt}"
    if record.sent_at:
        text += f", sent {rfc3339(record.sent_at)}"
    undelivered = record.state is RequestState.UNDELIVERED
    if undelivered:
        text += f": {record.message}; it does not hold other requests"
    if record.verdict is not None:
        text += f", {record.verdict.value.replace('_', ' ')}"
    return Check("request", passed=not (record.state.waiting or undelivered), text=text)


def _of_next(hold: gate.Hold | None, record: RequestRecord) -> Iterator[Check]:
    """Yield when another attempt of the same episode follows. hold: the first gate that would hold it."""
    if may_follow(record):
        text = "due" if hold is None else f"{hold.reason.value}, {_until(closed=True, until=hold.until)}"
        yield Check("next attempt", passed=False, text=text)


def _until(*, closed: bool, until: Timestamp) -> str:
    if not closed:
        return "open"
    return f"closed until {rfc3339(until)}" if until else "closed until an operator acts"


def _would_hold(state: EngineState, run: RuleEvaluator, model: ModelKey) -> Iterator[Check]:
    """Yield the gates that would hold a request now, without those that weigh a breach against its siblings."""
    keeper, slot = replace(state.gatekeeper, weigh=not_weighed), run.last_evaluation
    templates = run.texts.label_templates  # not expanded: `query` would be sent while the engine waits
    labels = {name: text for name, text in run.rule.labels.items() if name not in templates}
    request = RetrainRequest(model, "", slot, "", run.rule.name, slot, labels=labels)
    record = RequestRecord(request, RequestState.HELD, slot)
    situation = keeper.situation(state.draft(), record, run.rule, slot)
    shut = [(reason, until) for reason, closed, until in gate.gates(situation) if closed]
    for reason, until in shut:
        text = _until(closed=True, until=until) + _cause(state, keeper, record, situation, reason)
        yield Check(f"gate {reason.value}", passed=False, text=f"a request would be held: {text}")
    if not shut:
        yield Check("gates", passed=True, text="a request would not be held")


def _cause(
    state: EngineState, keeper: Gatekeeper, record: RequestRecord, situation: gate.GateInput, reason: HoldReason
) -> str:
    """Return what closes a gate, as far as it is known."""
    index, owner, slot = state.episode_index, record.owner, situation.slot
    match reason:
        case HoldReason.COOLDOWN:
            sent = (index.last_sent.get(state.table.models[row], "") for row in state.table.of(owner))
            ended = [item for item in map(index.requests.get, sent) if item is not None and retrained_at(item)]
            return f" after {max(ended, key=retrained_at).id}" if ended else ""
        case HoldReason.PAUSED:
            pauses = [item for item in index.pauses if item.covers(owner, slot)]
            return "".join(f"; paused by {_said(item.who, item.note)}" for item in pauses)
        case HoldReason.SILENCED:
            silences = keeper.silencing(record, slot)
            return "".join(f"; silence {item.id} by {_said(item.created_by, item.comment)}" for item in silences)
        case HoldReason.SILENCES_UNKNOWN:
            return "".join(f"; silence {item.id}: {item.unclear}" for item in keeper.unclear(record, slot))
        case HoldReason.NOT_THE_MODEL:
            until_healthy = "" if situation.shared_until else " or its siblings recover"
            return f"{until_healthy}: {situation.shared_cause}"
    return ""


def _said(who: str, note: str) -> str:
    return f"{who}: {note}" if note else who


def _look_back(group: Group, run: RuleEvaluator) -> Duration:
    """Return how much history before an instant decides the rule's state, in ms."""
    rule = run.rule
    slots = rule.breaches.of if rule.breaches is not None else 1
    return max(SHORTEST, 2 * (rule.for_ + rule.keep_firing_for + rule.warm_up) + (slots + 1) * group.interval)
