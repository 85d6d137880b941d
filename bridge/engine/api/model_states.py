"""The one present state of every model, in columns: a scrape must not make an object of each of 100,000 models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from bridge.domain.model import ModelTable
from bridge.domain.request import RequestState
from bridge.domain.times import Timestamp
from bridge.domain.verdict import Code
from bridge.engine.api.views import ModelState
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.requests.episodes import EpisodeIndex

UNSEEN = -1
STATES = tuple(ModelState)
_CODE = {state: place for place, state in enumerate(STATES)}
_OF_REQUEST = {
    RequestState.RUNNING: ModelState.RETRAINING,
    RequestState.ACCEPTED: ModelState.RETRAIN_REQUESTED,
    RequestState.REQUESTED: ModelState.RETRAIN_REQUESTED,
    RequestState.HELD: ModelState.HELD,
    RequestState.AWAITING_APPROVAL: ModelState.AWAITING_APPROVAL,
}


def present_states(
    runs: Iterable[RuleEvaluator], table: ModelTable, book: EpisodeIndex, cooled: Timestamp
) -> NDArray[np.int8]:
    """The worst that is true of each model, (len(table),), as places in STATES; UNSEEN where no rule saw the model.

    cooled: a retraining that ended before this instant is past every cooldown.
    """
    size = len(table)
    seen, active, informed = (np.zeros(size, np.bool_) for _ in range(3))
    for run in runs:
        now = run.live
        rows = len(now.known)
        seen[:rows] |= now.known
        active[:rows] |= now.known & (now.alerts.state != 0)
        informed[:rows] |= now.known & (now.code != Code.INCONCLUSIVE)
    found = np.full(size, UNSEEN, np.int8)
    found[seen] = _CODE[ModelState.HEALTHY]
    for owner, end in book.last_end.items():
        if end > cooled:
            found[[slot for slot in table.of(owner) if slot < size and seen[slot]]] = _CODE[ModelState.COOLDOWN]
    found[seen & ~informed] = _CODE[ModelState.NO_DATA]
    found[active] = _CODE[ModelState.DEGRADED]
    for model, request_id in book.current.items():
        slot, record = table.find(model), book.requests.get(request_id)
        if slot is not None and seen[slot] and record is not None and record.state in _OF_REQUEST:
            found[slot] = _CODE[_OF_REQUEST[record.state]]
    return found


def counted(states: NDArray[np.int8]) -> Mapping[ModelState, int]:
    """How many models there are in each state; every state is there."""
    counts = np.bincount(states[states != UNSEEN], minlength=len(STATES))
    return dict(zip(STATES, counts.tolist(), strict=True))


def unhealthy(states: NDArray[np.int8]) -> NDArray[np.bool_]:
    """(n,) True where a model was seen and is not healthy."""
    chosen: NDArray[np.bool_] = (states != UNSEEN) & (states != _CODE[ModelState.HEALTHY])
    return chosen
