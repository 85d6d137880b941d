"""Tests of expressions: results compared with expected samples."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from bridge.authoring.unit_tests import promql
from bridge.authoring.unit_tests.file import read_unit_test_file
from bridge.domain.errors import BridgeError
from bridge.net.session import Answer

TEXT = """
rule_files: []
{more}
tests:
- promql_expr_test:
  - expr: m
    eval_time: 1m
    exp_samples: {samples}
"""


def failures(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    body: Any,
    samples: str = "[]",
    more: str = "",
    *,
    truncated: bool = False,
) -> list[str]:
    (folder / "tests.yml").write_text(TEXT.format(samples=samples, more=more))
    seen: list[str] = []

    def call(_: object, method: str, url: str, **__: object) -> Answer:
        seen.append(url)
        return Answer(200, {}, json.dumps(body).encode(), truncated)

    monkeypatch.setattr(promql, "call", call)
    found = promql.failures(read_unit_test_file(folder / "tests.yml"), 0, cast("requests.Session", None), "http://p")
    texts = [f"{item.line}: {item.text}" for item in found]
    assert seen == ["http://p/api/v1/query?query=m&time=60.000"]
    return texts


def vector(*items: tuple[dict[str, str], str]) -> dict[str, Any]:
    result = [{"metric": labels, "value": [60, value]} for labels, value in items]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def test_equal_samples_are_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any order."""
    body = vector(({"__name__": "m", "a": "1"}, "2"), ({"__name__": "m", "a": "2"}, "3"))
    samples = "[{labels: 'm{a=\"2\"}', value: 3}, {labels: 'm{a=\"1\"}', value: 2}]"
    assert failures(tmp_path, monkeypatch, body, samples) == []


def test_other_samples_are_shown_with_their_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = failures(tmp_path, monkeypatch, vector(({"a": "1"}, "2")), "[{labels: '{a=\"1\"}', value: 3}]")
    assert text.startswith("6: m at 1m")
    assert "2" in text
    assert "3" in text


def test_a_scalar_has_no_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"status": "success", "data": {"resultType": "scalar", "result": [60, "7"]}}
    assert failures(tmp_path, monkeypatch, body, "[{value: 7}]") == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"status": "error", "error": "parse error"}, "m: parse error"),
        ({"status": "error"}, "m: refused"),
        (
            {"status": "success", "data": {"resultType": "matrix", "result": []}},
            "m: must return an instant vector or a scalar, not a range vector",
        ),
        (
            {"status": "success", "data": {"resultType": "string", "result": []}},
            "m: must return an instant vector or a scalar, not a string",
        ),
    ],
)
def test_other_results_are_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: Any, text: str) -> None:
    (found,) = failures(tmp_path, monkeypatch, body)
    assert text in found


def test_a_fuzzy_comparison_allows_one_float(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As promtool does, and only with its setting."""
    near = math.nextafter(0.3, 1)
    body, samples = vector(({}, repr(near))), "[{value: 0.3}]"
    assert failures(tmp_path, monkeypatch, body, samples, "fuzzy_compare: true") == []
    assert len(failures(tmp_path, monkeypatch, body, samples)) == 1
    far = vector(({}, repr(math.nextafter(near, 1))))
    assert len(failures(tmp_path, monkeypatch, far, samples, "fuzzy_compare: true")) == 1


def test_a_result_that_is_too_long_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BridgeError, match="is longer than"):
        failures(tmp_path, monkeypatch, vector(), truncated=True)
