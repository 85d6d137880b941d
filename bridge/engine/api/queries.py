"""Queries on a running engine: the implementation of interface.Queries."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bridge.domain.alert import State
from bridge.domain.config_change import ConfigChange
from bridge.domain.destination import RUN, Destination
from bridge.domain.errors import RequestError
from bridge.domain.explain import Explanation
from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, Episode, Feedback, RecoveryVerdict, RequestRecord, RequestState
from bridge.domain.shared_cause import EVERY_MODEL
from bridge.domain.times import Duration, Timestamp, rfc3339
from bridge.engine.access import EngineState, EpisodeIndexView
from bridge.engine.api import model_states
from bridge.engine.api import silences as silencing
from bridge.engine.api.alert_views import AlertPage, AlertView
from bridge.engine.api.explain import Explainer
from bridge.engine.api.model_search import Finder
from bridge.engine.api.signal_views import signals_of
from bridge.engine.api.silence_views import SilencesView
from bridge.engine.api.views import GroupView, ModelPage, ModelState, ModelView, RuleView, SignalView, TrailView
from bridge.engine.delivery.alert_rules import notice_labels
from bridge.engine.engine import Engine
from bridge.engine.evaluation.group import GroupEvaluator
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.evaluation.trail import TrailWindow
from bridge.ports import (
    DecisionFilter,
    DeliveryRecord,
    History,
    Outbox,
    QueueDepth,
    RequestFilter,
    Run,
    RunLedger,
    RunState,
)

PORTION = 500  # alerts that are made while the engine waits: about 5 ms
_STATE_WORDS = [state.name.lower() for state in State]
_OPEN_STATES = [state for state in RequestState if not state.terminal]


class EngineQueries:
    """Queries on the engine, briefly under its lock, and on the store without it.

    configured: returns the destinations in use.
    why_not_ready: returns the reason, "" when the bridge is ready.
    configuration: returns YAML without secrets.
    now: the clock.
    prometheus_url: returns the URL of a server by name, shown in commands that repeat a query.
    silent: returns the error by address of each Alertmanager that does not answer.
    changes: returns the latest reloads, newest first.
    """

    def __init__(
        self,
        engine: Engine,
        history: History,
        outbox: Outbox,
        ledger: RunLedger,
        *,
        configured: Callable[[], Iterable[str]],
        why_not_ready: Callable[[], str],
        configuration: Callable[[], str],
        now: Callable[[], Timestamp],
        prometheus_url: Callable[[str], str] = lambda _: "http://prometheus",
        silent: Callable[[], Mapping[str, str]] = dict,
        changes: Callable[[], Sequence[ConfigChange]] = tuple,
    ) -> None:
        self._explainer = Explainer(engine, history, prometheus_url)
        self._engine = engine
        self._finder = Finder(engine.table)
        self._history = history
        self._outbox = outbox
        self._ledger = ledger
        self._configured = configured
        self._why_not_ready = why_not_ready
        self._configuration = configuration
        self._now = now
        self._silent, self._changes = silent, changes

    def ready(self) -> tuple[bool, str]:
        """Return True if the bridge is ready, else the reason."""
        why = self._why_not_ready()
        return not why, why

    def groups(self, *, alerts: int | None = None) -> list[GroupView]:
        """Return every group with its rules. alerts: most alerts of each rule, None for all."""
        with self._engine.read() as state:
            return [self._group(run, alerts) for run in state.groups.values()]

    def _group(self, run: GroupEvaluator, alerts: int | None) -> GroupView:
        rules = [_rule_view(rule, alerts) for rule in run.runs]
        group, last = run.group, run.last_slot or 0
        limit = max((query.limit for query in group.queries.values()), default=0)
        return GroupView(group.name, group.file, group.interval, limit, last, run.seconds, run.missed, rules)

    def alerts(self, *, rule: str = "", offset: int = 0, limit: int | None = None) -> AlertPage:
        """Return a page of the alerts of one rule or all rules, in the order of the rules. limit: None for all."""
        with self._engine.read() as state:
            found, total = list[tuple[RuleEvaluator, list[int]]](), 0
            for run in (run for group in state.groups.values() for run in group.runs if rule in {"", run.rule.name}):
                rows = np.flatnonzero(run.live.alerts.state)
                last = None if limit is None else max(0, offset + limit - total)
                found.append((run, rows[max(0, offset - total) : last].tolist()))
                total += len(rows)
        return AlertPage(self._alert_views(found), total)

    def _alert_views(self, found: list[tuple[RuleEvaluator, list[int]]]) -> Iterator[AlertView]:
        """Yield the alerts of these rules and rows. Between two portions the engine may evaluate."""
        for run, rows in found:
            for start in range(0, len(rows), PORTION):
                with self._engine.read():
                    some = [row for row in rows[start : start + PORTION] if run.live.alerts.state[row]]
                    views = [_alert_view(run, row) for row in some]
                yield from views

    def models_by_name(
        self,
        *,
        project: str = "",
        pipeline: str = "",
        version: str = "",
        rule: str = "",
        states: Collection[ModelState] = (),
        offset: int = 0,
        limit: int = 1000,
    ) -> ModelPage:
        """Return a page of models, by name. rule: only models that this rule knows."""
        with self._engine.read() as state:
            present, parts = self._states(state), (project, pipeline, version)
            shown = model_states.known_by(state.rules.get(rule), present) if rule else present
            rows, total = self._finder.by_name(shown, parts, states, offset, offset + limit)
            return ModelPage(self._views(state, present, rows.tolist()), total, model_states.counted(present))

    def model(self, model: ModelKey) -> ModelView | None:
        """Return one model, None if no rule has seen it."""
        with self._engine.read() as state:
            states, row = self._states(state), state.table.find(model)
            seen = row is not None and row < len(states) and states[row] != model_states.UNSEEN
            return self._views(state, states, [row])[0] if seen and row is not None else None

    def model_page(
        self, *, text: str = "", states: Collection[ModelState] = (), without: str = "", offset: int = 0,
        limit: int = 50,
    ) -> ModelPage:  # fmt: skip
        """Return a page of models, worst state first, then by name. without: a rule that does not know them."""
        with self._engine.read() as state:
            present = self._states(state)
            shown = model_states.unknown_by(state.rules.get(without), present) if without else present
            rows, total = self._finder.find(shown, text, states, offset, offset + limit)
            return ModelPage(self._views(state, present, rows.tolist()), total, model_states.counted(present))

    def _views(self, state: EngineState, states: NDArray[np.int8], rows: list[int]) -> list[ModelView]:
        """Return the views of the models in `rows`, in that order."""
        chosen = np.zeros(len(states), np.bool_)
        chosen[rows] = True
        signals: dict[int, list[SignalView]] = {row: [] for row in rows}
        for run in state.rules.values():
            for row, view in signals_of(run, chosen):
                signals[row].append(view)
        return [
            self._model(state.episode_index, state.table[row], model_states.STATES[states[row]], signals[row])
            for row in rows
        ]

    def trails(self, models: Sequence[ModelKey], last: int = 0) -> Sequence[Mapping[str, TrailView]]:
        """Return for each model the recent values of the rules that have seen it. last: number of slots, 0 for all."""
        views: list[dict[str, TrailView]] = [{} for _ in models]
        with self._engine.read() as state:
            rows = [-1 if row is None else row for row in map(state.table.find, models)]
            trails, runs = state.trails, state.rules if state.trails is not None else {}
            for name, run in runs.items():
                known = run.live.known
                seen = [index for index, row in enumerate(rows) if 0 <= row < len(known) and known[row]]
                if seen and trails is not None:
                    course = trails.course(name, [rows[index] for index in seen], last)
                    for index, view in zip(seen, _trails(course), strict=True):
                        views[index][name] = view
        return views

    def model_counts(self) -> Mapping[ModelState, int]:
        """Count the models in each state; every state has an entry."""
        with self._engine.read() as state:
            return model_states.counted(self._states(state))

    def _states(self, state: EngineState) -> NDArray[np.int8]:
        runs = state.rules.values()
        cooled = self._now() - max((max(run.rule.cooldown.base, run.rule.cooldown.max) for run in runs), default=0)
        return model_states.present_states(runs, state.table, state.episode_index, cooled)

    def _model(
        self, index: EpisodeIndexView, model: ModelKey, state: ModelState, signals: list[SignalView]
    ) -> ModelView:
        current = index.requests.get(index.current.get(model, ""))
        held = current.hold.value if current is not None and current.hold is not None else ""
        last = index.requests.get(index.last_sent.get(model, ""))
        if last is None:
            return ModelView(model, state, signals, 0, "", "", held)
        event = last.request.evidence[0].event if last.request.evidence else ""
        replacement = model_states.replacement(last)
        return ModelView(model, state, signals, last.sent_at, last.id, event, held, *replacement, last.link)

    def decisions(self, which: DecisionFilter) -> list[Decision]:
        """Return decisions, newest first."""
        return self._history.decisions(which)

    def requests(self, which: RequestFilter) -> list[RequestRecord]:
        """Return requests, newest first."""
        return self._history.requests(which)

    def episodes(self, model: ModelKey) -> list[Episode]:
        """Return the last episodes of a model, newest first."""
        return self._history.episodes(model)

    def request(self, request_id: str) -> RequestRecord | None:
        """Return one request, None if there is none of that id."""
        return self._history.request(request_id)

    def deliveries(self, request_id: str) -> list[DeliveryRecord]:
        """Return the deliveries of a request."""
        return self._history.deliveries(request_id)

    def runs(self, request_id: str) -> list[Run]:
        """Return the runs that a request started in orchestrators."""
        return self._ledger.runs(request_id)

    def run_counts(self) -> Mapping[tuple[str, RunState], int]:
        """Count the runs that have not ended by destination and state; every state of every receiver has an entry."""
        receivers = [name for name in self._configured() if Destination.parse(name).integration == RUN]
        known = {(name, state): 0 for name in receivers for state in RunState if not state.terminal}
        return {**known, **self._ledger.run_counts()}

    def overdue_runs(self) -> Mapping[str, int]:
        """Count the runs that have not started within start_deadline by destination."""
        receivers = [name for name in self._configured() if Destination.parse(name).integration == RUN]
        return {**dict.fromkeys(receivers, 0), **self._ledger.overdue_runs()}

    def pending_deliveries(self, limit: int = 100) -> list[DeliveryRecord]:
        """Return deliveries that are not made yet."""
        return self._history.pending_deliveries(limit)

    def destinations(self) -> Collection[str]:
        """Return the destinations of the configuration."""
        return set(self._configured())

    def queue_depths(self) -> Mapping[str, QueueDepth]:
        """Return the queue of every destination, empty ones included."""
        return {**{name: QueueDepth(0, 0, 0) for name in self._configured()}, **self._outbox.depths()}

    def request_counts(self) -> Mapping[str, int]:
        """Count the open requests by state, and undelivered ones while their episode is open."""
        with self._engine.read() as state:
            index = state.episode_index
            counts = {of.value: index.unfinished.get(of, 0) for of in _OPEN_STATES}
            return {**counts, RequestState.UNDELIVERED.value: len(index.undelivered)}

    def last_missed(self) -> Timestamp:
        """Return the end of the last missed episode from the store, so that restarts do not reset it."""
        missed = self._history.requests(RequestFilter(states=(RequestState.MISSED,), limit=1))
        return missed[0].ended_at if missed else 0

    def explain(self, model: ModelKey, rule: str = "", at: Timestamp = 0) -> list[Explanation]:
        """Explain for each rule why there was or was not a request, as Explainer.explain does."""
        if at > self._now():
            raise RequestError(f"{rfc3339(at)} is in the future")
        return self._explainer.explain(model, rule, at)

    def repeat(self, decision: Decision) -> list[str]:
        """Return shell commands that repeat the decision's queries, as Explainer.repeat does."""
        return self._explainer.repeat(decision)

    def group_times(self) -> list[tuple[str, Timestamp, Duration]]:
        """Return name, last slot and interval of every group."""
        with self._engine.read() as state:
            return [(run.group.name, run.last_slot or 0, run.group.interval) for run in state.groups.values()]

    def rule_models(self) -> list[tuple[str, str, int]]:
        """Return group, name and number of known models of every rule on signals."""
        with self._engine.read() as state:
            runs = [run for run in state.rules.values() if run.strategy is not None or run.parts]
            return [(run.rule.group, run.rule.name, int(run.live.known.sum())) for run in runs]

    def never_judged(self) -> list[tuple[str, str, int]]:
        """Return group, name and number of models long without a verdict, for every rule on signals."""
        with self._engine.read() as state:
            runs = [run for run in state.rules.values() if run.strategy is not None or run.parts]
            return [(run.rule.group, run.rule.name, len(run.never_judged())) for run in runs]

    def verdicts(self) -> Mapping[str, Mapping[RecoveryVerdict, int]]:
        """Count the recovery verdicts of retrainings by leading rule."""
        return self._history.verdicts()

    def sent(self, since: Timestamp) -> Mapping[str, int]:
        """Count the requests that were triggered since an instant and sent, by leading rule."""
        return self._history.sent(since)

    def feedback(self) -> Mapping[str, Mapping[Feedback, int]]:
        """Count the feedback on requests by leading rule."""
        return self._history.feedback()

    def shared_causes(self) -> Mapping[str, int]:
        """Count the present shared causes by label; without `shared_cause` in the configuration there is none."""
        with self._engine.read() as state:
            settings = state.settings.gates.shared_cause
            counts = Counter(cause.label for cause in state.shared_causes)
        return {} if settings is None else {label: counts[label] for label in (*settings.labels, EVERY_MODEL)}

    def unclear_silences(self) -> int:
        """Count the silences in force whose matchers cannot be evaluated."""
        with self._engine.read() as state:
            known, now = state.settings.silences(), self._now()
        silences = known.silences if known is not None else ()
        return sum(bool(item.unclear) and item.starts_at <= now < item.ends_at for item in silences)

    def silences(self, offset: int = 0, limit: int = 50) -> SilencesView | None:
        """Return a page of silences, those that hold requests first, then by their end."""
        return silencing.in_force(self._engine, self._silent(), self._now(), offset, limit)

    def configuration(self) -> str:
        """Return the loaded configuration as YAML, secrets as `<secret>`."""
        return self._configuration()

    def config_changes(self) -> Sequence[ConfigChange]:
        """Return the latest changes of the configuration, newest first."""
        return self._changes()


