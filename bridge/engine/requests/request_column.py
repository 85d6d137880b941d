"""State of each model's request as a column, so that a scrape visits only the requests that changed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.request import RequestState

NO_REQUEST = -1
REQUEST_STATES = tuple(RequestState)
_CODES = {state: code for code, state in enumerate(REQUEST_STATES)}


@dataclass(slots=True)
class RequestColumn:
    """State of the latest request of each open episode, by row of a ModelTable."""

    _codes: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    _changed: dict[ModelKey, int] = field(default_factory=dict)  # not in the column yet

    def put(self, model: ModelKey, state: RequestState | None) -> None:
        """Set the state of a model's request; None = no request."""
        self._changed[model] = NO_REQUEST if state is None else _CODES[state]

    def codes(self, table: ModelTable) -> NDArray[np.int8]:
        """Return the states by row, (len(table),), as indices into REQUEST_STATES; NO_REQUEST for none."""
        missing = len(table) - len(self._codes)
        if missing > 0:
            self._codes = np.append(self._codes, np.full(missing, NO_REQUEST, np.int8))
        changed, self._changed = self._changed, {}
        rows, codes = list[int](), list[int]()
        for model, code in changed.items():
            row = table.find(model)
            if row is None or row >= len(self._codes):  # later, when a rule has seen the model
                self._changed[model] = code
            else:
                rows.append(row)
                codes.append(code)
        self._codes[rows] = codes
        return self._codes[: len(table)]
