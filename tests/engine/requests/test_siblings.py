"""Breaches weighed against siblings: held as not_the_model, released by people or by the siblings' recovery."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from bridge.domain.model import ModelKey
from bridge.domain.request import HoldReason
from bridge.domain.rule import Gates, Mode, SharedCauses
from bridge.domain.times import MINUTE, SECOND
from tests.support.world import World, group, rule

MODELS = [ModelKey(f"p{number // 12}", f"m{number:02}", "1") for number in range(24)]
N1, N2 = MODELS[:12], MODELS[12:]
SETTINGS = SharedCauses(("node",), window=2 * MINUTE, wait=30 * SECOND)
Answer = dict[ModelKey, float]


def two_nodes(settings: SharedCauses = SETTINGS, **more: Any) -> World:
    world = World(group(rule(**more)), gates=Gates(settle=0, shared_cause=settings))
    world.places.update({model: json.dumps({"node": "n1" if model in N1 else "n2"}).encode() for model in MODELS})
    return world


def values(bad: list[ModelKey]) -> Answer:
    return {model: 0.9 if model in bad else 0.1 for model in MODELS}


def holds(world: World) -> dict[str, HoldReason | None]:
    return {record.request.model.pipeline: record.hold for record in world.requests()}


def run(world: World, bad: list[ModelKey], slots: int) -> None:
    for _ in range(slots):
        world.tick(values(bad))


def test_a_cause_shared_by_a_node_requests_no_retraining() -> None:
    """The first model waits for its siblings; then all are held with the evidence, and nothing was sent."""
    world = two_nodes()
    run(world, N1[:1], 1)
    assert holds(world) == {"m00": HoldReason.WEIGHING}
    assert world.requests()[0].hold_until == world.now + 30 * SECOND
    run(world, N1[:8], 1)
    assert set(holds(world).values()) == {HoldReason.NOT_THE_MODEL}
    (cause,) = {str(record.shared_cause) for record in world.requests()}
    assert cause == '8 of 12 models with node="n1" are unhealthy, and 0 of 12 others'
    assert [str(item) for item in world.state.shared_causes] == [cause]
    run(world, [], 1)
    assert {state for _, state in world.states()} == {"withdrawn"}
    assert world.state.shared_causes == []


def test_a_model_that_decays_alone_is_retrained_after_the_wait() -> None:
    """Its siblings stay healthy."""
    world = two_nodes()
    run(world, N1[:1], 4)
    assert world.states() == [(N1[0], "requested")]


def test_a_breach_older_than_the_wait_is_sent_at_once() -> None:
    """`for` gave the siblings the time already."""
    world = two_nodes(for_=40 * SECOND)
    run(world, N2[:1], 5)
    assert world.states() == [(N2[0], "requested")]


def test_who_stays_unhealthy_when_the_siblings_recover_is_retrained() -> None:
    """They must stay healthy for the window, in case the model is only slower to recover."""
    world = two_nodes()
    run(world, N1[:8], 2)
    run(world, N1[:1], 1)
    (held,) = [record for record in world.requests() if record.state.waiting]
    assert (held.hold, held.hold_until) == (HoldReason.NOT_THE_MODEL, world.now + 2 * MINUTE)
    run(world, N1[:1], 11)
    assert (N1[0], "held") in world.states()
    run(world, N1[:1], 1)
    assert (N1[0], "requested") in world.states()
    assert world.decisions()[-1].reason == "released: not_the_model ended"


def test_siblings_that_fail_again_keep_the_hold() -> None:
    """The time in which they have to stay healthy starts over."""
    world = two_nodes()
    run(world, N1[:8], 2)
    run(world, N1[:1], 5)
    run(world, N1[:8], 2)
    held = next(record for record in world.requests() if record.request.model == N1[0])
    assert (held.hold, held.hold_until) == (HoldReason.NOT_THE_MODEL, 0)


def test_a_person_releases_it() -> None:
    """Through the gate, as through every other."""
    world = two_nodes()
    run(world, N1[:8], 1)
    first = world.requests()[0]
    assert world.commands.act(first.id, "release", "ada").state == "requested"
    assert holds(world)["m01"] is HoldReason.NOT_THE_MODEL


def test_a_restart_in_an_outage_forgets_nothing() -> None:
    """After kill -9 the servers answer nothing about the node: its requests stay held, with their evidence."""
    world = two_nodes()
    run(world, N1[:8], 2)
    before = [record.shared_cause for record in world.requests()]
    world.restart()
    for _ in range(4):
        world.tick(dict.fromkeys(N2, 0.1))
    assert set(holds(world).values()) == {HoldReason.NOT_THE_MODEL}
    assert [record.shared_cause for record in world.requests()] == before
    run(world, N1[:9], 1)
    assert holds(world)["m08"] is HoldReason.NOT_THE_MODEL, "a model that follows shares the known cause"


def test_a_model_of_another_node_is_retrained_meanwhile() -> None:
    """Its breach is its own."""
    world = two_nodes()
    run(world, [*N1[:8], N2[0]], 5)
    assert (N2[0], "requested") in world.states()
    assert set(holds(world).values()) == {None, HoldReason.NOT_THE_MODEL}


def test_projects_need_no_label_on_the_series() -> None:
    """`project` is read from the model."""
    world = two_nodes(SharedCauses(("project",), window=2 * MINUTE, wait=0))
    run(world, N1[:8], 2)
    assert {record.shared_cause.key for record in world.requests() if record.shared_cause} == {("project", "p0")}


def test_shadow_rules_are_no_evidence() -> None:
    """A rule on trial must not hold requests of others."""
    world = two_nodes(SETTINGS)
    trial = rule("Trial", query="errors", mode=Mode.SHADOW)
    world.reconfigure(group(rule(), trial))
    for _ in range(6):
        world.say(values(N1[:8]), signal="errors")
        world.tick(values(N1[:1]))
    assert (N1[0], "requested") in world.states()


@pytest.mark.parametrize("labels", [(), ("rack",)])
def test_labels_that_no_series_has_leave_the_whole_fleet(labels: tuple[str, ...]) -> None:
    """Then only an incident of nearly all models stands out."""
    world = two_nodes(SharedCauses(labels, window=2 * MINUTE, wait=30 * SECOND))
    run(world, MODELS[:20], 2)
    assert {record.shared_cause.key for record in world.requests() if record.shared_cause} == {("", "")}


@seed(81)
@settings(max_examples=40, deadline=None)
@given(
    late=st.lists(st.integers(0, 2), min_size=8, max_size=12), order=st.permutations(range(12)),
    own=st.integers(0, 11), begin=st.integers(0, 6), stay=st.integers(0, 2), again=st.booleans(),
)  # fmt: skip
def test_an_incident_of_a_node_is_held_and_an_own_decay_is_sent(
    late: list[int], order: list[int], own: int, begin: int, stay: int, again: bool
) -> None:
    """Whoever is hit, in whatever order within the wait, and whenever a model of the other node decays on its own.

    Most models of the node breach, some of them up to two slots later. When they recover, those that stay unhealthy are
    retrained once each, after the window; a restart on the way changes nothing.
    """
    world, hit = two_nodes(), [N1[number] for number in order[: len(late)]]
    alone = N2[own]
    for slot in range(8):
        bad = [model for model, delay in zip(hit, late, strict=True) if delay <= slot]
        world.tick(values([*bad, alone] if slot >= begin else bad))
        if again and slot == 4:
            world.restart()
    assert {holds(world)[model.pipeline] for model in hit} == {HoldReason.NOT_THE_MODEL}
    run(world, [*hit, alone], 5)
    sent = [model for model, state in world.states() if state == "requested"]
    assert sent == [alone]
    run(world, [*hit[:stay], alone], 14)
    last = dict(world.states())
    assert {last[model] for model in hit[:stay]} <= {"requested"}
    assert {last[model] for model in hit[stay:]} == {"withdrawn"}
    assert len(world.requests()) == len(hit) + 1, "one request for each model, and none twice"