def rule_views(engine: Engine) -> list[RuleView]:
    """Return every rule of an engine with its pending and firing alerts."""
    with engine.read() as state:
        return [_rule_view(run) for group in state.groups.values() for run in group.runs]


def _trails(course: TrailWindow) -> Iterator[TrailView]:
    """Yield the trail of each model in the window."""
    slots = course.slots.tolist()
    columns = (course.value, course.statistic, course.threshold, course.lower, course.upper)
    for index in range(course.state.shape[1]):
        value, statistic, threshold, lower, upper = (column[:, index].tolist() for column in columns)
        yield TrailView(slots, value, statistic, threshold, lower, upper, course.state[:, index].tolist())


def _rule_view(run: RuleEvaluator, most: int | None = None) -> RuleView:
    rule, states, exprs = run.rule, run.live.alerts.state, run.query.exprs
    worst = State(int(states.max())) if len(states) else State.INACTIVE
    return RuleView(
        name=rule.name,
        group=rule.group,
        file=rule.file,
        query="\n".join(exprs.values()),
        strategy="" if rule.strategy is None else rule.strategy.name,
        params={} if rule.strategy is None else rule.strategy.params,
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
        alerts=[_alert_view(run, row) for row in np.flatnonzero(states)[:most].tolist()],
        pending=int((states == State.PENDING).sum()),
        firing=int((states == State.FIRING).sum()),
        alertname=rule.alertname,
        cooldown=rule.cooldown.base,
        approval=rule.approval,
    )


def _alert_view(run: RuleEvaluator, row: int) -> AlertView:
    alerts, model = run.live.alerts, run.table[row]
    value = float(run.live.value[row])
    return AlertView(
        rule=run.rule.name,
        model=model,
        state=_STATE_WORDS[int(alerts.state[row])],
        active_at=int(alerts.active_at[row]),
        fired_at=int(alerts.fired_at[row]),
        keep_since=int(alerts.keep_since[row]),
        value=math.nan if math.isnan(value) else value,
        labels=notice_labels(run, row),
        annotations=run.alert_annotations(row),
    )
