"""A run sink on a stub, with its ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.domain.times import MINUTE
from bridge.ports import Delivery, Result, RunState, StatusReport
from bridge.sinks.base import SinkContext
from bridge.sinks.run import RunSink
from bridge.sinks.runs.config import RunConfig
from bridge.store.memory import MemoryStore
from tests.support.notifications import T0, firing, numbered
from tests.support.orchestrators.stub import Stub


class Bench:
    """A sink on a stub, and its ledger; `restart` is a kill -9 of the bridge."""

    def __init__(self, stub: Stub, **entry: Any) -> None:
        self.stub = stub
        self.ledger = MemoryStore()
        self.entry = {
            "preset": stub.preset, "url": stub.url, "target": dict(stub.target), "timeout": "30s",
            **stub.entry, **entry,
        }  # fmt: skip
        self.reports: list[StatusReport] = []
        self.now = self.queued_at = T0
        self.restart()

    def restart(self) -> None:
        self.sink = RunSink(RunConfig.model_validate(self.entry), SinkContext("ops", 0, ledger=self.ledger))

    def send(self, number: int = 0) -> Delivery:
        return self.sink.send(replace(firing(numbered(number)), queued_at=self.queued_at), self.now)

    def settle(self, number: int = 0, most: int = 6) -> Delivery:
        """Attempts until the delivery ends or is held."""
        for _ in range(most):
            delivery = self.send(number)
            if delivery.result in {Result.DELIVERED, Result.DEAD, Result.HELD}:
                return delivery
            self.now += MINUTE
        return delivery

    def follow(self, later: int = 10 * MINUTE) -> None:
        self.now += later
        self.sink.follow(lambda: self.now, self.reports.append, self.now + MINUTE)

    def states(self) -> list[str]:
        return [report.state.value for report in self.reports]

    def state(self, number: int = 0) -> RunState:
        run = self.ledger.run(numbered(number).id, "ops/run/0")
        assert run is not None
        return run.state
