"""Runs in orchestrators."""

from __future__ import annotations

import pytest

from bridge.ports import RunState


@pytest.mark.parametrize("state", list(RunState))
def test_a_final_state_is_one_from_which_no_run_returns(state: RunState) -> None:
    """An unknown run may turn up; a lost one is forgotten by its server."""
    assert state.terminal is (state.value in {"succeeded", "failed", "cancelled", "lost"})
