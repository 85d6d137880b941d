"""The bridge's end of benchmarks whose models change when the engine requests a retraining."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bridge.domain.times import Timestamp
from bridge.engine.api.commands import EngineCommands
from bridge.engine.api.views import ReloadResult
from bridge.engine.engine import Engine
from bridge.engine.requests.gates import Recipients
from bridge.ports import Store


class OneCoordinator:
    """Routing to a single destination that reports the state of its runs."""

    timed = False

    def recipients(self, labels: Mapping[str, str]) -> Recipients:
        """Return the destination."""
        return Recipients(("team",), ("team/coordinator/0",))

    def muted_until(self, labels: Mapping[str, str], at: Timestamp) -> Timestamp:
        """Return 0: never muted."""
        return 0

    def identity(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Return the labels."""
        return labels

    def tracked(self, destinations: Sequence[str]) -> bool:
        """Return True."""
        return True

    def wants_resolved(self, destination: str) -> bool:
        """Return False."""
        return False


def commands_of(engine: Engine, store: Store, now: Callable[[], Timestamp]) -> EngineCommands:
    """Return the commands of an engine without a configuration: nothing is reloaded, and nobody waits for work."""
    return EngineCommands(
        engine, store, store, store, configured=lambda: (), reload=lambda: ReloadResult(ok=True), wake=lambda: None,
        now=now,
    )  # fmt: skip
