"""Fetching of Alertmanager's silences, and their creation."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bridge.app import clock
from bridge.app.adapters import Adapters, silence_targets
from bridge.ports.silencing import NewSilence

FIRST_FETCH = 2.0  # seconds that the start waits for the first fetch


class SilenceFetcher:
    """Fetches the silences of the Alertmanagers in use."""

    def __init__(self, adapters: Callable[[], Adapters]) -> None:
        self._adapters = adapters

    def fetch(self) -> None:
        """Fetch the silences, if an Alertmanager is configured."""
        adapters = self._adapters()
        if silence_targets(adapters.config):
            adapters.silences.fetch(clock.now())

    def fetch_first(self) -> None:
        """Fetch the silences before the first evaluation, without waiting long for an Alertmanager that hangs."""
        first = threading.Thread(target=self.fetch, name="first silences", daemon=True)
        first.start()
        first.join(FIRST_FETCH)


class SilenceCreator:
    """Creation and end of silences in the Alertmanagers in use, which are read again afterwards."""

    def __init__(self, adapters: Callable[[], Adapters]) -> None:
        self._adapters = adapters

    def addresses(self) -> list[str]:
        """Return the address of each Alertmanager, without secrets."""
        return self._adapters().silences.addresses()

    def create(self, address: str, silence: NewSilence) -> str:
        """Create a silence in the Alertmanager at `address`, and return its id. Raises SilencingError."""
        silences = self._adapters().silences
        made = silences.create(address, silence)
        silences.fetch(clock.now())
        return made

    def expire(self, silence_id: str) -> None:
        """End a silence in each Alertmanager that has it. Raises UnknownSilenceError and SilencingError."""
        silences = self._adapters().silences
        silences.expire(silence_id)
        silences.fetch(clock.now())
