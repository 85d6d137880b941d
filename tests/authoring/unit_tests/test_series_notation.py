"""promtool's notation of series, with promtool itself as the oracle."""

from __future__ import annotations

import json
import math
import random
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bridge.authoring.unit_tests.series_notation import STALE, labels, values


def test_the_forms_of_values() -> None:
    """Steps include their first value; a gap is so many samples that are not there."""
    assert values("1 2+3x2 7x2 5-1x3") == [1, 2, 5, 8, 7, 7, 7, 5, 4, 3, 2]
    assert values("_ _x3 1") == [None, None, None, None, 1]
    assert values("-1.5e2 +3 .5 Inf -Inf") == [-150, 3, 0.5, math.inf, -math.inf]
    assert values("1x0") == [1]
    assert values("") == []
    assert values("stale")[0] is STALE
    (number,) = values("NaN")
    assert isinstance(number, float)
    assert math.isnan(number)
    assert values("INF -iNf 1+Infx1") == [math.inf, -math.inf, 1, math.inf]
    assert values("0x2") == [0, 0, 0]


@pytest.mark.parametrize(
    "text", ["1+x3", "a", "1x", "_x", "1+2", "x3", "1x9999999", "_x9999999", "1+-2x3", "1,2", "1X3", "{schema:1}"]
)
def test_an_invalid_value_is_refused(text: str) -> None:
    """With a word on what is one."""
    with pytest.raises(ValueError, match=r"is none of 1, 1x3|more than 1000000 samples"):
        values(text)


def test_the_forms_of_series() -> None:
    """With and without a name, quotes of both kinds, escapes."""
    assert labels('up{a="b", c="d"}') == {"__name__": "up", "a": "b", "c": "d"}
    assert labels("up") == {"__name__": "up"}
    assert labels('{__name__="up"}') == {"__name__": "up"}
    assert labels("x{a='1',}") == {"__name__": "x", "a": "1"}
    assert labels(r'x{a="q\"\\\n"}') == {"__name__": "x", "a": 'q"\\\n'}
    assert labels(r"""x{a="\x41\u00e9\101", b='it\'s', c=`\x41"'`}""") == {
        "__name__": "x", "a": "AéA", "b": "it's", "c": "\\x41\"'",
    }  # fmt: skip
    assert labels('x{a="",b="c"}') == {"__name__": "x", "b": "c"}


@pytest.mark.parametrize("text", ["", "1x", 'up{a="b"', "up{a=b}", 'up{a="b" c="d"}', 'up{1="b"}', "up down"])
def test_an_invalid_series_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(ValueError, match="is not a series; write name"):
        labels(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [('x{a="1",a="2"}', "names the label a twice"), ('x{__name__="y"}', "names the label __name__ twice"),
     (r'x{a="\q"}', r"unknown escape \\q in a label's value"), (r'x{a="\'"}', "unknown escape")],
)  # fmt: skip
def test_what_is_wrong_inside_a_series_is_named(text: str, said: str) -> None:
    """The label, or the escape."""
    with pytest.raises(ValueError, match=said):
        labels(text)


SERIES = [
    "x", "x{}", "a:b", '{a="b"}', 'x{a="1",}', r'x{a="\x41\u00e9\101\\\t"}', "x{a=`\\n`}", r"x{a='it\'s'}", 'x{a="é"}',
    'x{a="",b="c"}', ' x{a="1" , b = "2"} ',
]  # fmt: skip


@pytest.mark.parametrize("text", SERIES)
def test_promtool_reads_the_same_labels(tmp_path: Path, text: str) -> None:
    """Written anew in JSON's way, which is one of Go's, they name the series that it has."""
    pairs = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels(text).items())
    asked = [{"expr": f"{{{pairs}}}", "eval_time": "0m", "exp_samples": [{"labels": f"{{{pairs}}}", "value": 7}]}]
    test = {"interval": "1m", "input_series": [{"series": text, "values": "7"}], "promql_expr_test": asked}
    assert promtool(tmp_path, [test]) == (0, "")


def promtool(folder: Path, tests: Sequence[Mapping[str, object]]) -> tuple[int, str]:
    """Its exit code, and what it says when that is not 0."""
    written = json.dumps({"rule_files": [], "evaluation_interval": "1m", "tests": tests})
    (folder / "test.yml").write_text(written.replace("Infinity", ".inf"))  # YAML's way
    done = subprocess.run(
        ["promtool", "test", "rules", str(folder / "test.yml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr if done.returncode else ""


def test_promtool_reads_the_same_values(tmp_path: Path) -> None:
    """Random texts: what promtool finds at every minute is what we read."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    texts = [" ".join(_part(draw) for _ in range(draw.randint(1, 6))) for _ in range(20)]
    tests = []
    for text in texts:
        asked = []
        for index, value in enumerate(values(text)):
            there = value is not None and value is not STALE
            shown = [{"labels": 'x{a="1"}', "value": value}] if there else []
            asked.append({"expr": "last_over_time(x[59s])", "eval_time": f"{index}m", "exp_samples": shown})
        series = [{"series": 'x{a="1"}', "values": text}]
        tests.append({"interval": "1m", "input_series": series, "promql_expr_test": asked})
    assert promtool(tmp_path, tests) == (0, "")


def _part(draw: random.Random) -> str:
    number, count = round(draw.uniform(-50, 50), 2), draw.randint(0, 5)
    step = f"{draw.choice('+-')}{round(draw.uniform(0, 9), 1)}"
    if draw.random() < 0.1:
        return draw.choice(["INF", "-Inf", f"inf+1x{count}"])
    return draw.choice([str(number), f"{number}x{count}", f"{number}{step}x{count}", "_", f"_x{count + 1}", "stale"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"gen_ai.tokens", "gen_ai.request.model"="x", b="c"}',
         {"__name__": "gen_ai.tokens", "gen_ai.request.model": "x", "b": "c"}),
        ('m{"größe"=\'1\'}', {"__name__": "m", "größe": "1"}),
        ('{"only.a.name"}', {"__name__": "only.a.name"}),
        ('{"a.b"="c",}', {"a.b": "c"}),
    ],
)  # fmt: skip
def test_names_between_quotes_are_any_text(text: str, expected: dict[str, str]) -> None:
    """As in Prometheus 3."""
    assert labels(text) == expected
