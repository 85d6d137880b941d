"""Clock of the bridge: a time that never goes back.

It follows the wall clock forward at once. When the wall clock is set back, it continues at half pace until the wall
clock has caught up: slots stay in order, none repeats, and nothing waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from bridge.domain.times import Duration, Timestamp, format_duration

log = logging.getLogger(__name__)

STEP: Duration = 1000  # a larger difference to the monotonic clock means that the wall clock was set
_MS = 1_000_000
_TOGETHER = 50 * _MS  # both clocks must be read within this time
Nanoseconds = Callable[[], int]


class Steps:
    """Detector of steps of the wall clock. wall, monotonic: clocks in nanoseconds."""

    def __init__(self, wall: Nanoseconds = time.time_ns, monotonic: Nanoseconds = time.monotonic_ns) -> None:
        self._read_wall, self._read_monotonic = wall, monotonic
        self.offset = 0  # ns to add to the wall clock
        self.wall, self._monotonic = self._read()

    def shift(self, offset: int) -> None:
        """Add `offset` ns to the wall clock from now on; this does not count as a step."""
        self.wall += offset - self.offset
        self.offset = offset

    def look(self) -> tuple[int, int]:
        """Return the elapsed time and the step of the wall clock since the previous call, in ns; < 0: set back."""
        wall, monotonic = self._read()
        elapsed = max(0, monotonic - self._monotonic)
        step = wall - self.wall - elapsed
        self.wall, self._monotonic = wall, monotonic
        return elapsed, step

    def _read(self) -> tuple[int, int]:
        """Read both clocks at one instant; try again if the thread was suspended in between."""
        for _ in range(5):
            before, wall, after = self._read_monotonic(), self._read_wall() + self.offset, self._read_monotonic()
            if after - before < _TOGETHER:
                break
        return wall, after


class BridgeClock:
    """Time that never goes back. Thread-safe. on_step: called with each step of the wall clock in ms, < 0: back."""

    def __init__(self, steps: Steps | None = None) -> None:
        self._steps = steps or Steps()
        self._time = self._steps.wall
        self._lock = threading.Lock()
        self.on_step: Callable[[Duration], None] = lambda _: None

    def now(self) -> Timestamp:
        """Return the time in ms since the epoch, never less than before."""
        with self._lock:
            elapsed, step = self._steps.look()
            self._time = max(self._steps.wall, self._time + elapsed // 2)
            time_, lead = self._time // _MS, (self._time - self._steps.wall) // _MS
        if abs(step) >= STEP * _MS:
            self._report(step // _MS, lead)
        return time_

    def lead(self) -> Duration:
        """Return how far this time is ahead of the wall clock, in ms; 0 unless that was set back."""
        self.now()
        with self._lock:
            return (self._time - self._steps.wall) // _MS

    def offset(self) -> Duration:
        """Return how far the clock that this one follows is ahead of this host's, in ms."""
        return self._steps.offset // _MS

    def follow(self, offset: Duration, *, anew: bool) -> None:
        """Follow a clock that is `offset` ms ahead of this host's. anew: even if this time then goes back."""
        with self._lock:
            self._steps.shift(offset * _MS)
            self._time = self._steps.wall if anew else max(self._time, self._steps.wall)

    def not_before(self, instant: Timestamp) -> None:
        """Continue from `instant` if the wall clock is behind it, because slots up to it are stored already."""
        with self._lock:
            self._time = max(self._time, instant * _MS)
        lead = self.lead()
        if lead >= STEP:
            extra = {"behind": format_duration(lead)}
            log.warning("the wall clock is behind the last stored slot; slots continue from there", extra=extra)

    def _report(self, step: Duration, lead: Duration) -> None:
        direction = "back" if step < 0 else "forward, or the machine was suspended"
        extra = {"by": format_duration(abs(step)), "behind": format_duration(lead)}
        log.warning("the wall clock was set %s; evaluation continues", direction, extra=extra)
        self.on_step(step)


_clock = BridgeClock()
now, lead, not_before = _clock.now, _clock.lead, _clock.not_before
offset, follow = _clock.offset, _clock.follow


def watch(on_step: Callable[[Duration], None]) -> None:
    """Call `on_step` with every step of the wall clock from now on."""
    _clock.on_step = on_step
