"""The store in memory and the one in SQLite give the same answers to any sequence of calls."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, rule
from msgspec import Struct, structs

from bridge.domain.alert import AlertRow, State
from bridge.domain.errors import UnknownRequestError
from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, Episode, HoldReason, Outcome, RequestRecord, RequestState, RetrainRequest
from bridge.ports import (
    Breaker,
    Claim,
    DecisionFilter,
    Delivery,
    Discard,
    Kind,
    NewDelivery,
    RequestFilter,
    Result,
    Settlement,
    Store,
    TickChanges,
)
from bridge.store.memory import MemoryStore
from bridge.store.sql import SqlStore

MODELS = [ModelKey("shop", "ranking", "7"), ModelKey("shop", "ranking", "8"), ModelKey("fraud", "ranking", "7")]
PLACES = ["team/webhook/0", "team/coordinator/0"]
models, places = st.sampled_from(MODELS), st.sampled_from(PLACES)
starts = st.integers(1, 4).map(lambda number: number * 1000)
IDS = [f"{number:032x}" for number in range(6)]


def record_of(number: int, model: ModelKey, start: int, state: RequestState, at: int) -> RequestRecord:
    request = RetrainRequest(model, "why", start, IDS[number], "R", start)
    sent = 0 if state is RequestState.HELD else start
    held = HoldReason.COOLDOWN if state is RequestState.HELD else None
    ended = at if state.terminal else 0
    return RequestRecord(
        request, state, at, ("team",), tuple(PLACES), hold=held, sent_at=sent, ended_at=ended, message=state.value
    )


_FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None  # what is written here need not survive


@cache
def empty_database() -> bytes:
    """With its schema: making that is most of the time of an example."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bridge.db"
        SqlStore.open_sqlite(file).close()
        return file.read_bytes()


def differences(one: object, two: object) -> object:
    """Of two answers, in a form that fits on a screen."""
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        return [differences(mine, theirs) for mine, theirs in zip(one, two, strict=True) if mine != theirs]
    if isinstance(one, Struct) and isinstance(two, Struct):
        names = list(one.__struct_fields__)
        return {
            name: (getattr(one, name), getattr(two, name)) for name in names if getattr(one, name) != getattr(two, name)
        }
    return one, two


