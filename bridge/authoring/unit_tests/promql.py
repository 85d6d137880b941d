"""`promql_expr_test`: results of queries compared with the expected samples."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import requests

from bridge.authoring.unit_tests import histogram_notation, series_notation
from bridge.authoring.unit_tests.diff import Failure, difference
from bridge.authoring.unit_tests.file import ExpectedSample, ExprTest, UnitTestFile
from bridge.domain.errors import BridgeError
from bridge.domain.times import format_duration
from bridge.net.session import call

_MOST = 1 << 26  # bytes


def failures(file: UnitTestFile, number: int, session: requests.Session, url: str) -> Iterator[Failure]:
    """Yield the unmet expectations of test `number`. Raises NetError."""
    test = file.section.tests[number]
    for index, asked in enumerate(test.promql_expr_test):
        line = file.line("tests", number, "promql_expr_test", index)
        form = urlencode({"query": asked.expr, "time": f"{(test.start_timestamp + asked.eval_time) / 1000:.3f}"})
        answer = call(session, "GET", f"{url}/api/v1/query?{form}", deadline=30.0, max_bytes=_MOST)
        if answer.truncated:
            raise BridgeError(f"the answer to {asked.expr} is longer than {_MOST} bytes")
        yield from _compared(asked, json.loads(answer.body), line, fuzzy=file.section.fuzzy_compare)


def _compared(asked: ExprTest, body: Mapping[str, Any], line: int, *, fuzzy: bool) -> Iterator[Failure]:
    if body["status"] != "success":
        yield Failure(line, f"{asked.expr}: {body.get('error', 'refused')}")
        return
    type_, result = body["data"]["resultType"], body["data"]["result"]
    if type_ == "scalar":
        result = [{"metric": {}, "value": result}]
    elif type_ != "vector":
        given = "range vector" if type_ == "matrix" else type_
        yield Failure(line, f"{asked.expr}: must return an instant vector or a scalar, not a {given}")
        return
    got: list[Mapping[str, object]] = [_sample(item["metric"], _value(item)) for item in result]
    wanted = [_sample(series_notation.labels_or_none(item.labels), _expected(item)) for item in asked.exp_samples]
    if fuzzy:
        got = [dict(_nearest(item, wanted)) for item in got]
    yield from difference(f"{asked.expr} at {format_duration(asked.eval_time)}", wanted, got, line)


def _value(item: Mapping[str, Any]) -> object:
    return float(item["value"][1]) if "value" in item else histogram_notation.shown(item["histogram"][1])


def _expected(sample: ExpectedSample) -> object:
    return histogram_notation.parse(sample.histogram).shown() if sample.histogram else float(sample.value)


def _sample(labels: Mapping[str, str], value: object) -> dict[str, object]:
    return {"labels": dict(labels), "value": value}


def _nearest(sample: Mapping[str, object], wanted: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
    """Return the expected sample of the same labels whose value is at most one float away, as promtool compares."""
    value = sample["value"]
    for item in wanted:
        if item["labels"] == sample["labels"] and isinstance(value, float):
            near = {math.nextafter(value, -math.inf), math.nextafter(value, math.inf)}
            if item["value"] in near:
                return item
    return sample
