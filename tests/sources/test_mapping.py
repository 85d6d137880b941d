"""Mapping of label sets to models: decoded once, then looked up by their bytes, and dropped when unused."""

from __future__ import annotations

import threading

import pytest

from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import LabelRef, ModelLabels
from bridge.sources.mapping import SeriesIndex

BY_LABEL = ModelLabels()


def series(version: object, **more: str) -> bytes:
    extra = "".join(f',"{name}":"{value}"' for name, value in more.items())
    return f'{{"pipeline":"fraud","project":"shop","version":"{version}"{extra}}}'.encode()


def test_models_come_in_the_order_of_their_slots_whatever_the_order_of_the_answer() -> None:
    """Prometheus 2 returns aggregates in random order: the batch is the same every time."""
    table = ModelTable()
    index = SeriesIndex(BY_LABEL, table)
    first = index.arrange([series(2), series(0), series(1)], "drift")
    second = index.arrange([series(1), series(2), series(0)], "drift")
    assert [table[row].version for row in first.rows.tolist()] == ["2", "0", "1"]
    assert (first.positions.tolist(), second.positions.tolist()) == ([0, 1, 2], [1, 2, 0])
    assert second.rows.tolist() == [0, 1, 2]
    assert first.series == second.series == [series(2), series(0), series(1)]


def test_the_same_answer_again_is_not_checked_again() -> None:
    """Unchanged label sets cost one comparison of bytes."""
    index = SeriesIndex(BY_LABEL, ModelTable())
    assert index.arrange([series(1)], "drift") is index.arrange([series(1)], "drift")
    assert index.arrange([series(1)], "drift") is not index.arrange([series(2)], "drift")


def test_constants_and_other_label_names_make_the_key() -> None:
    """Label names are configurable."""
    table = ModelTable()
    mapping = ModelLabels(LabelRef(const="lab"), LabelRef("model"), LabelRef("model_version"))
    layout = SeriesIndex(mapping, table).arrange([b'{"model":"fraud","model_version":"7"}'], "drift")
    assert table[int(layout.rows[0])] == ModelKey("lab", "fraud", "7")


def test_series_without_a_mapped_label_are_counted_and_named() -> None:
    """An empty value is a missing label, as in Prometheus."""
    index = SeriesIndex(BY_LABEL, ModelTable())
    lost = b'{"project":"shop","version":"1"}'
    layout = index.arrange([series(1), lost, b'{"pipeline":"","project":"shop"}', b"{}"], "drift")
    assert layout.skipped() == {"missing_label": 3}
    assert layout.lacking == {"pipeline": lost, "project": b"{}"}
    assert layout.unmapped.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "damaged", [b"5", b'{"a":5}', b'["x"]', b'{"a":null}', b'{"version":"\xff"}', rb'{"version":"\ud800"}',
                rb'{"pipeline":"fraud","project":"shop","version":"a\u0000b"}',
                rb'{"pipeline":"fraud","project":"shop","version":"1","note":"a\u0000b"}'],
)  # fmt: skip
def test_label_sets_that_are_none_are_counted_as_malformed(damaged: bytes) -> None:
    """Also a NUL character, which PostgreSQL cannot store."""
    layout = SeriesIndex(BY_LABEL, ModelTable()).arrange([damaged, series(1)], "drift")
    assert layout.skipped() == {"malformed": 1}
    assert (layout.positions.tolist(), layout.damaged.tolist()) == ([1], [0])


def test_a_model_whose_name_no_request_can_hold_is_malformed() -> None:
    """1,024 characters are accepted, one more is not."""
    found = SeriesIndex(ModelLabels(), ModelTable()).arrange([series("7" * 1024), series("7" * 1025)], "q")
    assert (len(found.rows), found.skipped()) == (1, {"malformed": 1})


def test_different_bytes_of_one_model_have_one_slot() -> None:
    """The caller decides whether duplicates are allowed."""
    layout = SeriesIndex(BY_LABEL, ModelTable()).arrange(
        [series(1, pod="a"), series(1, pod="b"), series(1, pod="a")], "x"
    )
    assert layout.rows.tolist() == [0, 0, 0]


def test_label_sets_that_come_no_more_are_forgotten() -> None:
    """Churn (pods, restarts) does not grow memory without bound; models still in use keep their rows."""
    table = ModelTable()
    index = SeriesIndex(BY_LABEL, table)
    index.arrange([series("kept", tick="0")], "other")
    for tick in range(40):
        layout = index.arrange([series(version, tick=str(tick)) for version in range(100)], "drift")
        assert len(index) <= 2 * 101 + 1024 + 100
    assert layout.rows.tolist() == list(range(1, 101))
    assert index.arrange([series("kept", tick="0")], "other").rows.tolist() == [0]
    again = index.arrange([series(version, tick="39") for version in range(100)], "drift")
    assert (again.rows.tolist(), again.series[5]) == (list(range(1, 101)), series(5, tick="39"))
    assert len(table) == 101


def test_removed_queries_keep_nothing_alive() -> None:
    """A finished read of the history does not keep its label sets."""
    index = SeriesIndex(BY_LABEL, ModelTable())
    index.arrange([series(version) for version in range(3000)], "drift over time")
    index.forget("drift over time")
    index.arrange([series(1)], "drift")
    assert len(index) == 1


def test_buckets_are_known_by_model_and_bound() -> None:
    """`le` is not part of the model; bounds are sorted as numbers, not as text; the label set is shown without `le`."""
    table = ModelTable()
    index = SeriesIndex(BY_LABEL, table, buckets=True)
    layout = index.arrange([series(1, le="10"), series(1, le="+Inf"), series(0, le="2"), series(1, le="2.0")], "b")
    assert layout.bounds is not None
    assert layout.bounds.tolist() == [2.0, 10.0, float("inf"), 2.0]
    assert [table[row].version for row in layout.rows.tolist()] == ["1", "1", "1", "0"]
    assert layout.series[0] is layout.series[2]
    assert layout.series[0] == series(1)


def test_buckets_without_a_usable_bound_are_counted() -> None:
    """A histogram's `_sum` in the answer is not a bucket."""
    index = SeriesIndex(BY_LABEL, ModelTable(), buckets=True)
    layout = index.arrange([series(1), series(1, le="x"), series(1, le="NaN"), series(1, le="1")], "b")
    assert layout.skipped() == {"malformed": 1, "missing_label": 2}
    assert list(layout.lacking) == ["le"]


def test_threads_that_see_new_models_at_once_agree_on_their_slots() -> None:
    """Groups fetch concurrently into one table: no two models share a row."""
    table = ModelTable()
    start = threading.Barrier(8)

    def fetch(worker: int) -> None:
        start.wait()
        for version in range(worker, worker + 300):
            SeriesIndex(BY_LABEL, table).arrange([series(version)], "drift")

    threads = [threading.Thread(target=fetch, args=(worker * 50,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(table) == len(set(table.models)) == 650
    assert all(table.find(model) == slot for slot, model in enumerate(table.models))
