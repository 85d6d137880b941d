"""Test request to the destinations of one receiver."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.app import send_test
from bridge.app.send_test import TEST_MODEL, UnknownReceiverError, send
from bridge.ports import Kind, Result
from tests.support.receiver import Receiver, Reply


def configured(folder: Path, *urls: str) -> Path:
    """A configuration with the receiver `team`, one webhook for each URL, and the receiver `other`."""
    hooks = [{"url": url} for url in urls]
    config = {
        "prometheus": {"url": "http://127.0.0.1:1"}, "route": {"receiver": "team"},
        "receivers": [
            {"name": "team", "webhook_configs": hooks},
            {"name": "other", "webhook_configs": [{"url": "http://127.0.0.1:1"}]},
        ],
    }  # fmt: skip
    file = folder / "bridge.yml"
    file.write_text(json.dumps(config))
    return file


def test_send_posts_once_to_each_destination_of_the_receiver(tmp_path: Path) -> None:
    """One destination fails, the next one is still tried."""
    with Receiver(Reply(200)) as good, Receiver(Reply(400, b"no")) as bad:
        outcomes = dict(send(configured(tmp_path, bad.url, good.url), "team"))
        assert (len(good.requests), len(bad.requests)) == (1, 1)
        text = good.requests[0].body.decode()
    assert {name: outcome.result for name, outcome in outcomes.items()} == {
        "team/webhook/0": Result.DEAD, "team/webhook/1": Result.DELIVERED,
    }  # fmt: skip
    assert "retrain-bridge-test" in text
    assert "nothing is to be retrained" in text


@pytest.mark.parametrize(("name", "hint"), [("taem", "did you mean 'team'?"), ("nothing alike", "it has: team, other")])
def test_send_names_what_the_configuration_has(tmp_path: Path, name: str, hint: str) -> None:
    file = configured(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(UnknownReceiverError) as raised:
        list(send(file, name))
    assert str(raised.value) == f"{file} has no receiver {name!r}; {hint}"


def test_notification_is_marked_as_a_test() -> None:
    notification = send_test.test_notification(1_700_000_000_000)
    assert (notification.kind, notification.request.model) == (Kind.FIRING, TEST_MODEL)
    assert notification.request.labels == {"test": "true"}
    assert notification.request.id == send_test.test_notification(1_700_000_000_000).request.id
    assert notification.request.id != send_test.test_notification(1_700_000_000_001).request.id
