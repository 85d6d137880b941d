"""The bridge dies before and after every write to the ledger and every call: one run, and a truthful state."""

from __future__ import annotations

from typing import Any

from bridge.ports import Result, RunState
from tests.support.orchestrators.bench import Bench
from tests.support.orchestrators.stub import Stub

WRITES = ("save_run", "claim_start", "forget_run")


class Killed(BaseException):
    """End of the process."""


class Fuse:
    """Dies at step `at`, counted from 0, once; then counts on."""

    def __init__(self, at: int = -1) -> None:
        self.at, self.steps = at, 0

    def step(self) -> None:
        self.steps += 1
        if self.steps - 1 == self.at:
            raise Killed

    def around(self, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.step()
            result = original(*args, **kwargs)
            self.step()
            return result

        setattr(owner, name, wrapped)


class MortalBench(Bench):
    """A bench whose every write and call burns the fuse."""

    def __init__(self, stub: Stub, fuse: Fuse) -> None:
        self.fuse = fuse
        super().__init__(stub)
        for name in WRITES:
            fuse.around(self.ledger, name)

    def restart(self) -> None:
        super().restart()
        self.fuse.around(self.sink._caller, "_attempt")

    def live(self) -> None:
        """Start the run, let it succeed, and follow it; begin again when killed."""
        for _ in range(2):
            try:
                delivery = self.settle()
                if delivery.result is Result.DELIVERED:
                    self.stub.runs[0].state = "succeeded"
                    self.follow()
            except Killed:
                self.restart()
            else:
                return


def test_killed_at_any_step_there_is_one_run_and_its_end_is_reported(stub: Stub) -> None:
    """Lookup presets hold when they died between the record and the call: nothing was started, and that is visible."""
    whole = Fuse()
    MortalBench(stub, whole).live()
    for at in range(whole.steps):
        stub.runs.clear()
        bench = MortalBench(stub, Fuse(at))
        bench.live()
        held = not stub.exact and not stub.runs
        if held:
            assert (bench.state(), bench.reports) == (RunState.UNKNOWN, []), at
        else:
            assert len(stub.runs) == 1, at
            assert bench.state() is RunState.SUCCEEDED, at
            assert set(bench.states()) == {"succeeded"}, at
            assert {report.reference for report in bench.reports} == {stub.runs[0].id}, at
    assert whole.steps >= 12
