"""Listings: columns, wide columns and JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from bridge.cli.listing import print_listing
from tests.cli.conftest import Command
from tests.support.web import Site

pytestmark = pytest.mark.usefixtures("site")


def test_json_contains_the_fields_of_the_api(command: Command) -> None:
    """A list with the fields of the API."""
    found = json.loads(command("models", "list", "-o", "json")[1])
    assert [item["pipeline"] for item in found] == ["ranking", "search"]
    assert json.loads(command("rules", "list", "-o", "json")[1])[0]["group"] == "serving"
    assert json.loads(command("pause", "list", "-o", "json")[1]) == []


def test_columns_are_aligned_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """Empty cells are dashes; zero is a value; control characters are escaped."""
    rows: list[dict[str, Any]] = [{"a": "x" * 300, "b": 0, "c": "w"}, {"a": None, "b": "", "c": "\x1b"}]
    print_listing([], rows, ("a", "b"), ("c",), "wide", "none")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["A", "B", "C"]
    assert lines[1] == f"{'x' * 300}  0  w"
    assert lines[2].split() == ["-", "-", "\\u001b"]
    assert lines[2].index("\\u001b") == lines[1].index("w")


def test_an_empty_table_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON, it is an empty list."""
    print_listing([], [], ("a",), (), "table", "no models")
    print_listing([], [], ("a",), (), "json", "no models")
    assert capsys.readouterr().out == "no models\n[]\n"


def test_csv_has_every_column_and_keeps_commas_and_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    """A notebook reads it back; missing values are empty, and an empty listing is its header."""
    rows: list[dict[str, Any]] = [{"a": 'x, "y"', "b": None, "c": 0, "other": 1}]
    print_listing([], rows, ("a", "b"), ("c",), "csv", "none")
    out = capsys.readouterr().out
    assert list(csv.DictReader(io.StringIO(out))) == [{"a": 'x, "y"', "b": "", "c": "0"}]
    print_listing([], [], ("a", "b"), ("c",), "csv", "none")
    assert capsys.readouterr().out == "a,b,c\n"


@pytest.mark.parametrize("what", ["decisions", "requests"])
def test_a_truncated_listing_is_noted_on_stderr(command: Command, site: Site, what: str) -> None:
    """On standard error, so that a pipe gets the entries alone."""
    site.queries.told *= 3
    site.queries.records *= 3
    code, out, err = command(what, "list", "--limit=2", "-o", "json")
    assert (code, len(json.loads(out))) == (0, 2)
    assert f"only the latest 2 {what} are listed; --limit" in err
    assert command(what, "list", "--limit=3")[2] == ""
