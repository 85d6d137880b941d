"""Command `tune`: arguments, variants and labels. tests/authoring/tune compares the variants."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import responses
import typer
from typer.testing import CliRunner, Result

from bridge.cli.commands import app
from bridge.cli.tune import _params, _split
from tests.cli.test_backtest import FIRST, RULES, SERVER, SPAN, world
from tests.support.fake_prometheus import FakePrometheus


@pytest.fixture
def tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    (tmp_path / "rules.yml").write_text(RULES)
    monkeypatch.chdir(tmp_path)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        FakePrometheus(world).serve(mocked)
        yield lambda *words: CliRunner().invoke(app, ["tune", *words, "--rules", "rules.yml", *SERVER, *SPAN])


def test_variants_are_compared_against_incidents(tune: Callable[..., Result], tmp_path: Path) -> None:
    """One variant for each value of `for` and the rule's own, in a table and as JSON."""
    text = f"start,end,pipeline\n{FIRST + 3600},{FIRST + 7200},fraud\n"
    (tmp_path / "incidents.csv").write_text(text)
    result = tune("High", "--for=5m,10m", "--incidents=incidents.csv", "--json=t.json", "--html=t.html")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "t.json").read_text())
    assert found["rule"] == "High"
    assert len(found["variants"]) == 3
    assert (tmp_path / "t.html").read_text().startswith("<!doctype html>")


def test_an_unknown_rule_is_reported(tune: Callable[..., Result]) -> None:
    result = tune("Hihg", "--for=5m")
    assert result.exit_code != 0
    assert "Hihg" in str(result.exception) + result.output


def test_a_range_without_data_is_reported(tune: Callable[..., Result]) -> None:
    """Once, and only if no variant has any; a range of less than a week has no rate."""
    result = tune("Higher", "--for=5m,10m", "--json=t.json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert {item["per_week"] for item in json.loads(Path("t.json").read_text())["variants"]} == {None}
    rules = Path("rules.yml")
    rules.write_text(rules.read_text().replace("drift > 0.8", "drift > 2"))
    result = tune("Higher", "--for=5m")
    assert (result.exit_code, result.stderr) == (0, "Higher: its expression returned nothing in this range\n")


def test_a_range_in_which_the_rule_has_no_data_is_an_error(tune: Callable[..., Result]) -> None:
    """As of a backtest: the range, and what to do; the results are printed and written nevertheless."""
    rules = Path("rules.yml")
    rules.write_text(rules.read_text().replace("drift", "shift"))
    result = tune("Higher", "--for=5m", "--json=t.json")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Higher: its expression returned nothing in this range",
        (
            "no rule has data from 2023-11-14T22:00:00.000Z to 2023-11-15T04:00:00.000Z. The server has none of their"
            " series in the last year: check the expressions and the URL of the server"
        ),
    ]
    assert "variant=as it is" in result.stdout
    assert len(json.loads(Path("t.json").read_text())["variants"]) == 2


def test_params_have_a_name_and_values() -> None:
    assert _params(["half_life=1d,2d", "x=a=b"]) == {"half_life": "1d,2d", "x": "a=b"}
    assert _params(None) == {}
    for text in ("half_life", "=1d", "half_life="):
        with pytest.raises(typer.BadParameter, match="write NAME=V1,V2"):
            _params([text])


def test_empty_values_are_dropped() -> None:
    assert _split(" 1, 2,,") == ["1", "2"]
