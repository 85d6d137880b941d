"""Fires every group at its slots, and the housekeeping jobs. The only user of APScheduler.

APScheduler's instants are those of the wall clock; when that is set, they are moved, so that nothing waits for it.
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
LONGEST_SLEEP = 1.0  # seconds until a clock that was set is noticed


class SlotTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """The slots of a group: aligned to its interval and shifted by its phase.

    lead: how far the bridge's time, which slots follow, is ahead of the wall clock, in ms.
    """

    def __init__(self, group: Group, lead: Callable[[], Duration] = lambda: 0) -> None:
        self._group = group
        self._lead = lead

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The first slot after the previous one that is not past, at once when there was none yet."""
        if previous_fire_time is None:
            return now
        lead = self._lead()
        at = from_datetime(now) + lead
        slot = self._group.slot_at(at)
        if lead:
            left = slot + self._group.interval - at
            return now + timedelta(milliseconds=left + min(left, lead))  # at half pace until the lead is gone
        previous = from_datetime(previous_fire_time)
        following = slot if slot > previous and slot >= at else slot + self._group.interval
        return datetime.fromtimestamp(following / 1000, UTC)


class _Watchful(BackgroundScheduler):  # type: ignore[misc]  # APScheduler ships no types
    """Sleeps for a second at most, and moves all jobs with the wall clock when that was set."""

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
        """A clock that was set back: all is due after as long a wait as before. Forward: at once."""
        if abs(step) < STEP:
            return
        now = datetime.now(UTC)
        for job in self.get_jobs():
            due = now if step > 0 else job.next_run_time + timedelta(milliseconds=step)
            with suppress(JobLookupError):  # removed by a reload meanwhile
                job.modify(next_run_time=due)


class Scheduler:
    """One job per group and per chore.

    An overrunning job is neither started twice nor forgotten: `max_instances=1`, `coalesce=True` and no misfire limit
    leave the slots that passed to the next run, which counts and catches them up.
    """

    def __init__(
        self, evaluate: Callable[[str], None], workers: int = 8, timezone: tzinfo = UTC, *,
        lead: Callable[[], Duration] = lambda: 0, steps: Steps | None = None,
    ) -> None:  # fmt: skip
        self._evaluate = evaluate
        self._lead = lead
        self._scheduler = _Watchful(
            steps or Steps(),
            timezone=timezone,
            executors={"default": ThreadPoolExecutor(workers)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._scheduler.add_listener(self._noticed, EVENT_JOB_ERROR | EVENT_JOB_MAX_INSTANCES)

    def schedule(self, groups: tuple[Group, ...]) -> None:
        """Evaluate exactly these groups from now on; each at once, then at its slots."""
        wanted = {EVALUATE + group.name for group in groups}
        for job in self._scheduler.get_jobs():
            if job.id.startswith(EVALUATE) and job.id not in wanted:
                job.remove()
        for group in groups:
            trigger, name = SlotTrigger(group, self._lead), EVALUATE + group.name
            self._scheduler.add_job(self._evaluate, trigger, args=[group.name], id=name, replace_existing=True)

    def every(self, interval: Duration, name: str, chore: Callable[[], None]) -> None:
        """Run `chore` every `interval` ms."""
        self._scheduler.add_job(chore, IntervalTrigger(seconds=interval / 1000, timezone=UTC), id=name)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Start nothing more; what runs is not waited for (its work is committed whole or not at all)."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    @staticmethod
    def _noticed(event: JobEvent) -> None:
        fields: dict[str, Any] = {"job": event.job_id}
        if event.code == EVENT_JOB_ERROR:
            log.error("job failed", extra={**fields, "error": str(getattr(event, "exception", ""))})
        else:
            log.warning("job is still running; its slot is caught up by the next run", extra=fields)
