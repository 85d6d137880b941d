"""What a running bridge says of itself: implements views.Queries over the engine and the store."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bridge.domain.alert import State
from bridge.domain.explain import Explanation
from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, Episode, RecoveryVerdict, RequestRecord, RequestState
from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Cause, Code
from bridge.engine.api import model_states
from bridge.engine.api import silences as silencing
from bridge.engine.api.explain import Explainer
from bridge.engine.api.model_search import Finder
from bridge.engine.api.views import (
    AlertView,
    GroupView,
    ModelPage,
    ModelState,
    ModelView,
    RuleView,
    SignalView,
    SilencesView,
    TrailView,
)
from bridge.engine.delivery.alert_rules import notice_labels
from bridge.engine.engine import Engine
from bridge.engine.evaluation.group import GroupEvaluator
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.evaluation.trail import TrailWindow
from bridge.ports import DecisionFilter, DeliveryRecord, History, Outbox, QueueDepth, RequestFilter

_STATE_WORDS = [state.name.lower() for state in State]
_VERDICT_WORDS = [code.name.lower() for code in Code]
_OPEN_STATES = [state for state in RequestState if not state.terminal]
_CAUSE_WORDS = [cause.word for cause in Cause]


class EngineQueries:
    """Reads the engine under its lock, briefly, and the store without it.

    configured: destinations in force. why_not_ready: "" when the bridge works. configuration: YAML without secrets.
    now: the present instant (handed in by app/). prometheus_url: for commands that people can repeat.
    silent: Alertmanager's address -> why it does not say its silences.
    """

    def __init__(
        self,
        engine: Engine,
        history: History,
        outbox: Outbox,
        *,
        configured: Callable[[], Iterable[str]],
        why_not_ready: Callable[[], str],
        configuration: Callable[[], str],
        now: Callable[[], Timestamp],
        prometheus_url: Callable[[], str] = lambda: "http://prometheus",
        silent: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._explainer = Explainer(engine, history, prometheus_url)
        self._engine = engine
        self._finder = Finder(engine.table)
        self._history = history
        self._outbox = outbox
        self._configured = configured
        self._why_not_ready = why_not_ready
        self._configuration = configuration
        self._now = now
        self._silent = silent

    def ready(self) -> tuple[bool, str]:
        """Whether the bridge can do its work; else why."""
        why = self._why_not_ready()
        return not why, why

    def groups(self, *, alerts: int | None = None) -> list[GroupView]:
        """Every group with its rules and their pending and firing alerts, at most so many of each rule."""
        with self._engine.lock:
            return [self._group(run, alerts) for run in self._engine.groups.values()]

    def _group(self, run: GroupEvaluator, alerts: int | None) -> GroupView:
        rules = [_rule_view(rule, alerts) for rule in run.runs]
        group, last = run.group, run.last_slot or 0
        limit = max((query.limit for query in group.queries.values()), default=0)
        return GroupView(group.name, group.file, group.interval, limit, last, run.seconds, run.missed, rules)

    def models(self, *, unhealthy_only: bool = False) -> list[ModelView]:
        """Every model that a rule has seen, in order; or of these only those that are not healthy."""
        with self._engine.lock:
            states = self._states()
            chosen = model_states.unhealthy(states) if unhealthy_only else states != model_states.UNSEEN
            slots = sorted(np.flatnonzero(chosen).tolist(), key=self._engine.table.__getitem__)
            return self._views(states, slots)

    def model(self, model: ModelKey) -> ModelView | None:
        """One model; None when no rule has seen it."""
        with self._engine.lock:
            states, slot = self._states(), self._engine.table.find(model)
            seen = slot is not None and slot < len(states) and states[slot] != model_states.UNSEEN
            return self._views(states, [slot])[0] if seen and slot is not None else None

    def model_page(
        self, *, text: str = "", states: Collection[ModelState] = (), offset: int = 0, limit: int = 50
    ) -> ModelPage:
        """The worst first, then by name."""
        with self._engine.lock:
            present = self._states()
            found, total = self._finder.find(present, text, states, offset, offset + limit)
            return ModelPage(self._views(present, found.tolist()), total, model_states.counted(present))

    def _views(self, states: NDArray[np.int8], slots: list[int]) -> list[ModelView]:
        """Of the models in `slots`, in their order."""
        chosen = np.zeros(len(states), np.bool_)
        chosen[slots] = True
        signals: dict[int, list[SignalView]] = {slot: [] for slot in slots}
        for run in self._engine.runs().values():
            for slot, view in _signals(run, chosen):
                signals[slot].append(view)
        return [
            self._model(self._engine.table[slot], model_states.STATES[states[slot]], signals[slot]) for slot in slots
        ]

    def trails(self, models: Sequence[ModelKey], last: int = 0) -> Sequence[Mapping[str, TrailView]]:
        """As remembered in memory; of rules that know the model."""
        found: list[dict[str, TrailView]] = [{} for _ in models]
        with self._engine.lock:
            places = [self._engine.table.find(model) for model in models]
            slots = [-1 if slot is None else slot for slot in places]
            trails, runs = self._engine.trails, self._engine.runs() if self._engine.trails is not None else {}
            for name, run in runs.items():
                knows = [0 <= slot < len(run.live.known) and bool(run.live.known[slot]) for slot in slots]
                which = [place for place, known in enumerate(knows) if known]
                if which and trails is not None:
                    course = trails.course(name, [slots[place] for place in which], last)
                    for place, view in zip(which, _trails(course), strict=True):
                        found[place][name] = view
        return found

    def model_counts(self) -> Mapping[ModelState, int]:
        """How many models are in each state, every state included."""
        with self._engine.lock:
            return model_states.counted(self._states())

    def _states(self) -> NDArray[np.int8]:
        runs = self._engine.runs().values()
        cooled = self._now() - max((max(run.rule.cooldown.base, run.rule.cooldown.max) for run in runs), default=0)
        return model_states.present_states(runs, self._engine.table, self._engine.book, cooled)

    def _model(self, model: ModelKey, state: ModelState, signals: list[SignalView]) -> ModelView:
        book = self._engine.book
        current = book.requests.get(book.current.get(model, ""))
        held = current.hold.value if current is not None and current.hold is not None else ""
        asked = book.requests.get(book.last_asked.get(model, ""))
        if asked is None:
            return ModelView(model, state, signals, 0, "", "", held)
        event = asked.request.evidence[0].event if asked.request.evidence else ""
        return ModelView(model, state, signals, asked.sent_at, asked.id, event, held)

    def decisions(self, which: DecisionFilter) -> list[Decision]:
        """Newest first."""
        return self._history.decisions(which)

    def requests(self, which: RequestFilter) -> list[RequestRecord]:
        """Newest first."""
        return self._history.requests(which)

    def episodes(self, model: ModelKey) -> list[Episode]:
        """Newest first."""
        return self._history.episodes(model)

    def request(self, request_id: str) -> RequestRecord | None:
        return self._history.request(request_id)

    def deliveries(self, request_id: str) -> list[DeliveryRecord]:
        return self._history.deliveries(request_id)

    def pending_deliveries(self, limit: int = 100) -> list[DeliveryRecord]:
        return self._history.pending_deliveries(limit)

    def queue_depths(self) -> Mapping[str, QueueDepth]:
        """By destination, configured ones without rows included."""
        return {**{place: QueueDepth(0, 0, 0) for place in self._configured()}, **self._outbox.depths()}

    def request_counts(self) -> Mapping[str, int]:
        """Open requests by state, and those that no receiver took, as long as their episode is open."""
        with self._engine.lock:
            book = self._engine.book
            counts = Counter(record.state for record in book.requests.values() if not record.state.terminal)
            current = [book.requests[id_].state for id_ in book.current.values()]
        counts[RequestState.UNDELIVERED] = current.count(RequestState.UNDELIVERED)
        return {state.value: counts[state] for state in (*_OPEN_STATES, RequestState.UNDELIVERED)}

    def last_missed(self) -> Timestamp:
        """As the store has it, for a process that is started again and again counts nothing for long."""
        found = self._history.requests(RequestFilter(states=(RequestState.MISSED,), limit=1))
        return found[0].ended_at if found else 0

    def explain(self, model: ModelKey, rule: str = "", at: Timestamp = 0) -> list[Explanation]:
        """As Explainer.explain."""
        return self._explainer.explain(model, rule, at)

    def repeat(self, decision: Decision) -> list[str]:
        """As Explainer.repeat."""
        return self._explainer.repeat(decision)

    def group_times(self) -> list[tuple[str, Timestamp, Duration]]:
        """Name, last slot and interval of every group."""
        with self._engine.lock:
            return [(run.group.name, run.last_slot or 0, run.group.interval) for run in self._engine.groups.values()]

    def rule_models(self) -> list[tuple[str, str, int]]:
        """Group, name and number of known models of every rule on signals."""
        with self._engine.lock:
            runs = [run for run in self._engine.runs().values() if run.strategy is not None or run.parts]
            return [(run.rule.group, run.rule.name, int(run.live.known.sum())) for run in runs]

    def never_judged(self) -> list[tuple[str, str, int]]:
        """As Queries.never_judged."""
        with self._engine.lock:
            runs = [run for run in self._engine.runs().values() if run.strategy is not None or run.parts]
            return [(run.rule.group, run.rule.name, len(run.never_judged())) for run in runs]

    def verdicts(self) -> Mapping[str, Mapping[RecoveryVerdict, int]]:
        """By rule, how many retrainings that it led to were judged how."""
        return self._history.verdicts()

    def unclear_silences(self) -> int:
        """Return how many silences in force cannot be understood."""
        known, now = self._engine.silences(), self._now()
        found = known.silences if known is not None else ()
        return sum(bool(item.unclear) and item.starts_at <= now < item.ends_at for item in found)

    def silences(self, offset: int = 0, limit: int = 50) -> SilencesView | None:
        """Those that hold requests first, then by their end."""
        return silencing.in_force(self._engine, self._silent(), self._now(), offset, limit)

    def configuration(self) -> str:
        return self._configuration()


def rule_views(engine: Engine) -> list[RuleView]:
    """Every rule with its pending and firing alerts, as a replay has them."""
    return [_rule_view(run) for group in engine.groups.values() for run in group.runs]


def _trails(course: TrailWindow) -> Iterator[TrailView]:
    """Of each model."""
    slots = course.slots.tolist()
    columns = (course.value, course.statistic, course.threshold, course.lower, course.upper)
    for place in range(course.state.shape[1]):
        value, statistic, threshold, lower, upper = (column[:, place].tolist() for column in columns)
        yield TrailView(slots, value, statistic, threshold, lower, upper, course.state[:, place].tolist())


def _signals(run: RuleEvaluator, chosen: NDArray[np.bool_]) -> Iterator[tuple[int, SignalView]]:
    """Columns to views, as lists: single elements of numpy arrays are slow. chosen: (n,) of the wanted models."""
    now, query, name = run.live, run.query, run.rule.name
    slots = np.flatnonzero(now.known & chosen[: len(now.known)])
    columns = (now.value, now.threshold, now.code, now.cause, now.alerts.state, now.alerts.active_at)
    values = zip(*(column[slots].tolist() for column in columns), strict=True)
    for slot, (value, threshold, code, cause, state, active_at) in zip(slots.tolist(), values, strict=True):
        yield (
            slot,
            SignalView(
                name, query.name, query.event.value, query.unit, value, threshold,
                _VERDICT_WORDS[code], _CAUSE_WORDS[cause], _STATE_WORDS[state], run.last_evaluation,
                active_at if state else 0,
            ),
        )  # fmt: skip


def _rule_view(run: RuleEvaluator, most: int | None = None) -> RuleView:
    rule, states = run.rule, run.live.alerts.state
    worst = State(int(states.max())) if len(states) else State.INACTIVE
    exprs = run.query.exprs
    return RuleView(
        name=rule.name,
        group=rule.group,
        file=rule.file,
        query="\n".join(exprs.values()),
        strategy="" if rule.strategy is None else rule.strategy.name,
        for_=rule.for_,
        keep_firing_for=rule.keep_firing_for,
        labels=rule.labels,
        annotations=rule.annotations,
        state=_STATE_WORDS[worst],
        health=run.health,
        last_error=run.last_error,
        last_evaluation=run.last_evaluation,
        seconds=run.seconds,
        models=int(run.live.known.sum()),
        alerts=[_alert_view(run, slot) for slot in np.flatnonzero(states)[:most].tolist()],
        pending=int((states == State.PENDING).sum()),
        firing=int((states == State.FIRING).sum()),
        alertname=rule.alertname,
    )


def _alert_view(run: RuleEvaluator, slot: int) -> AlertView:
    alerts, model = run.live.alerts, run.table[slot]
    value = float(run.live.value[slot])
    return AlertView(
        rule=run.rule.name,
        model=model,
        state=_STATE_WORDS[int(alerts.state[slot])],
        active_at=int(alerts.active_at[slot]),
        fired_at=int(alerts.fired_at[slot]),
        keep_since=int(alerts.keep_since[slot]),
        value=math.nan if math.isnan(value) else value,
        labels=notice_labels(run, slot),
        annotations=run.rendered(slot),
    )
