"""Command `silence`."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.app import client
from tests.cli.conftest import Api, Command, columns


def test_a_silence_is_created_for_a_project_pipeline_or_version(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a comment, which Alertmanager requires."""
    sent: list[Any] = []

    def call_api(access: client.Access, path: str, method: str = "GET", body: object = None) -> object:
        if method == "GET":
            return {"models": [] if "project=new" in path else [{}], "requests": []}
        sent.append((method, path, body))
        return {"id": "abc", "until": "2026-01-01T01:00:00.000Z"}

    monkeypatch.setattr(client, "call_api", call_api)
    code, out, _ = command("silence", "shop/ranking", "--for=2h", "--by=kim")
    assert code == 0
    assert out == (
        "shop/ranking silenced until 2026-01-01T01:00:00.000Z; to end it earlier: retrain-bridge silence expire abc\n"
    )
    command("silence", "shop", "--note=move", "--by=kim")
    code, out, _ = command("silence", "--project=new", "--force", "--by=kim", "--note=move")
    assert (code, out.splitlines()[1:]) == (0, ["no signal has reported it yet: this applies once one does"])
    first = {"project": "shop", "pipeline": "ranking", "version": "", "duration": "2h", "by": "kim", "force": False}
    second = {
        "project": "shop",
        "pipeline": "",
        "version": "",
        "duration": "1h",
        "by": "kim",
        "note": "move",
        "force": False,
    }
    assert sent == [
        ("POST", "/api/v1/silences", {**first, "note": "silenced on the command line"}),
        ("POST", "/api/v1/silences", second),
        ("POST", "/api/v1/silences", {**second, "project": "new", "force": True}),
    ]


def test_a_silence_needs_models(command: Command) -> None:
    """One of everything would hide every alert."""
    code, _, err = command("silence")
    assert (code, "PROJECT[/PIPELINE[/VERSION]]" in err) == (2, True)


SILENCE = {
    "id": "8f4255ed-6b8f", "matchers": ['project="shop"', 'pipeline="ranking"'], "ends_at": "2026-01-01T01:00:00.000Z",
    "created_by": "kim", "comment": "release", "unclear": None, "requests": ["a", "b"],
}  # fmt: skip


def test_silences_are_listed(command: Command, api: Api) -> None:
    """With what each matches and holds."""
    api[1]["data"] = {"silences": [SILENCE]}
    rows = columns(command("silence", "list", "-o", "wide")[1])
    assert rows == [
        ["ID", "MATCHERS", "ENDS", "HOLDS", "COMMENT", "CREATED BY"],
        ["8f4255ed-6b8f", 'project="shop" pipeline="ranking"', "2026-01-01T01:00:00.000Z", "2", "release", "kim"],
    ]
    api[1]["data"] = {"silences": []}
    assert command("silence", "list") == (0, "no silences\n", "")


def test_a_silence_is_ended_by_the_first_digits_of_its_id(command: Command, api: Api) -> None:
    """An unknown or ambiguous beginning ends nothing."""
    calls, answers = api
    answers["data"] = {"silences": [SILENCE, {**SILENCE, "id": "8f99"}]}
    assert command("silence", "expire", "8f42") == (0, "8f4255ed-6b8f: ended\n", "")
    assert calls[-1] == ("POST", "/api/v1/silences/8f4255ed-6b8f/expire")
    for word, number in (("8f", "2"), ("x", "none")):
        code, _, err = command("silence", "expire", word)
        assert (code, err) == (1, f"retrain-bridge: {number} of the 2 silences in force begin with {word!r}\n")
    assert [method for method, _ in calls].count("POST") == 1


def test_a_silence_is_ended_by_its_whole_id_without_a_list(command: Command, api: Api) -> None:
    """The list has at most 1,000 silences."""
    calls, answers = api
    whole = "8f4255ed-6b8f-4a9c-9c5e-0d6a1f3b2c7d"
    answers["data"] = {"id": whole}
    assert command("silence", "expire", whole) == (0, f"{whole}: ended\n", "")
    assert calls == [("POST", f"/api/v1/silences/{whole}/expire")]


def test_an_empty_id_ends_no_silence(command: Command, api: Api) -> None:
    """Not even the only one: a variable of a script may be empty."""
    calls, answers = api
    answers["data"] = {"silences": [SILENCE]}
    code, _, err = command("silence", "expire", "")
    assert (code, calls, "the id is empty" in err) == (2, [], True)
