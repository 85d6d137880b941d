"""The present instant, for everything that is put together in app/: a time that never goes back.

It is that of the wall clock, and follows it forward at once. When the wall clock is set back, this time goes on at half
its pace until the wall clock has caught up: slots follow one another, none comes twice, and nothing waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from bridge.domain.times import Duration, Timestamp, format_duration

log = logging.getLogger(__name__)

STEP: Duration = 1000  # of the wall clock against the monotonic one, between two readings: it was set, or suspended
_MS = 1_000_000
_TOGETHER = 50 * _MS  # both clocks are read within it, or they are read again
Nanoseconds = Callable[[], int]


class Steps:
    """Notices that the wall clock was set. wall, monotonic: nanoseconds."""

    def __init__(self, wall: Nanoseconds = time.time_ns, monotonic: Nanoseconds = time.monotonic_ns) -> None:
        self._read_wall, self._read_monotonic = wall, monotonic
        self.wall, self._monotonic = self._read()

    def look(self) -> tuple[int, int]:
        """Nanoseconds that have passed since the last look, and by which the wall clock was set since, < 0: back."""
        wall, monotonic = self._read()
        elapsed = max(0, monotonic - self._monotonic)
        step = wall - self.wall - elapsed
        self.wall, self._monotonic = wall, monotonic
        return elapsed, step

    def _read(self) -> tuple[int, int]:
        """Both clocks at one instant; a thread that was held up between them tries again."""
        for _ in range(5):
            before, wall, after = self._read_monotonic(), self._read_wall(), self._read_monotonic()
            if after - before < _TOGETHER:
                break
        return wall, after


class BridgeClock:
    """Thread-safe. on_step: told of every step of the wall clock, in ms, < 0: back."""

    def __init__(self, steps: Steps | None = None) -> None:
        self._steps = steps or Steps()
        self._time = self._steps.wall
        self._lock = threading.Lock()
        self.on_step: Callable[[Duration], None] = lambda _: None

    def now(self) -> Timestamp:
        """Milliseconds since the epoch; never less than before."""
        with self._lock:
            elapsed, step = self._steps.look()
            self._time = max(self._steps.wall, self._time + elapsed // 2)
            found, lead = self._time // _MS, (self._time - self._steps.wall) // _MS
        if abs(step) >= STEP * _MS:
            self._tell(step // _MS, lead)
        return found

    def lead(self) -> Duration:
        """How far this time is ahead of the wall clock, in ms; 0 unless that was set back."""
        self.now()
        with self._lock:
            return (self._time - self._steps.wall) // _MS

    def not_before(self, instant: Timestamp) -> None:
        """Go on from `instant` where the wall clock is behind it: slots up to it are stored already."""
        with self._lock:
            self._time = max(self._time, instant * _MS)
        lead = self.lead()
        if lead >= STEP:
            extra = {"behind": format_duration(lead)}
            log.warning("the wall clock is behind the last slot that is stored; slots go on from there", extra=extra)

    def _tell(self, step: Duration, lead: Duration) -> None:
        way = "back" if step < 0 else "forward, or the machine was suspended"
        extra = {"by": format_duration(abs(step)), "behind": format_duration(lead)}
        log.warning("the wall clock was set %s; evaluation goes on", way, extra=extra)
        self.on_step(step)


_clock = BridgeClock()
now, lead, not_before = _clock.now, _clock.lead, _clock.not_before


def watch(on_step: Callable[[Duration], None]) -> None:
    """Tell `on_step` of every step of the wall clock from now on."""
    _clock.on_step = on_step
