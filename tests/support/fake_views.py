"""Queries and Commands that answer what the test puts into them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from msgspec import structs

from bridge.domain.config_change import ConfigChange
from bridge.domain.errors import RequestError, UnknownRequestError
from bridge.domain.explain import Check, Explanation
from bridge.domain.model import ModelKey
from bridge.domain.request import (
    Decision,
    Episode,
    Feedback,
    OperatorAction,
    Outcome,
    RecoveryVerdict,
    RequestRecord,
    RequestState,
    RetrainRequest,
)
from bridge.domain.times import Timestamp
from bridge.engine.api.alert_views import AlertPage, AlertView
from bridge.engine.api.silence_views import SilencesView
from bridge.engine.api.views import (
    Discarded,
    GroupView,
    ModelPage,
    ModelState,
    ModelView,
    ReloadResult,
    RuleView,
    SignalView,
    TrailView,
)
from bridge.ports import (
    DecisionFilter,
    DeliveryRecord,
    DeliveryState,
    Kind,
    Pause,
    QueueDepth,
    RequestFilter,
    Run,
    RunState,
    StatusReport,
)

AT: Timestamp = 1_700_000_000_000
MODEL = ModelKey("shop", "ranking", "7")
QUIET = ModelKey("shop", "search", "2")
ID = "ca89dedfb2e65b5454c3a4a7e1d301aa"

ALERT = AlertView("Drifted", MODEL, "firing", AT, AT, 0, 0.702, {"alertname": "Drifted"}, {"summary": "Drift"})
RULE = RuleView(
    "Drifted", "serving", "rules.yml", "model_drift", "threshold", 10_000, 0, {"severity": "page"}, {}, "firing", "ok",
    "", AT, 0.01, 2, [ALERT], firing=1, params={"max": 0.6},
)  # fmt: skip
GROUP = GroupView("serving", "rules.yml", 60_000, 500, AT, 0.02, 0, [RULE])
REQUEST = RequestRecord(
    RetrainRequest(MODEL, "Drifted: drift 0.702 above 0.6", AT, ID, "Drifted", AT), RequestState.REQUESTED, AT,
    ("team",), ("team/coordinator/0",), sent_at=AT,
)  # fmt: skip
EPISODE = Episode(MODEL, AT, "Drifted", ("Drifted",), 1)
DECISION = Decision(
    AT, "serving", "Drifted", MODEL, Outcome.REQUESTED, "pending", "firing", "drift 0.702 above 0.6", "breached",
    "none", 0.702, 0.702, 0.6, "model_drift", AT, ID,
)  # fmt: skip
TRAIL = TrailView(
    [AT - 40_000, AT - 30_000, AT - 20_000, AT - 10_000, AT], [0.1, 0.2, math.nan, 0.65, 0.702],
    [0.1, 0.2, math.nan, 0.65, 0.702], [0.6] * 5, [0.05] * 5, [0.25] * 5, [0, 0, 0, 1, 2],
)  # fmt: skip
DELIVERY = DeliveryRecord(
    1, ID, "team/coordinator/0", Kind.FIRING, DeliveryState.RETRY, 2, AT, AT + 5000, AT, "http_5xx", 503, "busy"
)


def signal(value: float = 0.702, threshold: float = 0.6, **more: object) -> SignalView:
    base = SignalView("Drifted", "drift", "drift", "", value, value, threshold, "breached", "none", "firing", AT)
    return structs.replace(base, **more)


def model_view(model: ModelKey = MODEL, state: ModelState = ModelState.RETRAIN_REQUESTED) -> ModelView:
    asked = state is ModelState.RETRAIN_REQUESTED
    if not asked:
        return ModelView(model, state, [signal()], 0, "", "")
    return ModelView(model, state, [signal()], AT, ID, "drift", run_url='https://prefect.example/runs/"1"')


@dataclass
class FakeQueries:
    """One group, two models, one request."""

    why: str = ""
    views: list[ModelView] = field(default_factory=lambda: [model_view(), model_view(QUIET, ModelState.HEALTHY)])
    told: list[Decision] = field(default_factory=lambda: [DECISION])
    asked: list[object] = field(default_factory=list)
    groups_: list[GroupView] = field(default_factory=lambda: [GROUP])
    records: list[RequestRecord] = field(default_factory=lambda: [REQUEST])
    waiting: list[DeliveryRecord] = field(default_factory=lambda: [DELIVERY])
    seen: dict[ModelKey, dict[str, TrailView]] = field(default_factory=lambda: {MODEL: {"Drifted": TRAIL}})
    silenced: SilencesView | None = None
    started: list[Run] = field(default_factory=list)
    lived: list[Episode] = field(default_factory=lambda: [EPISODE])
    sent_to: list[DeliveryRecord] = field(default_factory=lambda: [DELIVERY])
    configured: tuple[str, ...] = ("team/coordinator/0", "on/call/webhook/1")
    changes: list[ConfigChange] = field(default_factory=list)

    def ready(self) -> tuple[bool, str]:
        return not self.why, self.why

    def groups(self, *, alerts: int | None = None) -> list[GroupView]:
        return [
            replace(group, rules=[replace(rule, alerts=rule.alerts[:alerts]) for rule in group.rules])
            for group in self.groups_
        ]

    def alerts(self, *, rule: str = "", offset: int = 0, limit: int | None = None) -> AlertPage:
        rules = [item for group in self.groups_ for item in group.rules if rule in {"", item.name}]
        every = [alert for item in rules for alert in item.alerts]
        return AlertPage(iter(every[offset:][:limit]), len(every))

    def model(self, model: ModelKey) -> ModelView | None:
        return next((view for view in self.views if view.model == model), None)

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
        wanted = (project, pipeline, version)
        found = [
            view
            for view in sorted(self.views, key=lambda view: view.model)
            if (not states or view.state in states)
            and (not rule or any(signal.rule == rule for signal in view.signals))
            and all(
                part in {"", own}
                for part, own in zip(wanted, (view.model.project, view.model.pipeline, view.model.version), strict=True)
            )
        ]
        return ModelPage(found[offset : offset + limit], len(found), {})

    def model_page(
        self,
        *,
        text: str = "",
        states: Collection[ModelState] = (),
        without: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> ModelPage:
        self.asked.append((text, tuple(states), offset, limit, *([without] if without else [])))
        order = list(ModelState)
        fit = [view for view in self.views if not states or view.state in states]
        found = [view for view in fit if all(word in str(view.model).lower() for word in text.lower().split())]
        found.sort(key=lambda view: (order.index(view.state), view.model))
        return ModelPage(found[offset : offset + limit], len(found), self.model_counts())

    def trails(self, models: Sequence[ModelKey], last: int = 0) -> list[Mapping[str, TrailView]]:
        self.asked.append(("trails", tuple(models), last))
        return [self.seen.get(model, {}) for model in models]

    def model_counts(self) -> Mapping[ModelState, int]:
        counts = Counter(view.state for view in self.views)
        return {state: counts[state] for state in ModelState}

    def decisions(self, which: DecisionFilter) -> list[Decision]:
        self.asked.append(which)
        return [item for item in self.told if which.fits(item)][: which.limit]

    def requests(self, which: RequestFilter) -> list[RequestRecord]:
        self.asked.append(which)
        return self.records

    def episodes(self, model: ModelKey) -> list[Episode]:
        return [item for item in self.lived if item.model == model]

    def request(self, request_id: str) -> RequestRecord | None:
        return REQUEST if request_id == ID else None

    def deliveries(self, request_id: str) -> list[DeliveryRecord]:
        return self.sent_to

    def runs(self, request_id: str) -> list[Run]:
        return self.started if request_id == ID else []

    def run_counts(self) -> Mapping[tuple[str, RunState], int]:
        return {("team/run/0", RunState.QUEUED): 1, ("team/run/0", RunState.RUNNING): 2}

    def overdue_runs(self) -> Mapping[str, int]:
        return {"team/run/0": 1}

    def pending_deliveries(self, limit: int = 100) -> list[DeliveryRecord]:
        return self.waiting

    def destinations(self) -> Collection[str]:
        return self.configured

    def queue_depths(self) -> Mapping[str, QueueDepth]:
        return {"team/coordinator/0": QueueDepth(1, AT - 60_000, 0), "on/call/webhook/1": QueueDepth(0, 0, 2)}

    def request_counts(self) -> Mapping[str, int]:
        return {"held": 0, "requested": 1, "accepted": 0, "running": 0}

    def last_missed(self) -> Timestamp:
        return AT

    def explain(self, model: ModelKey, rule: str = "", at: Timestamp = 0) -> list[Explanation]:
        self.asked.append((model, rule, at))
        checks = (Check("query", True, "answered"), Check("verdict", False, "ok: drift 0.1, limit 0.6"))
        answer, detects = "verdict: ok: drift 0.1, limit 0.6", "detects sudden changes so far; shifts from noon on"
        return [Explanation("Drifted", model, AT, answer, checks, ("curl x",), detects=detects)]

    def repeat(self, decision: Decision) -> list[str]:
        return [f"curl {decision.query}"]

    def group_times(self) -> list[tuple[str, Timestamp, int]]:
        return [(group.name, group.last_evaluation, group.interval) for group in self.groups_]

    def rule_models(self) -> list[tuple[str, str, int]]:
        return [("serving", "Drifted", 2), ("serving", "Mistyped", 0)]

    def never_judged(self) -> list[tuple[str, str, int]]:
        return [("serving", "Drifted", 0), ("serving", "Mistyped", 3)]

    def verdicts(self) -> Mapping[str, Mapping[RecoveryVerdict, int]]:
        return {"Drifted": {RecoveryVerdict.RECOVERED: 3, RecoveryVerdict.NOT_RECOVERED: 1}}

    def feedback(self) -> Mapping[str, Mapping[Feedback, int]]:
        return {"Drifted": {Feedback.USEFUL: 2, Feedback.FALSE: 1}}

    def shared_causes(self) -> Mapping[str, int]:
        return {"node": 1, "": 0}

    def unclear_silences(self) -> int:
        found = self.silenced.silences if self.silenced is not None else []
        return sum(bool(item.silence.unclear) for item in found)

    def silences(self, offset: int = 0, limit: int = 50) -> SilencesView | None:
        self.asked.append(("silences", offset, limit))
        return self.silenced

    def configuration(self) -> str:
        return "prometheus: {url: http://localhost:9090}\n"

    def config_changes(self) -> Sequence[ConfigChange]:
        return self.changes

    def sent(self, since: Timestamp) -> Mapping[str, int]:
        return {"Drifted": 5}


@dataclass
class FakeCommands:
    """Remembers what was asked of it."""

    reloaded: ReloadResult = field(default_factory=lambda: ReloadResult(ok=True))
    reports: list[StatusReport] = field(default_factory=list)
    reloads: int = 0
    acts: list[tuple[str, str, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    paused: list[Pause] = field(default_factory=list)
    retried: int = 0
    waiting_for_retry: int = 1
    dead: int = 1
    removed: str = "old"  # the only receiver whose deliveries can be discarded
    refused: str = ""

    def reload(self) -> ReloadResult:
        self.reloads += 1
        return self.reloaded

    def report_status(self, report: StatusReport) -> RequestRecord:
        if report.request_id != ID:
            raise UnknownRequestError(f"there is no request {report.request_id!r}")
        self.reports.append(report)
        return structs.replace(REQUEST, state=report.state)

    def act(self, request_id: str, what: str, who: str, note: str = "", key: str = "") -> RequestRecord:
        if request_id != ID:
            raise UnknownRequestError(f"there is no request {request_id!r}")
        self.acts.append((what, who, note))
        self.keys.append(key)
        return structs.replace(REQUEST, acts=(OperatorAction(what, who, AT, note, key),))

    def feedback(self, request_id: str, opinion: Feedback, who: str, note: str = "", key: str = "") -> RequestRecord:
        if request_id != ID:
            raise UnknownRequestError(f"there is no request {request_id!r}")
        self.acts.append((opinion.value, who, note))
        self.keys.append(key)
        return structs.replace(REQUEST, feedback=opinion)

    def create(self, model: ModelKey, reason: str, who: str, *, force: bool = False, key: str = "") -> RequestRecord:
        if not force:
            raise RequestError("gate cooldown is closed")
        self.acts.append((str(model), reason, who))
        self.keys.append(key)
        return REQUEST

    def refusal(self, model: ModelKey) -> str:
        return self.refused

    def pause(self, project: str, pipeline: str, length: int, who: str, note: str = "") -> Pause:
        made = Pause(project, pipeline, AT + length, who, AT, note)
        self.paused = [*self.paused, made]
        return made

    def pauses(self) -> list[Pause]:
        return self.paused

    def retry(self, request_id: str) -> int:
        if request_id != ID:
            raise UnknownRequestError(f"there is no request {request_id!r}")
        self.retried += 1
        return self.waiting_for_retry

    def discard(self, receiver: str, who: str, note: str = "") -> Discarded:
        if receiver != self.removed:
            return Discarded()
        self.acts.append((f"discard {receiver}", who, note))
        return Discarded([f"{receiver}/webhook/0"], 2, 1)

    def redrive(self, request_id: str, destination: str | None = None) -> int:
        if request_id != ID:
            raise UnknownRequestError(f"there is no request {request_id!r}")
        return self.dead if destination is None else 2 * self.dead


NAN = math.nan
