"""Fires every group at its slots, and the housekeeping jobs. The only user of APScheduler."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from bridge.domain.rule import Group
from bridge.domain.times import Duration, from_datetime

log = logging.getLogger(__name__)

EVALUATE = "evaluate:"


class SlotTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """The slots of a group: aligned to its interval and shifted by its phase."""

    def __init__(self, group: Group) -> None:
        self._group = group

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The first slot after the previous one that is not past, at once when there was none yet."""
        if previous_fire_time is None:
            return now
        slot = self._group.slot_at(from_datetime(now))
        previous = from_datetime(previous_fire_time)
        following = slot if slot > previous and slot >= from_datetime(now) else slot + self._group.interval
        return datetime.fromtimestamp(following / 1000, UTC)


class Scheduler:
    """One job per group and per chore.

    An overrunning job is neither started twice nor forgotten: `max_instances=1`, `coalesce=True` and no misfire limit
    leave the slots that passed to the next run, which counts and catches them up.
    """

    def __init__(self, evaluate: Callable[[str], None], workers: int = 8, timezone: tzinfo = UTC) -> None:
        self._evaluate = evaluate
        self._scheduler = BackgroundScheduler(
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
            self._scheduler.add_job(
                self._evaluate, SlotTrigger(group), args=[group.name], id=EVALUATE + group.name, replace_existing=True
            )

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
