"""Protocols Queries and Commands, through which the web server uses a running bridge.

The implementations are in engine/api/queries.py and engine/api/commands.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from bridge.domain.config_change import ConfigChange
from bridge.domain.explain import Explanation
from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, Episode, Feedback, RecoveryVerdict, RequestRecord
from bridge.domain.times import Duration, Timestamp
from bridge.engine.api.alert_views import AlertPage
from bridge.engine.api.silence_views import SilencesView
from bridge.engine.api.views import Discarded, GroupView, ModelPage, ModelState, ModelView, ReloadResult, TrailView
from bridge.ports import DecisionFilter, DeliveryRecord, Pause, QueueDepth, RequestFilter, Run, RunState, StatusReport


class Queries(Protocol):
    """Read access. Cheap enough for every scrape; never waits for a query or a receiver."""

    def ready(self) -> tuple[bool, str]:
        """Return True if the bridge is ready (store open, configuration loaded, groups scheduled), else the reason."""
        ...

    def groups(self, *, alerts: int | None = None) -> list[GroupView]:
        """Return every group with its rules. alerts: most alerts of each rule, None for all."""
        ...

    def alerts(self, *, rule: str = "", offset: int = 0, limit: int | None = None) -> AlertPage:
        """Return a page of the alerts of a rule, or of all rules. limit: None for all."""
        ...

    def model(self, model: ModelKey) -> ModelView | None:
        """Return one model, None if no rule has seen it."""
        ...

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
        """Return a page of models, by name. project, pipeline, version: exact, "" for any."""
        ...

    def model_page(
        self, *, text: str = "", states: Collection[ModelState] = (), without: str = "", offset: int = 0,
        limit: int = 50,
    ) -> ModelPage:  # fmt: skip
        """Return a page of models, worst first.

        text: words that the model's name must contain.
        states: states to include, empty for all. without: only models that this rule does not know.
        """
        ...

    def trails(self, models: Sequence[ModelKey], last: int = 0) -> Sequence[Mapping[str, TrailView]]:
        """Return by rule the values of each model since the start. last: number of slots, 0 for all."""
        ...

    def model_counts(self) -> Mapping[ModelState, int]:
        """Count the models in each state; every state has an entry."""
        ...

    def decisions(self, which: DecisionFilter) -> list[Decision]:
        """Return decisions, newest first."""
        ...

    def requests(self, which: RequestFilter) -> list[RequestRecord]:
        """Return requests, newest first."""
        ...

    def episodes(self, model: ModelKey) -> list[Episode]:
        """Return the last episodes of a model, newest first, the open one included."""
        ...

    def request(self, request_id: str) -> RequestRecord | None:
        """Return one request, None if there is none of that id."""
        ...

    def deliveries(self, request_id: str) -> list[DeliveryRecord]:
        """Return the deliveries of a request."""
        ...

    def runs(self, request_id: str) -> list[Run]:
        """Return the runs that a request started in orchestrators."""
        ...

    def run_counts(self) -> Mapping[tuple[str, RunState], int]:
        """Count the runs that have not ended by destination and state; every state of every receiver has an entry."""
        ...

    def overdue_runs(self) -> Mapping[str, int]:
        """Count the runs that have not started within start_deadline by destination."""
        ...

    def pending_deliveries(self, limit: int = 100) -> list[DeliveryRecord]:
        """Return deliveries that are not made yet."""
        ...

    def destinations(self) -> Collection[str]:
        """Return the destinations of the configuration."""
        ...

    def queue_depths(self) -> Mapping[str, QueueDepth]:
        """Return the queue of every destination ("receiver/integration/index"), empty ones included."""
        ...

    def request_counts(self) -> Mapping[str, int]:
        """Count the open requests by state; every non-terminal state has an entry."""
        ...

    def last_missed(self) -> Timestamp:
        """Return the end of the last episode that began and ended in missed slots, 0 if none. Raises StoreError."""
        ...

    def explain(self, model: ModelKey, rule: str = "", at: Timestamp = 0) -> list[Explanation]:
        """Explain for each rule why there was or was not a request. at: 0 for now. Raises RequestError, SourceError."""
        ...

    def repeat(self, decision: Decision) -> list[str]:
        """Return shell commands that repeat the decision's queries at its instant, none if the queries are unknown."""
        ...

    def group_times(self) -> list[tuple[str, Timestamp, Duration]]:
        """Return name, last slot (0 = never) and interval of every group."""
        ...

    def rule_models(self) -> list[tuple[str, str, int]]:
        """Return group, name and number of known models of every rule on signals; `expr` rules may have none."""
        ...

    def never_judged(self) -> list[tuple[str, str, int]]:
        """Return group, name and number of models long without a verdict, for every rule on signals."""
        ...

    def verdicts(self) -> Mapping[str, Mapping[RecoveryVerdict, int]]:
        """Count the recovery verdicts of retrainings by leading rule."""
        ...

    def sent(self, since: Timestamp) -> Mapping[str, int]:
        """Count the requests that were triggered since an instant and sent, by leading rule."""
        ...

    def feedback(self) -> Mapping[str, Mapping[Feedback, int]]:
        """Count the feedback on requests by leading rule."""
        ...

    def shared_causes(self) -> Mapping[str, int]:
        """Count the present shared causes by label, "" for those of every model; configured labels have an entry."""
        ...

    def unclear_silences(self) -> int:
        """Count the silences in force whose matchers cannot be evaluated."""
        ...

    def silences(self, offset: int = 0, limit: int = 50) -> SilencesView | None:
        """Return a page of Alertmanager's silences in force, None without an Alertmanager."""
        ...

    def configuration(self) -> str:
        """Return the loaded configuration as YAML, secrets as `<secret>`."""
        ...

    def config_changes(self) -> Sequence[ConfigChange]:
        """Return the latest changes of the configuration, newest first."""
        ...


