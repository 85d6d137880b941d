"""Present state of every model as a column, so that a scrape creates no object for each of 100,000 models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from bridge.domain.model import ModelKey, ModelRow, ModelTable
from bridge.domain.request import RequestRecord, RequestState
from bridge.domain.times import Timestamp
from bridge.domain.verdict import Code
from bridge.engine.access import EpisodeIndexView
from bridge.engine.api.views import ModelState
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.requests.request_column import REQUEST_STATES

UNSEEN = -1
STATES = tuple(ModelState)
_CODE = {state: code for code, state in enumerate(STATES)}
_OF_REQUEST = {
    RequestState.RUNNING: ModelState.RETRAINING,
    RequestState.ACCEPTED: ModelState.RETRAIN_REQUESTED,
    RequestState.REQUESTED: ModelState.RETRAIN_REQUESTED,
    RequestState.HELD: ModelState.HELD,
    RequestState.AWAITING_APPROVAL: ModelState.AWAITING_APPROVAL,
}
# By code of a request's state; the last one is that of no request.
_BY_REQUEST = np.array(
    [_CODE[_OF_REQUEST[state]] if state in _OF_REQUEST else UNSEEN for state in REQUEST_STATES] + [UNSEEN], np.int8
)


def present_states(
    runs: Iterable[RuleEvaluator], table: ModelTable, index: EpisodeIndexView, cooled: Timestamp
) -> NDArray[np.int8]:
    """Return the worst state of each model, (len(table),), as indices into STATES; UNSEEN where no rule saw the model.

    cooled: retrainings that ended before this instant are past every cooldown.
    """
    size = len(table)
    seen, active, informed = (np.zeros(size, np.bool_) for _ in range(3))
    for run in runs:
        now = run.live
        rows = len(now.known)
        seen[:rows] |= now.known
        active[:rows] |= now.known & (now.alerts.state != 0)
        informed[:rows] |= now.known & (now.code != Code.INCONCLUSIVE)
    states = np.full(size, UNSEEN, np.int8)
    states[seen] = _CODE[ModelState.HEALTHY]
    for owner, end in index.last_end.items():
        if end > cooled:
            states[[row for row in table.of(owner) if row < size and seen[row]]] = _CODE[ModelState.COOLDOWN]
    states[seen & ~informed] = _CODE[ModelState.NO_DATA]
    states[active] = _CODE[ModelState.DEGRADED]
    states[_replaced(index, table, seen, informed)] = _CODE[ModelState.REPLACED]
    requested = _BY_REQUEST[index.column.codes(table)[:size]]
    return np.where(seen & (requested != UNSEEN), requested, states).astype(np.int8)


def _replaced(
    index: EpisodeIndexView, table: ModelTable, seen: NDArray[np.bool_], informed: NDArray[np.bool_]
) -> list[ModelRow]:
    """Return the rows of models in whose place a retraining has put another version.

    After the recovery verdict, that version must report: otherwise it was rolled back, or is not in use.

    seen, informed: (n,), models that a rule has seen, and those with a conclusive verdict.
    """
    rows = []
    for model, record in index.replaced.items():
        row, new = table.find(model), table.find(ModelKey(model.project, model.pipeline, record.new_version))
        reports = new is not None and new < len(seen) and seen[new] and informed[new]
        if row is not None and row < len(seen) and seen[row] and (record.verdict is None or reports):
            rows.append(row)
    return rows


def counted(states: NDArray[np.int8]) -> Mapping[ModelState, int]:
    """Count the models in each state; every state has an entry."""
    counts = np.bincount(states[states != UNSEEN], minlength=len(STATES))
    return dict(zip(STATES, counts.tolist(), strict=True))


def known_by(run: RuleEvaluator | None, states: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return the states with UNSEEN for every model that a rule does not know. run: None = no such rule."""
    shown = np.full_like(states, UNSEEN)
    if run is not None:
        rows = min(len(run.live.known), len(states))
        known = np.flatnonzero(run.live.known[:rows])
        shown[known] = states[known]
    return shown


def unknown_by(run: RuleEvaluator | None, states: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return the states with UNSEEN for every model that a rule knows. run: None = no such rule."""
    return np.where(known_by(run, states) == UNSEEN, states, UNSEEN).astype(np.int8)


def replacement(last: RequestRecord) -> tuple[str, str]:
    """Return the version that a request's retraining put in place of its model, and whether it helped; "" = none.

    last: the latest request of the model.
    """
    if not last.replaces:
        return "", ""
    return last.new_version, last.verdict.value if last.verdict is not None else ""
