"""Other servers as the pages and the API see them: history from Prometheus, silences in Alertmanager, their URLs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.domain.model import ModelKey
from bridge.domain.times import Duration, Timestamp
from bridge.engine.api.signal_history import SignalHistory
from bridge.ports.silencing import NewSilence


class Histories(Protocol):
    """Reader of values from before the bridge's start."""

    def read(self, model: ModelKey, rule: str, last: Duration, until: Timestamp = 0) -> SignalHistory:
        """Return the values of the `last` ms before `until`, 0 for now. Raises RequestError and SourceError."""
        ...


class Silencer(Protocol):
    """Creation and end of silences in Alertmanager."""

    def addresses(self) -> Sequence[str]:
        """Return the address of each Alertmanager, without secrets."""
        ...

    def create(self, address: str, silence: NewSilence) -> str:
        """Create a silence in the Alertmanager at `address`, and return its id. Raises SilencingError."""
        ...

    def expire(self, silence_id: str) -> None:
        """End a silence in each Alertmanager that has it. Raises UnknownSilenceError and SilencingError."""
        ...


@dataclass(frozen=True, slots=True)
class Upstream:
    """Servers that the bridge works with.

    histories, silencer: None without such a server.
    prometheus_url: returns the URL of Prometheus for links, "" = unknown.
    """

    histories: Histories | None = None
    silencer: Silencer | None = None
    prometheus_url: Callable[[], str] = str


NO_UPSTREAM = Upstream()