class Commands(Protocol):
    """Write access. Raises RequestError when the present state does not allow it, StoreError when it is not stored.

    key: idempotency key of the call, "" = none. A repeated call with the same key changes nothing, and returns the
    request as it is now.
    """

    def reload(self) -> ReloadResult:
        """Load and apply the configuration."""
        ...

    def report_status(self, report: StatusReport) -> RequestRecord:
        """Record a status report and return the request; an older or repeated report changes nothing."""
        ...

    def redrive(self, request_id: str, destination: str | None = None) -> int:
        """Queue dead deliveries to configured destinations again and return their number. destination: None for all."""
        ...

    def retry(self, request_id: str) -> int:
        """Try deliveries to configured destinations that wait for a retry at once, and count them."""
        ...

    def discard(self, receiver: str, who: str, note: str = "") -> Discarded:
        """End the deliveries to destinations of a receiver that are not configured any more; again: change nothing."""
        ...

    def act(self, request_id: str, what: str, who: str, note: str = "", key: str = "") -> RequestRecord:
        """Approve, release or withdraw a held request, or cancel or start again the runs of one in flight."""
        ...

    def feedback(self, request_id: str, opinion: Feedback, who: str, note: str = "", key: str = "") -> RequestRecord:
        """Record an operator's opinion on a request in any state; the latest one counts."""
        ...

    def create(self, model: ModelKey, reason: str, who: str, *, force: bool = False, key: str = "") -> RequestRecord:
        """Request a retraining by hand; a closed gate refuses it, unless `force` is set."""
        ...

    def refusal(self, model: ModelKey) -> str:
        """Return why a request by hand would be refused now without `force`; "" if it would not."""
        ...

    def pause(self, project: str, pipeline: str, length: Duration, who: str, note: str = "") -> Pause:
        """Send no request of the pipeline ("" = any) for `length` ms; 0 ends the pause."""
        ...

    def pauses(self) -> list[Pause]:
        """Return the pauses that have not ended."""
        ...
