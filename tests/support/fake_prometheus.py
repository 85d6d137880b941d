"""A Prometheus that answers from a function of (expr, instant): for tests of what a source asks and makes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import requests
import responses

Labels = dict[str, str]
World = Callable[[str, int], Sequence[tuple[Labels, str]]]


def model(version: object, **more: str) -> Labels:
    return {"pipeline": "fraud", "project": "shop", "version": str(version), **more}


@dataclass
class FakePrometheus:
    """world(expr, ms) -> the samples of an instant. asked: (path, parameters) of every question.

    envelope: more keys of the answer. most_points: a longer range query is answered 422, as by --query.max-samples.
    """

    world: World
    url: str = "http://prometheus.test"
    envelope: dict[str, object] = field(default_factory=dict)
    most_points: int = 11_001
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def serve(self, mocked: responses.RequestsMock) -> FakePrometheus:
        for path in ("/api/v1/query", "/api/v1/query_range"):
            mocked.add_callback(responses.GET, self.url + path, self._answer)
        return self

    def _answer(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        parts = urlsplit(str(request.url))
        params = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append((parts.path, params))
        if parts.path == "/api/v1/query":
            return 200, {}, self._whole("vector", self._vector(params["query"], _ms(params.get("time", "now"))))
        start, end, step = (_ms(params[name]) for name in ("start", "end", "step"))
        instants = range(start, end + 1, step)
        if len(instants) > self.most_points:
            said = {"status": "error", "errorType": "execution", "error": "too many samples"}
            return 422, {}, json.dumps(said)
        return 200, {}, self._whole("matrix", self._matrix(params["query"], instants))

    def _whole(self, kind: str, result: object) -> str:
        answer = {"status": "success", "data": {"resultType": kind, "result": result}, **self.envelope}
        return json.dumps(answer, separators=(",", ":"))

    def _vector(self, expr: str, at: int) -> list[object]:
        return [{"metric": labels, "value": [at / 1000, value]} for labels, value in self.world(expr, at)]

    def _matrix(self, expr: str, instants: range) -> list[object]:
        rows: dict[str, tuple[Labels, list[object]]] = {}
        for at in instants:
            for labels, value in self.world(expr, at):
                rows.setdefault(json.dumps(labels), (labels, []))[1].append([at / 1000, value])
        return [{"metric": labels, "values": values} for labels, values in rows.values()]


def _ms(text: str) -> int:
    return round(1000 * time.time()) if text == "now" else round(float(text) * 1000)
