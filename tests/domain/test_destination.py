"""Destinations as values and as texts."""

from __future__ import annotations

import pytest

from bridge.domain.destination import Destination, discard_command


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


def test_the_command_that_discards_is_quoted_for_a_shell() -> None:
    assert (
        discard_command("no destination of today")
        == "retrain-bridge deliveries discard --receiver 'no destination of today'"
    )
    assert discard_command("team/on call/webhook/2") == "retrain-bridge deliveries discard --receiver 'team/on call'"
