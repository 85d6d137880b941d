"""Column of the state of each model's request, and the numbers of requests by state."""

from __future__ import annotations

import random
import sys
from collections import Counter
from types import FrameType

from msgspec import structs

from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.request import Episode, RequestRecord, RequestState, RetrainRequest
from bridge.engine.api.model_states import present_states
from bridge.engine.requests.episodes import EpisodeIndex
from bridge.engine.requests.request_column import NO_REQUEST, REQUEST_STATES, RequestColumn

MODELS = [ModelKey("p", f"m{number}", "1") for number in range(6)]


def record(model: ModelKey, begin: int, attempt: int, state: RequestState) -> RequestRecord:
    request = RetrainRequest(model, "why", begin, f"{model}-{begin}-{attempt}", "R", begin, attempt)
    return RequestRecord(request, state, begin)


def calls(index: EpisodeIndex, table: ModelTable) -> int:
    """Return the number of function calls that the states of all models take, C functions included."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        present_states((), table, index, 0)
    finally:
        sys.setprofile(None)
    return count


def test_the_column_follows_the_index() -> None:
    """It equals what the dictionaries of the index say, whatever changed, and for models that get a row later."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    draw = random.Random(seed)
    index, table, begins = EpisodeIndex(), ModelTable(), dict.fromkeys(MODELS, 0)
    for step in range(1, 400):
        model = draw.choice(MODELS)
        if draw.random() < 0.2:
            table.row(draw.choice(MODELS))
        episode = index.episodes.get(model)
        if episode is None:
            begins[model] = step
            index.put_episode(Episode(model, step, "R", ("R",), 1))
        elif draw.random() < 0.15:
            index.put_episode(structs.replace(episode, ended_at=step))
        else:
            begin = draw.choice([begins[model], begins[model], 1])
            index.put_request(record(model, begin, draw.randint(1, 3), draw.choice(REQUEST_STATES)))
        if draw.random() < 0.05:
            index.forget(step)
        if draw.random() < 0.5:
            continue
        current = {owner: index.requests[id_].state for owner, id_ in index.current.items()}
        codes = index.column.codes(table).tolist()
        found = {table[row]: REQUEST_STATES[code] for row, code in enumerate(codes) if code != NO_REQUEST}
        assert found == {owner: state for owner, state in current.items() if table.find(owner) is not None}
        assert index.undelivered == {owner for owner, state in current.items() if state is RequestState.UNDELIVERED}
        counted = Counter(item.state for item in index.requests.values() if not item.state.terminal)
        assert +index.unfinished == counted


def test_reading_the_states_costs_what_has_changed() -> None:
    """With 1,000 open requests as much as with 10: a scrape must not visit each of 100,000."""
    costs = []
    for size in (10, 1_000):
        index, table = EpisodeIndex(), ModelTable()
        for number in range(size):
            model = ModelKey("p", f"m{number}", "1")
            table.row(model)
            index.put_episode(Episode(model, 1, "R", ("R",), 1))
            index.put_request(record(model, 1, 1, RequestState.REQUESTED))
        calls(index, table)
        index.put_request(record(ModelKey("p", "m0", "1"), 1, 1, RequestState.RUNNING))
        costs.append(calls(index, table))
    assert costs[1] == costs[0]


def test_a_model_without_a_row_gets_its_state_with_its_row() -> None:
    column, table = RequestColumn(), ModelTable()
    column.put(MODELS[0], RequestState.HELD)
    assert column.codes(table).tolist() == []
    table.row(MODELS[1])
    assert column.codes(table).tolist() == [NO_REQUEST]
    table.row(MODELS[0])
    assert [REQUEST_STATES[code] for code in column.codes(table)[1:]] == [RequestState.HELD]
    column.put(MODELS[0], None)
    assert column.codes(table).tolist() == [NO_REQUEST, NO_REQUEST]
