"""Outcomes as JUnit's XML."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from bridge.authoring.unit_tests.diff import Failure
from bridge.authoring.unit_tests.junit import junit
from bridge.authoring.unit_tests.runner import Outcome


def test_each_file_is_a_suite_with_what_failed() -> None:
    """An error is a test that could not be run; characters that XML cannot hold are replaced."""
    one, two = Path("one.yml"), Path("two.yml")
    outcomes = [
        Outcome(one, "good", ()),
        Outcome(two, "bad", (Failure(3, "drift <\x00 & more"), Failure(4, "b"))),
        Outcome(one, "broken", (), "no \x1b answer"),
    ]
    first, second = ElementTree.fromstring(junit(outcomes))
    assert [suite.attrib for suite in (first, second)] == [
        {"name": "one.yml", "tests": "2", "failures": "0", "errors": "1"},
        {"name": "two.yml", "tests": "1", "failures": "1", "errors": "0"},
    ]
    assert [case.get("name") for case in first] == ["good", "broken"]
    assert [error.get("message") for error in first.iter("error")] == ["no \ufffd answer"]
    assert [(item.get("message"), item.text) for item in second.iter("failure")] == [
        ("line 3", "drift <\ufffd & more"), ("line 4", "b"),
    ]  # fmt: skip