class Stores(RuleBasedStateMachine):
    """Every call goes to both; time only goes on."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(dir=_FAST)
        file = Path(self._folder.name) / "bridge.db"
        file.write_bytes(empty_database())
        self._stores: tuple[Store, Store] = (MemoryStore(), SqlStore.open_sqlite(file))
        self._now = 10_000
        self._models: dict[int, tuple[ModelKey, int]] = {}

    def teardown(self) -> None:
        try:
            self.everything_that_can_be_read_is_the_same()
        finally:
            self._close()

    def _close(self) -> None:
        for store in self._stores:
            store.close()
        self._folder.cleanup()

    def both(self, call: str, *args: object, **named: object) -> object:
        """The answer of both, which is the same."""
        answers = []
        for store in self._stores:
            try:
                answers.append(getattr(store, call)(*args, **named))
            except UnknownRequestError as error:
                answers.append(str(error))
        assert answers[0] == answers[1], (call, differences(*answers))
        return answers[0]

    @rule(step=st.integers(1, 3000))
    def time_passes(self, step: int) -> None:
        self._now += step

    @rule(
        model=models, start=starts, state=st.sampled_from(list(State)), ended=st.booleans(),
        outcome=st.sampled_from(list(Outcome)), value=st.floats(allow_nan=False),
    )  # fmt: skip
    def a_tick_moves_alerts_and_episodes(
        self, model: ModelKey, start: int, state: State, ended: bool, outcome: Outcome, value: float
    ) -> None:
        episode = Episode(model, start, "R", ("R",), 1, self._now if ended else 0, "over" if ended else "")
        decision = Decision(self._now, "g", "R", model, outcome, "a", "b", "why", value=value)
        row = AlertRow("R", "f", model, state, start, start, 0)
        self.both("commit", TickChanges("g", self._now, [row], [episode], decisions=[decision], at=self._now))

    @rule(
        number=st.integers(0, len(IDS) - 1), model=models, start=starts, state=st.sampled_from(list(RequestState)),
        kinds=st.lists(st.sampled_from(list(Kind)), max_size=2), where=st.lists(places, max_size=2),
    )  # fmt: skip
    def a_tick_makes_or_changes_a_request(
        self, number: int, model: ModelKey, start: int, state: RequestState, kinds: list[Kind], where: list[str]
    ) -> None:
        # who a request is for never changes, and one that was pruned does not come again
        if number in self._models and self.both("request", IDS[number]) is None:
            return
        record = record_of(number, *self._models.setdefault(number, (model, start)), state, self._now)
        new = [NewDelivery(record.id, place, kind) for place in where for kind in kinds]
        self.both("commit", TickChanges("g", self._now, requests=[record], deliveries=new, at=self._now))

    @rule(number=st.integers(0, len(IDS) - 1), state=st.sampled_from(list(RequestState)))
    def a_report_changes_a_request(self, number: int, state: RequestState) -> None:
        known = self.both("request", IDS[number])
        if isinstance(known, RequestRecord):
            ended = self._now if state.terminal else 0
            self.both("save_request", structs.replace(known, state=state, updated_at=self._now, ended_at=ended))

    @rule(target=claims, place=places, lease=st.integers(1, 2000), limit=st.integers(1, 3))
    def claim(self, place: str, lease: int, limit: int) -> list[Claim]:
        found = self.both("claim", place, "w", self._now, lease, limit)
        assert isinstance(found, list)
        return found

    @rule(held=consumes(claims), result=st.sampled_from(list(Result)), wait=st.integers(0, 2000))
    def settle(self, held: list[Claim], result: Result, wait: int) -> None:
        for one in held:
            delivery = Delivery(result, "why", 500, "answer")
            self.both("settle", [Settlement([one], delivery, self._now, self._now + wait)])

    @rule(place=places)
    def what_is_due_dies_and_is_driven_again(self, place: str) -> None:
        """As one step: else a random walk comes here too seldom."""
        found = self.both("claim", place, "w", self._now, 500, 5)
        assert isinstance(found, list)
        for one in found:
            self.both("settle", [Settlement([one], Delivery(Result.DEAD, "why", 400, "no"), self._now, self._now)])
        self.everything_that_can_be_read_is_the_same()
        for one in found:
            self.both("redrive", one.notification.request.id, place, self._now)

    @rule(number=st.integers(0, len(IDS) - 1), place=st.none() | places)
    def redrive(self, number: int, place: str | None) -> None:
        self.both("redrive", IDS[number], place, self._now)

    @rule(place=places, limit=st.integers(1, 3))
    def discard(self, place: str, limit: int) -> None:
        found = self.both("discardable", [place], self._now, limit)
        assert isinstance(found, list)
        chosen = [Discard(item.request_id, item.destination) for item in found]
        self.both("commit", TickChanges("", 0, discards=[*chosen, Discard(IDS[-1], place)], at=self._now))

    @rule(number=st.integers(0, len(IDS) - 1), chosen=st.sets(places))
    def retry(self, number: int, chosen: set[str]) -> None:
        self.both("retry", IDS[number], chosen, self._now)

    @rule(place=places)
    def pull_forward(self, place: str) -> None:
        self.both("pull_forward", place, self._now)

    @rule(place=places, failures=st.integers(0, 9))
    def a_breaker_moves(self, place: str, failures: int) -> None:
        self.both("save_breaker", Breaker(place, failures, self._now, 0))

    @rule(age=st.integers(0, 9000))
    def prune(self, age: int) -> None:
        self.both("prune", self._now - age)

    @rule(since=starts)
    def a_start_loads_the_same(self, since: int) -> None:
        found = [store.load(since) for store in self._stores]
        for name in ("slots", "alerts", "episodes", "requests", "state"):
            mine, theirs = (getattr(snapshot, name) for snapshot in found)
            assert sorted(mine, key=repr) == sorted(theirs, key=repr), name

    @rule()
    def everything_that_can_be_read_is_the_same(self) -> None:
        for place in PLACES:
            self.both("next_due", place)
            self.both("breaker", place)
        self.both("depths")
        self.both("pending_deliveries", 50)
        self.both("requests", RequestFilter())
        self.both("requests", RequestFilter(rule="R"))
        self.both("requests", RequestFilter(since=self._now - 2000, until=self._now - 500))
        self.both("requests", RequestFilter((RequestState.HELD, RequestState.LOST), "shop", limit=2))
        self.both("decisions", DecisionFilter(limit=50))
        self.both("decisions", DecisionFilter(MODELS[0], "R", since=self._now - 2000, limit=3))
        for request_id in IDS[:2]:
            self.both("deliveries", request_id)


TestStores = Stores.TestCase
TestStores.settings = settings(
    max_examples=200, stateful_step_count=25, deadline=None, print_blob=True, phases=[Phase.generate]
)


def test_deliveries_after_pruning_are_numbered_alike() -> None:
    """All rows are gone, so that SQLite begins with the first number again."""
    state, hook, model = Stores(), PLACES[0], MODELS[0]

    def tick(number: int, start: int, status: RequestState, kinds: list[Kind]) -> None:
        state.a_tick_makes_or_changes_a_request(
            number=number, model=model, start=start, state=status, kinds=kinds, where=[hook] * len(kinds)
        )

    state.time_passes(step=2032)
    tick(5, 2000, RequestState.UNDELIVERED, [Kind.RESOLVED])
    state.what_is_due_dies_and_is_driven_again(place=hook)
    state.discard(place=hook, limit=2)
    tick(1, 3000, RequestState.LOST, [])
    state.time_passes(step=697)
    state.prune(age=276)
    assert state.both("request", IDS[5]) is None
    tick(3, 4000, RequestState.CANCELLED, [Kind.RESOLVED])
    state.teardown()
