"""What takes text from outside, each with the pieces that such text is made of, for fuzzing.

An input may be refused, by the errors that the caller expects; it must not crash, nor take long, nor grow faster than
its length.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from bridge.app.logs import logfmt
from bridge.authoring.check.check import check_rules
from bridge.authoring.check.promql_errors import promql_error
from bridge.authoring.suggest import selectors
from bridge.authoring.unit_tests import series_notation
from bridge.authoring.unit_tests.file import read_unit_test_file
from bridge.config.load import load
from bridge.config.promql import promql_problem
from bridge.coordinator.alertmanager import parse_notification
from bridge.coordinator.body import BodyError, parse_request
from bridge.coordinator.config import load_config
from bridge.domain.errors import BridgeError
from bridge.domain.matchers import Matcher
from bridge.domain.printable import printable
from bridge.domain.regex import PROMETHEUS
from bridge.domain.times import parse_duration, parse_rfc3339
from bridge.net.hosts import host_of
from bridge.net.redact import redact
from bridge.net.retry_after import retry_after
from bridge.net.signature import SignatureError, verify
from bridge.sources.decode import samples
from bridge.sources.limits import limit_of
from bridge.sources.silence_list import read_silences
from bridge.templates.alert import AlertTemplate
from bridge.templates.prometheus import Context
from bridge.templates.values import AlertData
from bridge.web.http.auth import _credentials
from bridge.web.http.guard import _netloc
from bridge.web.http.web_config import load_web_config
from tests.support.web_app import Site

NOW = 1_794_182_400_000
SECRET = "whsec_" + "A" * 44
LABELS = [{"a": "a" * 60, "b": "größe"}, {"a": "ab" * 500}, {}]


@dataclass(frozen=True)
class Target:
    """A place that takes text. share: of all inputs, in per cent. most: characters of an input.

    clock: CPU time; of the process where the work is done in another thread.
    """

    name: str
    run: Callable[[str], object]
    pieces: Sequence[str]
    share: int
    most: int = 8_000
    clock: Callable[[], float] = time.thread_time


@dataclass(frozen=True)
class Input:
    """Text whose middle can be doubled."""

    before: str
    middle: str
    after: str
    times: int = 1

    @property
    def text(self) -> str:
        return f"{self.before}{self.middle * self.times}{self.after}"

    def doubled(self) -> Input:
        return Input(self.before, self.middle, self.after, self.times * 2)


def inputs(target: Target) -> st.SearchStrategy[Input]:
    """Pieces in any order, or one of few pieces very often; drawn as one number, since that is fast."""
    return st.integers(0, 2**64 - 1).map(lambda number: _made(target, random.Random(number)))


def _made(target: Target, rng: random.Random) -> Input:
    def some(least: int, most: int) -> str:
        return "".join(_piece(target, rng) for _ in range(rng.randint(least, most)))

    if rng.random() < 0.5:
        return Input("", some(0, 40)[: target.most], "")
    middle = some(1, 3)
    return Input(some(0, 3), middle, some(0, 3), max(1, rng.randint(1, target.most) // len(middle)))


def _piece(target: Target, rng: random.Random) -> str:
    return (
        rng.choice(target.pieces) if rng.random() < 0.9 else chr(rng.choice((rng.randrange(128), rng.randrange(55296))))
    )


def cost(target: Target, text: str, repeats: int = 1) -> float:
    """Return the least CPU time, in seconds, of some runs; what is neither done nor refused is raised."""
    least = float("inf")
    for _ in range(repeats):
        began = target.clock()
        attempt(target, text)
        least = min(least, target.clock() - began)
    return least


def attempt(target: Target, text: str) -> None:
    try:
        target.run(text)
    except (ValueError, BridgeError, BodyError, SignatureError):
        return  # refused


# ---------------------------------------------------------------- what is run


def _matchers(text: str) -> None:
    for dialect in (PROMETHEUS, None):
        for matcher in Matcher.parse_list(text) if dialect is None else Matcher.parse_list(text, dialect):
            for labels in LABELS:
                matcher.matches(labels)


def _regex(text: str) -> None:
    for op in ("=~", "!~"):
        matcher = Matcher("a", op, text)
        for labels in LABELS:
            matcher.matches(labels)


def _silences(text: str) -> None:
    matcher = {"name": "a", "value": text, "isRegex": True, "isEqual": True}
    times = {"startsAt": "2026-11-09T00:00:00Z", "endsAt": text, "updatedAt": "2026-11-09T00:00:00Z"}
    given = json.dumps([{"id": "x", "matchers": [matcher], **times}, {"id": text, "matchers": text}]).encode()
    for body in (given, text.encode("utf-8", "replace"), b"[" + text.encode("utf-8", "replace") + b"]"):
        for listed in read_silences(body).silences:
            listed.silence.silences(LABELS[0], NOW)
            listed.silence.may_silence(LABELS[0], NOW)


def _headers(text: str) -> None:
    retry_after(text, NOW)
    _credentials(text)
    _credentials(f"Basic {text}")
    host_of(f"//{text}")
    _netloc(text)
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        headers = {"webhook-id": "x", "webhook-timestamp": str(NOW // 1000), "webhook-signature": "v1,x"}
        try:
            verify([SECRET], {**headers, name: text}, b"{}", NOW)
        except SignatureError:
            continue


def _of_coordinator(text: str) -> None:
    body = text.encode("utf-8", "replace")
    for parse in (parse_request, parse_notification):
        try:
            parse(body)
        except BodyError:
            continue
    fields = {"id": "0" * 32, "project": text, "pipeline": "b", "version": "c", "reason": text, "labels": {text: text}}
    parse_request(json.dumps(fields).encode())


_SITE = Site()
_VISIBLE = frozenset(map(chr, (*range(0x20, 0x7F), *range(0xA0, 0x100))))


def _of_bridge(text: str) -> None:
    value = "".join(char for char in text if char in _VISIBLE).strip().encode("latin-1")
    for name in ("Authorization", "Accept", "Cookie", "Origin", "Content-Type", "Host", "If-None-Match"):
        answer = _SITE.http.get("/api/v1/rules", headers={name.encode(): value})
        assert answer.status_code in {200, 400, 401, 403, 421}, (name, answer.status_code)
    body = text.encode("utf-8", "replace")
    for path in ("pause", "requests", f"requests/{'0' * 32}/status"):
        answer = _SITE.http.post(f"/api/v1/{path}", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code < 500, (path, answer.status_code)
    answer = _SITE.http.get("/api/v1/rules", params={"match[]": text.encode("utf-8", "replace")})
    assert answer.status_code in {200, 400}, answer.status_code


def _promql(text: str) -> None:
    if promql_problem(text) is None:
        promql_error(text)
    selectors.selectors(text)
    limit_of(text)


def _series(text: str) -> None:
    for read in (series_notation.labels, series_notation.values):
        try:
            read(text)
        except ValueError:
            continue


def _printed(text: str) -> None:
    redact(text)
    printable(text)
    logfmt({"msg": text, text[:50]: [text]})


def _times(text: str) -> None:
    for read in (parse_duration, parse_rfc3339):
        try:
            read(text)
        except ValueError:
            continue


def _file(read: Callable[[Path], object]) -> Callable[[str], object]:
    def run(text: str) -> None:
        with tempfile.NamedTemporaryFile(suffix=".yml") as file:
            file.write(text.encode("utf-8", "surrogatepass"))
            file.flush()
            read(Path(file.name))

    return run


_check_rules = _file(lambda path: check_rules([path]))


def _rule_texts(text: str) -> None:
    """Everything in a rule that is text."""
    rule = {"retrain": text, "expr": text, "for": text, "labels": {"a": text, text: "b"}, "annotations": {"a": text}}
    file = {"groups": [{"name": text, "interval": text, "rules": [rule, text]}, text]}
    _check_rules(json.dumps(file))


# ---------------------------------------------------------------- the targets

_REGEX = [
    "(", ")", "a", "b", ".", "*", "+", "?", "|", "[", "]", "^", "$", "\\", "{2}", "{1000}", "{1,50}", "(a+)+", "(a|aa)",
    "((.+)+)+", "\\pL", "[[:alpha:]]", "(?i)", "(?s:", "\\Q", "\\E", "\\z", "\\C", "[^a]", "a{500}", "(.*)", "é", "\\b",
]  # fmt: skip
_MATCHERS = [*_REGEX, '"', ",", "=", "=~", "!~", "!=", " ", "{", "}", "a=~", 'a="', "a=b,", '\\"', "\n", "'", "`"]
_JSON = ['"', "{", "}", "[", "]", ":", ",", "1", "1e999", "-", "null", "true", "\\u0000", "\\ud800", '{"a":', "9" * 50,
         '"id":', '"alerts":', '"labels":', '"version":"4"', "NaN", " ", "\x00"]  # fmt: skip
_YAML = [
    "- ", ": ", "\n", "  ", "{", "}", "[", "]", "&a ", "*a", "!!", "'", '"', "|", ">", "#", "%", "? ", "<<: ", "---\n",
    "groups: ", "rules: ", "name: ", "expr: ", "retrain: ", "labels: ", "for: ", "5m", "a: ", "tests: ", "users: ",
    "null", "\t", "é", "\x07", "\\ud800", "basic_auth_users: ", "$2y$10$", "route: ", "matchers: ",
]  # fmt: skip
_PROMQL = ['"', "'", "`", "\\", "(", ")", "[", "]", "{", "}", "#", "\n", " ", "a", "rate", "by", "by (", "1", "[5m]",
           "> ", ">", "=", "0.5", "1e3", ",", "and", "x{a=", "a{", "_seconds", "$window", "\\\"", "== 1"]  # fmt: skip
_HEADERS = [
    "Basic ", "Bearer ", "YTpi", "=", ",", ";", "v1,", " ", "q=0.5", "text/html", "*/*", "http://", "[", "]", ":", "@",
    "Sun, 06 Nov 1994 08:49:37 GMT", "-", "9", "(", ")", '"', "\\", "a=b; ", "%", "é", "\x00", "+0000", "Nov",
]  # fmt: skip
_TEXTS = [
    "http://", "https://u:p@", "?", "x?", "a=b", "authorization", ": ", "Bearer ", "Basic ", "whsec_", "A", "/",
    "<secret>", " ", "'", "\n", "\x1b[31m", "\u202e", "@", "#", "é", ".", "{", "}",
]  # fmt: skip
_TEMPLATE = ["{{", "}}", "{{ ", " }}", "{{- ", " -}}", "-", " ", "\n", "$value", "$labels.", "a", "|", "humanize",
             "printf ", '"%.2f"', "{", "}", "$threshold", "é"]  # fmt: skip
_SERIES = ["a", "{", "}", '="', '"', ",", " ", "\\", "x", "1", "+", "-", "_", "_x9", "1x99", "stale", ".", "e", "inf",
           "'", "`", "\\ud800", "\\x41", "\n"]  # fmt: skip
_TIMES = ["1", "9" * 30, "h", "m", "ms", "y", "s", "T", "Z", ":", "-", "2026-11-09T00:00:00Z", "+00:00", ".", "٣", " "]


def _template(text: str) -> None:
    data, context = AlertData({"a": text}, {}, "", 1.5), Context(NOW, "", lambda expr, at: [])
    AlertTemplate(text).expand_or_tell(data, context)


TARGETS = (
    Target("matchers", _matchers, _MATCHERS, 14),
    Target("regular expressions", _regex, _REGEX, 14, most=2_000),
    Target("templates", _template, _TEMPLATE, 12),
    Target("silences", _silences, [*_JSON, *_REGEX], 8, most=2_000),
    Target("answers of Prometheus", lambda text: samples(text.encode("utf-8", "replace")), _JSON, 6),
    Target("headers", _headers, _HEADERS, 10),
    Target("bodies for the coordinator", _of_coordinator, _JSON, 8, most=4_000),
    Target("requests to the bridge", _of_bridge, [*_JSON, *_HEADERS], 1, most=400, clock=time.process_time),
    Target("expressions", _promql, _PROMQL, 7),
    Target("series", _series, _SERIES, 5),
    Target("printed texts", _printed, _TEXTS, 6),
    Target("times", _times, _TIMES, 3),
    Target("texts of rules", _rule_texts, [*_PROMQL, *_TEMPLATE], 1, most=400),
    Target("bridge.yml", _file(load), _YAML, 1, most=400),
    Target("rule files", _check_rules, _YAML, 1, most=400),
    Target("web config files", _file(load_web_config), _YAML, 1, most=400),
    Target("coordinator.yml", _file(load_config), _YAML, 1, most=400),
    Target("unit-test files", _file(read_unit_test_file), _YAML, 1, most=400),
)
