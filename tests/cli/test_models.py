"""Commands `models list` and `rules list`."""

from __future__ import annotations

import pytest

from bridge.domain.times import rfc3339
from tests.cli.conftest import Command, columns
from tests.support.fake_views import AT, ID

pytestmark = pytest.mark.usefixtures("site")


def test_models_are_listed_in_columns(command: Command) -> None:
    """Each model on one line, with its latest values; `wide` adds columns."""
    code, out, err = command("models", "list")
    assert (code, err) == (0, "")
    assert columns(out) == [
        ["MODEL", "STATE", "LAST REQUEST", "VALUES"],
        ["shop/ranking/7", "retrain_requested", rfc3339(AT), "drift 0.702 (limit 0.6)"],
        ["shop/search/2", "healthy", "-", "drift 0.702 (limit 0.6)"],
    ]
    wide = columns(command("models", "list", "-o", "wide")[1])
    assert wide[0][-2:] == ["REQUEST", "RULES"]
    assert wide[1][-2:] == [ID, "Drifted: breached"]


def test_models_are_filtered(command: Command) -> None:
    """By project, pipeline, rule and state."""
    assert [row[0] for row in columns(command("models", "list", "--pipeline=search")[1])] == ["MODEL", "shop/search/2"]
    assert [row[0] for row in columns(command("models", "list", "--state=healthy")[1])] == ["MODEL", "shop/search/2"]
    assert len(columns(command("models", "list", "--rule=Drifted", "--project=shop")[1])) == 3
    assert command("models", "list", "--rule=Other") == (0, "no models\n", "")
    code, _, err = command("models", "list", "--state=ill")
    assert (code, "state" in err) == (1, True)


def test_rules_are_listed_with_the_results_of_retrainings(command: Command) -> None:
    """One line for each rule."""
    rows = columns(command("rules", "list", "--rule=Drifted")[1])
    assert rows[0] == ["RULE", "GROUP", "STATE", "HEALTH", "PENDING", "FIRING", "HELPED", "DID NOT HELP"]
    assert (rows[1][0], rows[1][-2:]) == ("Drifted", ["3", "1"])
