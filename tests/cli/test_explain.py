"""Command `explain`."""

from __future__ import annotations

import json

import pytest

from bridge.domain.explain import Explanation
from bridge.domain.model import ModelKey
from bridge.domain.times import rfc3339
from tests.cli.conftest import Command
from tests.support.fake_views import AT, MODEL, model_view
from tests.support.web import Site

pytestmark = pytest.mark.usefixtures("site")


def test_an_unknown_rule_gets_a_suggestion(command: Command) -> None:
    """Exit code 1."""
    code, out, err = command("explain", "shop/ranking/7", "--rule=Drifed")
    assert (code, out) == (1, "")
    assert err.endswith("there is no rule 'Drifed'; did you mean 'Drifted'?\n")


def test_a_replaced_model_can_be_explained(command: Command, site: Site) -> None:
    """It is no longer listed, and has decisions."""
    site.queries.views = []
    assert command("explain", "shop/ranking/7")[0] == 0


def test_a_past_instant_is_reported_as_recomputed(
    command: Command, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the rules of today."""
    found = Explanation("Drifted", MODEL, AT, "verdict: ok", (), (), recomputed=True)
    monkeypatch.setattr(site.queries, "explain", lambda *_: [found], raising=False)
    out = command("explain", "shop/ranking/7", "--at=now-5m")[1]
    assert out == f"Drifted at {rfc3339(AT)} (recomputed from history with the present rules): verdict: ok\n"


def test_what_a_rule_does_not_detect_yet_follows_the_checks(command: Command) -> None:
    """In the JSON as a field."""
    out = command("explain", "shop/ranking/7")[1].splitlines()
    assert out[-2:] == ["      detects sudden changes so far; shifts from noon on", "      curl x"]
    (item,) = json.loads(command("explain", "shop/ranking/7", "--output=json")[1])
    assert item["detects"] == "detects sudden changes so far; shifts from noon on"


def test_explain_takes_names_with_slashes(command: Command, site: Site) -> None:
    """As options; an instant may be relative."""
    model = ModelKey("team/shop", "ranking", "7")
    site.queries.views = [model_view(model)]
    options = ("--project=team/shop", "--pipeline=ranking", "--version=7")
    assert command("explain", *options, "--at=now-5m")[0] == 0
    asked = site.queries.asked[-1]
    assert isinstance(asked, tuple)
    assert asked[0] == model
    assert asked[2] > 0
    for words in (("explain",), ("explain", "a/b"), ("explain", "a/b/c", *options), ("explain", "a/b/c", "--at=soon")):
        assert command(*words)[0] == 2
