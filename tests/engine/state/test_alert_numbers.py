"""Numbers in the texts of alerts across restarts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.rule import RuleKind
from bridge.engine.api.queries import rule_views
from bridge.engine.state import alert_numbers
from bridge.ports import StateChunk
from tests.support.world import QUERY_FAILED, A, B, World, group, rule

NAME = "Drifted#numbers"
TEXTS = {"summary": "{{ $value }}"}


def stored(made: World) -> dict[str, StateChunk]:
    return {chunk.rule: chunk for chunk in made.store.load(0).state}


def shown(made: World) -> dict[str, str]:
    (view,) = rule_views(made.engine)
    return {str(alert.model): alert.annotations["summary"] for alert in view.alerts}


@pytest.mark.parametrize("limit", [None, 0.6])
@pytest.mark.parametrize("kind", RuleKind)
def test_texts_after_a_restart_show_the_value_with_which_the_alert_began(kind: RuleKind, limit: float | None) -> None:
    """Until there is a sample, also if the first queries fail."""
    made = World(group(replace(rule(limit=limit, annotations=TEXTS), kind=kind)))
    made.tick({A: 0.7})
    made.tick({A: 0.8})
    made.restart()
    assert shown(made) == {str(A): "0.7"}
    made.tick(QUERY_FAILED)
    assert shown(made) == {str(A): "0.7"}
    made.tick({A: 0.9})
    assert shown(made) == {str(A): "0.9"}


def test_numbers_are_stored_while_an_alert_is_active_and_when_one_changes() -> None:
    """A slot in which no alert changes writes nothing."""
    made = World(group(rule(annotations=TEXTS)))
    made.tick({A: 0.7, B: 0.1})
    written = stored(made)[NAME]
    made.tick({A: 0.8, B: 0.1})
    assert stored(made)[NAME] == written
    made.tick({A: 0.8, B: 0.9})
    assert stored(made)[NAME].models == (A, B)
    made.tick({A: 0.1, B: 0.1})
    assert NAME not in stored(made)


def test_a_rule_without_annotations_stores_no_numbers() -> None:
    """Nothing shows them."""
    made = World(group(rule()))
    made.tick({A: 0.7})
    assert NAME not in stored(made)


@pytest.mark.parametrize("data", [b"", b"1234567", bytes(24)])
def test_numbers_that_cannot_be_read_are_discarded(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The alert keeps its state, and its numbers come with the next sample."""
    made = World(group(rule(annotations=TEXTS)))
    run = made.rule("Drifted")
    alert_numbers.restore(run, {(NAME, run.fingerprint): StateChunk(NAME, run.fingerprint, made.now, (A,), data)})
    assert "stored numbers of alerts cannot be read" in caplog.text
