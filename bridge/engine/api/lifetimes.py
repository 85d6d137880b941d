"""Forecast of when a pipeline needs its next retraining, learnt from how long earlier ones lasted. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bridge.domain.model import PipelineKey
from bridge.domain.request import MANUAL, RecoveryVerdict, RequestRecord, RequestState
from bridge.domain.times import HOUR, Timestamp
from bridge.strategies.stats import survival

MOST_REQUESTS = 1000  # latest requests of a project that are considered
CONFIDENCE = 0.9


@dataclass(frozen=True, slots=True)
class NextRetraining:
    """Interval in which a pipeline is expected to need its next retraining, with a confidence of CONFIDENCE.

    since: end of its latest retraining.
    own, others: numbers of ended lifetimes of this pipeline, and of the other pipelines of its project.
    """

    since: Timestamp
    earliest: Timestamp
    latest: Timestamp
    own: int
    others: int


@dataclass(frozen=True, slots=True)
class _Life:
    """Time from the end of a retraining to the next breach. end: 0 = it lasts; censored: not ended by a breach."""

    owner: PipelineKey
    begin: Timestamp
    end: Timestamp
    censored: bool


def next_retraining(requests: Sequence[RequestRecord], owner: PipelineKey, now: Timestamp) -> NextRetraining | None:
    """Return the forecast for a pipeline; None while too few retrainings of its project have ended, or none lasts.

    requests: of the pipeline's project, in any order.
    """
    by_owner: dict[PipelineKey, list[RequestRecord]] = defaultdict(list)
    for record in requests:
        if record.sent_at or record.shared_cause is None:  # a breach with a shared cause ended no lifetime
            by_owner[record.owner].append(record)
    lives = [life for records in by_owner.values() for life in _lives(records)]
    present = next((life for life in lives if life.owner == owner and not life.end), None)
    if present is None or present.begin >= now:
        return None
    owners = {name: number for number, name in enumerate(dict.fromkeys(life.owner for life in lives))}
    lengths = [max((life.end or now) - life.begin, HOUR) / HOUR for life in lives]
    ended = [not life.censored for life in lives]
    fitted = survival.fit([owners[life.owner] for life in lives], lengths, ended)
    if fitted is None:
        return None
    first, last = fitted.interval(owners[owner], (now - present.begin) / HOUR, CONFIDENCE)
    own = sum(life.owner == owner and not life.censored for life in lives)
    return NextRetraining(
        present.begin, present.begin + round(first * HOUR), present.begin + round(last * HOUR), own, sum(ended) - own
    )


def _lives(records: list[RequestRecord]) -> Iterator[_Life]:
    """Yield the lifetimes of one pipeline's successful retrainings that helped."""
    ordered = sorted(records, key=lambda item: (item.request.triggered_at, item.request.attempt))
    for record, following in pairwise([*ordered, None]):
        if record is None or record.state is not RequestState.SUCCEEDED:
            continue
        helped = record.verdict is not RecoveryVerdict.NOT_RECOVERED
        if following is None:
            if helped:
                yield _Life(record.owner, record.ended_at, 0, censored=True)
        elif helped and following.request.episode_start > record.ended_at:
            by_hand = following.request.rule == MANUAL
            yield _Life(record.owner, record.ended_at, following.request.episode_start, censored=by_hand)
