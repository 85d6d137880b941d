"""Identity of models, and the table that numbers them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.domain.model import ModelKey, ModelTable, PipelineKey

OLD, NEW = ModelKey("shop", "ranking", "7"), ModelKey("shop", "ranking", "8")
OTHER = ModelKey("shop", "search", "1")


def test_a_key_reads_as_a_path_and_as_labels() -> None:
    """The pipeline is the key without the version."""
    assert (str(OLD), str(OLD.owner)) == ("shop/ranking/7", "shop/ranking")
    assert OLD.labels() == {"project": "shop", "pipeline": "ranking", "version": "7"}


def test_a_part_that_is_no_text_is_refused() -> None:
    """A version is text even if it looks like a number."""
    with pytest.raises(TypeError, match="must be text, not 7"):
        ModelKey("shop", "ranking", 7)  # type: ignore[arg-type]


def test_rows_are_given_in_order_and_never_change() -> None:
    """`find` adds no row."""
    table = ModelTable()
    assert [table.row(model) for model in (OLD, OTHER, OLD, NEW)] == [0, 1, 0, 2]
    assert (table.find(NEW), table.find(ModelKey("a", "b", "c")), len(table)) == (2, None, 3)
    assert table[1] == OTHER


def test_versions_of_a_pipeline_are_found_as_they_come() -> None:
    """Rows added after a first look are included in the next."""
    table = ModelTable()
    table.row(OLD)
    table.row(OTHER)
    assert table.versions(0) == [0]
    table.row(NEW)
    assert table.versions(0) == [0, 2]
    assert table.of(PipelineKey("no", "such")) == []


def test_threads_get_the_same_row_for_the_same_model() -> None:
    """Groups fetch in parallel."""
    table = ModelTable()
    models = [ModelKey("p", "q", str(number)) for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda number: table.row(models[number % 200]), range(2_000)))
    assert len(table) == 200
    assert all(table[row] == models[number % 200] for number, row in enumerate(rows))
