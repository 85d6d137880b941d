"""Reading of stored chunks whose content is JSON."""

from __future__ import annotations

import msgspec
import pytest

from bridge.engine.state import frozen_labels, json_chunk, logged
from bridge.ports import StateChunk
from tests.support.world import A, World, group, rule

numbers = msgspec.json.Decoder(list[int])


def test_a_chunk_is_taken_once() -> None:
    """Its slot is remembered."""
    made = World(group(rule()))
    run = made.rule("Drifted")
    chunk = StateChunk("Drifted#n", run.fingerprint, 30, (A,), b"[1,2]")
    stored = {("Drifted#n", run.fingerprint): chunk}
    assert json_chunk.take(run, "Drifted#n", stored, numbers) == (chunk, [1, 2])
    assert (stored, run.state_slots) == ({}, {"Drifted#n": 30})
    assert json_chunk.take(run, "Drifted#n", stored, numbers) is None


@pytest.mark.parametrize("data", [b"{", b'{"failures": "many"}', b'[{"a": 1}]', b"\xff"])
def test_unreadable_content_is_reported_and_discarded(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The rule starts without it."""
    made = World(group(rule()))
    run = made.rule("Drifted")
    for name, restore in (("Drifted#labels", frozen_labels.restore), ("Drifted#logged", logged.restore)):
        restore(run, {(name, run.fingerprint): StateChunk(name, run.fingerprint, made.now, (A,), data)})
        assert caplog.messages == ["stored state of a rule cannot be read and is discarded"]
        assert caplog.records[0].__dict__["chunk"] == name
        caplog.clear()
    assert (run.texts.series, run.failures, run.health) == ({}, 0, "unknown")
