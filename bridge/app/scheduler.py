"""Scheduler of group evaluations and housekeeping jobs. The only user of APScheduler.

APScheduler uses the wall clock. When someone sets the clock, the jobs are rescheduled, so that none waits for the old
time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import STATE_STOPPED
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from bridge.app.clock import STEP, Steps
from bridge.domain.rule import Group
from bridge.domain.times import Duration, from_datetime

log = logging.getLogger(__name__)

EVALUATE = "evaluate:"
LONGEST_SLEEP = 1.0  # seconds until a step of the clock is noticed


class SlotTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """Slots of a group, aligned to its interval and shifted by its phase.

    lead: returns how far the bridge's clock is ahead of the clock that it follows, in ms.
    offset: returns how far the clock that it follows is ahead of this host's, in ms.
    """

    def __init__(
        self, group: Group, lead: Callable[[], Duration] = lambda: 0, offset: Callable[[], Duration] = lambda: 0
    ) -> None:
        self._group = group
        self._lead = lead
        self._offset = offset

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the next slot that is not past, or `now` for the first evaluation."""
        if previous_fire_time is None:
            return now
        lead, offset = self._lead(), self._offset()
        at = from_datetime(now) + offset + lead
        slot = self._group.slot_at(at)
        if lead:
            remaining = slot + self._group.interval - at
            return now + timedelta(milliseconds=remaining + min(remaining, lead))  # at half pace while ahead
        previous = from_datetime(previous_fire_time) + offset
        following = slot if slot > previous and slot >= at else slot + self._group.interval
        return datetime.fromtimestamp((following - offset) / 1000, UTC)


class _StepAwareScheduler(BackgroundScheduler):  # type: ignore[misc]  # APScheduler ships no types
    """Scheduler that sleeps at most a second, and moves all jobs when the wall clock was set."""

    def __init__(self, steps: Steps, **settings: Any) -> None:
        super().__init__(**settings)
        self._steps = steps

    def _main_loop(self) -> None:
        wait: float | None = None
        while self.state != STATE_STOPPED:
            self._event.wait(LONGEST_SLEEP if wait is None else min(wait, LONGEST_SLEEP))
            self._event.clear()
            self._realign(self._steps.look()[1] // 1_000_000)
            wait = self._process_jobs()

    def _realign(self, step: Duration) -> None:
        """Move all jobs after a step of the clock: set back, they keep their waits; set forward, they are due now."""
        if abs(step) < STEP:
            return
        now = datetime.now(UTC)
        for job in self.get_jobs():
            due = now if step > 0 else job.next_run_time + timedelta(milliseconds=step)
            with suppress(JobLookupError):  # removed by a reload meanwhile
                job.modify(next_run_time=due)


class Scheduler:
    """Jobs of the groups and of housekeeping.

    A job that overruns is neither started twice nor dropped: with `max_instances=1`, `coalesce=True` and no misfire
    limit, its next run counts the missed slots and catches up.

    evaluate: called with a group's name at its slots.
    lead, offset: as for SlotTrigger.
    """

    def __init__(
        self,
        evaluate: Callable[[str], None],
        workers: int = 8,
        timezone: tzinfo = UTC,
        *,
        lead: Callable[[], Duration] = lambda: 0,
        offset: Callable[[], Duration] = lambda: 0,
        steps: Steps | None = None,
    ) -> None:
        self._evaluate = evaluate
        self._lead, self._offset = lead, offset
        self._scheduler = _StepAwareScheduler(
            steps or Steps(),
            timezone=timezone,
            executors={"default": ThreadPoolExecutor(workers)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._scheduler.add_listener(self._log_event, EVENT_JOB_ERROR | EVENT_JOB_MAX_INSTANCES)

    def schedule(self, groups: tuple[Group, ...]) -> None:
        """Evaluate exactly these groups from now on: each at once, then at its slots."""
        names = {EVALUATE + group.name for group in groups}
        for job in self._scheduler.get_jobs():
            if job.id.startswith(EVALUATE) and job.id not in names:
                job.remove()
        for group in groups:
            trigger, name = SlotTrigger(group, self._lead, self._offset), EVALUATE + group.name
            self._scheduler.add_job(self._evaluate, trigger, args=[group.name], id=name, replace_existing=True)

    def every(self, interval: Duration, name: str, job: Callable[[], None]) -> None:
        """Run `job` every `interval` ms."""
        self._scheduler.add_job(job, IntervalTrigger(seconds=interval / 1000, timezone=UTC), id=name)

    def start(self) -> None:
        """Start the scheduler's thread."""
        self._scheduler.start()

    def stop(self) -> None:
        """Start no more jobs; do not wait for running ones, whose work is committed whole or not at all."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    @staticmethod
    def _log_event(event: JobEvent) -> None:
        fields: dict[str, Any] = {"job": event.job_id}
        if event.code == EVENT_JOB_ERROR:
            log.error("job failed", extra={**fields, "error": str(getattr(event, "exception", ""))})
        else:
            log.warning("job is still running; its next run catches up", extra=fields)
