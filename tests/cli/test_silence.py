"""Command `silence`."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.app import client
from tests.cli.conftest import Command


def test_a_silence_is_created_for_a_project_pipeline_or_version(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a comment, which Alertmanager requires."""
    sent: list[Any] = []

    def call_api(access: client.Access, path: str, method: str = "GET", body: object = None) -> object:
        sent.append((method, path, body))
        return {"id": "abc", "until": "2026-01-01T01:00:00.000Z"}

    monkeypatch.setattr(client, "call_api", call_api)
    code, out, _ = command("silence", "shop/ranking", "--for=2h", "--by=kim")
    assert code == 0
    assert out.startswith("shop/ranking silenced until 2026-01-01T01:00:00.000Z: abc")
    command("silence", "shop", "--note=move", "--by=kim")
    first = {"project": "shop", "pipeline": "ranking", "duration": "2h", "by": "kim"}
    assert sent == [
        ("POST", "/api/v1/silences", {**first, "note": "silenced on the command line"}),
        ("POST", "/api/v1/silences", {"project": "shop", "duration": "1h", "by": "kim", "note": "move"}),
    ]


@pytest.mark.parametrize("name", ["", "a//b", "a/b/c/d", "/a"])
def test_models_are_named_by_up_to_three_parts(command: Command, name: str) -> None:
    """Nothing is sent."""
    code, _, err = command("silence", name)
    assert code == 2
    assert "PROJECT/PIPELINE/VERSION" in err
