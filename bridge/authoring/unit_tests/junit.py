"""Outcomes as JUnit's XML, which every CI server reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from bridge.authoring.unit_tests.runner import Outcome

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(outcomes: Sequence[Outcome]) -> bytes:
    """Return JUnit XML with one suite for each file."""
    suites = ElementTree.Element("testsuites")
    for file in dict.fromkeys(outcome.file for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.file == file]
        failed, broken = sum(bool(item.failures) for item in mine), sum(bool(item.error) for item in mine)
        counts = {"tests": str(len(mine)), "failures": str(failed), "errors": str(broken)}
        suite = ElementTree.SubElement(suites, "testsuite", {"name": str(file), **counts})
        for outcome in mine:
            case = ElementTree.SubElement(suite, "testcase", name=_text(outcome.name), classname=str(file))
            if outcome.error:
                ElementTree.SubElement(case, "error", message=_text(outcome.error))
            for failure in outcome.failures:
                found = ElementTree.SubElement(case, "failure", message=f"line {failure.line}")
                found.text = _text(failure.text)
    body: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return body


def _text(text: str) -> str:
    """Return the text without characters that XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
