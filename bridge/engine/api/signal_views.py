"""Latest values of a rule, with forecasts of when they cross their limits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bridge.domain.alert import State
from bridge.domain.verdict import Cause, Code, Crossing
from bridge.engine.api.views import SignalView
from bridge.engine.evaluation.rule import RuleEvaluator

_STATE_WORDS = [state.name.lower() for state in State]
_VERDICT_WORDS = [code.name.lower() for code in Code]
_CAUSE_WORDS = [cause.word for cause in Cause]


def signals_of(run: RuleEvaluator, chosen: NDArray[np.bool_]) -> Iterator[tuple[int, SignalView]]:
    """Yield row and view of each model chosen. Columns become lists first: single elements of arrays are slow.

    chosen: (n,) True for the models to include.
    """
    now, query, name, event = run.live, run.query, run.rule.name, str(run.query.event)
    rows = np.flatnonzero(now.known & chosen[: len(now.known)])
    empty, alerts = run.empty()[rows], now.alerts
    value = np.where(empty, np.nan, now.value[rows])
    since = np.where(alerts.state == State.FIRING, alerts.fired_at, alerts.active_at)[rows]
    columns = (now.statistic[rows], now.threshold[rows], now.code[rows], now.cause[rows], alerts.state[rows])
    values = zip(*(column.tolist() for column in (value, *columns, since, empty)), strict=True)
    expected = _crossings(run, rows)
    for row, (value, statistic, threshold, code, cause, state, since, empty) in zip(rows.tolist(), values, strict=True):
        yield (
            row,
            SignalView(
                name,
                query.name,
                event,
                query.unit,
                value,
                statistic,
                threshold,
                _VERDICT_WORDS[code],
                _CAUSE_WORDS[cause],
                _STATE_WORDS[state],
                run.last_evaluation,
                since,
                expected.get(row),
                empty,
            ),
        )


def _crossings(run: RuleEvaluator, rows: NDArray[np.intp]) -> dict[int, Crossing]:
    """Return the forecast crossings of the models at `rows`, by row."""
    if run.strategy is None or run.live.state is None or not run.strategy.forecasts:
        return {}
    found = run.strategy.crossings(run.live.state[rows], run.last_evaluation)
    if found is None:
        return {}
    some = np.flatnonzero(~np.isnan(found.latest))
    bounds = zip(found.limit[some].tolist(), found.earliest[some].tolist(), found.latest[some].tolist(), strict=True)
    return {
        row: Crossing(limit, round(first), round(last), found.confidence)
        for row, (limit, first, last) in zip(rows[some].tolist(), bounds, strict=True)
    }
