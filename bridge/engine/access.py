"""Access to the engine from outside: its settings, a read-only view of its state, and transactions on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol

from bridge.domain.model import ModelKey, ModelTable, PipelineKey
from bridge.domain.request import Episode, RequestRecord, RequestState
from bridge.domain.rule import Gates
from bridge.domain.shared_cause import SharedCause
from bridge.domain.times import DAY, HOUR, Duration, Timestamp
from bridge.engine.evaluation.expansion import External
from bridge.engine.evaluation.group import GroupEvaluator
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.evaluation.trail import Trails
from bridge.engine.requests.episodes import EpisodeIndex, TickTransaction
from bridge.engine.requests.gates import Gatekeeper, Routing, unknown_silences
from bridge.engine.requests.request_column import RequestColumn
from bridge.engine.requests.sent import Sent
from bridge.engine.requests.siblings import Placement, Weigher, present_causes
from bridge.ports import Discard, MetricSource, Pause, RunAction, SilenceSnapshot

RETIRE_AFTER: Duration = 7 * DAY


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Settings of an engine, replaced as a whole by a reload.

    routing: the configured routes.
    gates: the conditions for sending a request.
    catch_up_limit: age in ms of the oldest missed slot that is still evaluated.
    retire_after: time in ms without samples after which a model is no longer expected.
    dry_run: True records manual requests without sending them; rules carry their own mode.
    silences: returns the latest silences of Alertmanager, None without an Alertmanager.
    external: the external labels and URL that templates may use.
    """

    routing: Routing
    gates: Gates = field(default_factory=Gates)
    catch_up_limit: Duration = HOUR
    retire_after: Duration = RETIRE_AFTER
    dry_run: bool = False
    silences: Callable[[], SilenceSnapshot | None] = unknown_silences
    external: External = field(default_factory=External)


class EpisodeIndexView(Protocol):
    """Read-only side of EpisodeIndex."""

    @property
    def episodes(self) -> Mapping[ModelKey, Episode]:
        """Open episodes by model."""
        ...

    @property
    def ended(self) -> Mapping[tuple[ModelKey, Timestamp], Episode]:
        """Recently ended episodes by model and start."""
        ...

    @property
    def requests(self) -> Mapping[str, RequestRecord]:
        """Requests by id."""
        ...

    @property
    def current(self) -> Mapping[ModelKey, str]:
        """Latest request id of each open episode."""
        ...

    @property
    def last_sent(self) -> Mapping[ModelKey, str]:
        """Id of the last sent request of each model."""
        ...

    @property
    def replaced(self) -> Mapping[ModelKey, RequestRecord]:
        """Last sent request of each model, if its retraining put another version in the model's place."""
        ...

    @property
    def in_flight(self) -> Mapping[PipelineKey, Sequence[str]]:
        """Ids of the requests in flight, by pipeline."""
        ...

    @property
    def last_end(self) -> Mapping[PipelineKey, Timestamp]:
        """Start of the cooldown of each pipeline."""
        ...

    @property
    def waiting(self) -> set[ModelKey]:
        """Models whose open episode has a request that is held or has ended."""
        ...

    @property
    def unjudged(self) -> Mapping[str, RequestRecord]:
        """Succeeded retrainings without a recovery verdict, by request id."""
        ...

    @property
    def column(self) -> RequestColumn:
        """State of the latest request of each open episode, by row."""
        ...

    @property
    def undelivered(self) -> Set[ModelKey]:
        """Models whose open episode's latest request could not be delivered."""
        ...

    @property
    def unfinished(self) -> Mapping[RequestState, int]:
        """Number of requests in each state that is not terminal."""
        ...

    @property
    def sent(self) -> Sent:
        """Instants of sent requests."""
        ...

    @property
    def pauses(self) -> Sequence[Pause]:
        """Pauses, expired ones included."""
        ...

    def next_overdue(self, in_flight_limit: Duration) -> Timestamp:
        """Return an instant before which no request in flight is overdue."""
        ...


@dataclass(frozen=True, slots=True)
class EngineState:
    """Read-only view of an engine. Valid only inside the `with` block that yielded it.

    source: the metric source in use.
    table: the models of all groups.
    groups: group evaluators by name.
    trails: recent values of every rule, None in a replay.
    """

    source: MetricSource
    table: ModelTable
    groups: Mapping[str, GroupEvaluator]
    trails: Trails | None
    _index: EpisodeIndex
    _settings: EngineSettings | None
    _storms: dict[str, tuple[Timestamp, Timestamp]]
    _placement: Placement

    @property
    def episode_index(self) -> EpisodeIndexView:
        """Episodes and requests in memory."""
        return self._index

    @property
    def rules(self) -> dict[str, RuleEvaluator]:
        """Rule evaluators by rule name."""
        return {rule.rule.name: rule for group in self.groups.values() for rule in group.runs}

    @property
    def settings(self) -> EngineSettings:
        """Settings in force. Raises RuntimeError before the first configure()."""
        if self._settings is None:
            raise RuntimeError("call configure() first")
        return self._settings

    @property
    def gatekeeper(self) -> Gatekeeper:
        """Gates in force. Raises RuntimeError before the first configure()."""
        settings = self.settings
        weigher = Weigher(
            settings.gates.shared_cause, self._placement, lambda: self.rules.values(), self.table, self._index
        )
        return Gatekeeper(settings.routing, settings.gates, settings.silences, self._storms, weigher.weigh)

    @property
    def shared_causes(self) -> list[SharedCause]:
        """Present shared causes: those that hold requests and whose siblings have not recovered."""
        return present_causes(self._index)

    @property
    def storms(self) -> Mapping[str, tuple[Timestamp, Timestamp]]:
        """First and last instant of each group's current storm."""
        return self._storms

    def draft(self) -> TickTransaction:
        """Return an empty transaction for the gates to read; applying it is up to the engine."""
        return TickTransaction(self._index)


@dataclass(slots=True)
class EngineTransaction:
    """Changes made by an operator or a status report. The engine commits them at the end of the `with` block.

    state: the engine's state, with the store's content known for certain.
    draft: episodes, requests, deliveries and decisions to commit.
    at: instant of the transaction.
    pause: a pause to store; one that ends at `at` removes the pauses of its scope.
    aside: requests to commit that the engine does not have in memory.
    runs: actions on runs to commit.
    discards: deliveries to discard.
    """

    state: EngineState
    draft: TickTransaction
    at: Timestamp
    pause: Pause | None = None
    aside: list[RequestRecord] = field(default_factory=list)
    runs: list[RunAction] = field(default_factory=list)
    discards: list[Discard] = field(default_factory=list)

    def put_request(self, record: RequestRecord) -> None:
        """Commit a changed request, whether the engine has it in memory or not."""
        if record.id in self.state.episode_index.requests:
            self.draft.put_request(record)
        else:
            self.aside.append(record)

    def adopt(self, record: RequestRecord) -> None:
        """Put a request that is already stored into the engine's memory."""
        self.draft.committed.put_request(record)
