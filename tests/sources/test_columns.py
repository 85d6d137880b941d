"""Columns aligned by model."""

from __future__ import annotations

import numpy as np

from bridge.domain.batch import EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import ModelLabels, SignalQuery
from bridge.sources.columns import Column, batch

INF, NAN = np.inf, np.nan


def test_a_bound_that_one_histogram_has_is_known_of_the_other_where_nothing_lies_around_it() -> None:
    """The reference has no observations between 0.1 and 0.2, so 0.15 is filled in; 0.3 is unknown."""
    table = ModelTable()
    slots = np.array([table.row(ModelKey("shop", "ranking", "7"))], np.int32)
    rows = {
        "buckets": ((0.1, 0.15, 0.2, 0.3, 0.4, INF), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        "reference": ((0.1, 0.2, 0.4, INF), [5.0, 5.0, 9.0, 10.0]),
    }
    columns = {name: Column(slots, np.array([counts]), [b"{}"], np.array(at)) for name, (at, counts) in rows.items()}
    query = SignalQuery("s", EventKind.CUSTOM, dict.fromkeys(rows, "x"), ModelLabels.constant("x"))
    found = batch(query, 0, table, columns)
    assert found.bounds is not None
    assert found.bounds.tolist() == [0.1, 0.15, 0.2, 0.3, 0.4, INF]
    assert found.columns["buckets"].tolist() == [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]
    np.testing.assert_array_equal(found.columns["reference"], [[5.0, 5.0, 5.0, NAN, 9.0, 10.0]])
