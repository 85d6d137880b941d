"""Destinations as values and as texts."""

from __future__ import annotations

import pytest

from bridge.domain.destination import Destination, discard_command, receiver_of


@pytest.mark.parametrize("receiver", ["oncall", "team/oncall", "with space"])
def test_the_text_can_be_parsed_again(receiver: str) -> None:
    destination = Destination(receiver, "webhook", 2)
    assert str(destination) == f"{receiver}/webhook/2"
    assert Destination.parse(str(destination)) == destination
    assert destination.labels == (receiver, "webhook", "2")


@pytest.mark.parametrize("text", ["oncall", "oncall/webhook", "oncall/webhook/first", ""])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid literal|not enough values"):
        Destination.parse(text)


@pytest.mark.parametrize(
    ("text", "receiver"), [("team/webhook/0", "team"), ("a/b/webhook/0", "a/b"), ("no destination of today",) * 2]
)
def test_the_receiver_of_any_stored_text_is_known(text: str, receiver: str) -> None:
    assert receiver_of(text) == receiver


def test_the_command_that_discards_is_quoted_for_a_shell() -> None:
    assert (
        discard_command("no destination of today")
        == "retrain-bridge deliveries discard --receiver 'no destination of today'"
    )
    assert discard_command("team/on call/webhook/2") == "retrain-bridge deliveries discard --receiver 'team/on call'"
