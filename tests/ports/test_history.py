"""History in chunks, from any source."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.domain.model import ModelTable
from bridge.ports import history
from tests.support.world import DRIFT, A, ScriptedSource


def test_a_plain_source_gives_chunks_of_one_slot() -> None:
    """Each holds the batch of its slot, and is read one by one."""
    source = ScriptedSource(ModelTable(), {("drift", 1000): {A: 0.1}, ("drift", 2000): {A: 0.7}})
    ((first, second),) = [list(chunks) for chunks in history.history_chunks(source, [DRIFT], [1000, 2000], 0)]
    assert (list(first.slots), list(second.slots)) == ([1000], [2000])
    assert (first.batch(0).values().tolist(), second.batch(0).values().tolist()) == ([0.1], [0.7])
    assert first.whole() is None


def test_closing_ends_a_generator_and_ignores_other_iterators() -> None:
    """A generator's `finally` runs; a plain iterator has nothing to close."""
    ended = []

    def numbers() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            ended.append(True)

    walk = numbers()
    next(walk)
    history.close(walk)
    history.close(iter([1]))
    assert ended == [True]
