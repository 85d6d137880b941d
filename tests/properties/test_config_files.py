"""Whatever is in the files: a configuration, or an error that names places; never a crash."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.config.load import BridgeConfig, load
from bridge.domain.errors import ConfigError
from bridge.domain.matchers import Matcher
from bridge.domain.times import parse_duration
from bridge.files.yaml import Document, parse
from bridge.templates.alert import AlertTemplate
from bridge.templates.prometheus import Context
from bridge.templates.values import AlertData

GOOD = Path(__file__).parents[1] / "data" / "good"
BRIDGE, RULES = (GOOD / "bridge.yml").read_text(), (GOOD / "rules" / "serving.yml").read_text()
PIECES = [
    "- ", ": ", "\n", "  ", "{", "}", "[", "]", "&a ", "*a", "!!", "'", '"', "|", ">", "#", "%", "? ", "<<", "---\n",
    "groups", "rules", "name", "expr", "retrain", "signals", "strategy", "threshold", "max", "for", "5m", "1.10",
    "null", "yes", ".nan", "\t", "é", "\x07", "\\ud800", "\ufeff", "$value", "{{", "}}", "1e999",
]  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["5m", "-1s", "0", "a=b", ""]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def outcome(bridge: str | bytes, rules: str | bytes) -> BridgeConfig | ConfigError:
    """What `load` makes of the two files; what it raises besides ConfigError fails the test."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rules").mkdir()
        for path, content in ((folder / "bridge.yml", bridge), (folder / "rules" / "a.yml", rules)):
            path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        try:
            return load(folder / "bridge.yml")
        except ConfigError as error:
            return error


def check(result: BridgeConfig | ConfigError) -> None:
    """An error names file and line and says something; a configuration holds only what can run."""
    if isinstance(result, ConfigError):
        assert result.problems
        # A glob of rule_files may match the folder of the rules.
        named = {Path(problem.file).name for problem in result.problems}
        assert named <= {"bridge.yml", "a.yml", "rules"}, named
        assert all(problem.message for problem in result.problems)
        assert "pydantic" not in str(result)
        return
    json.dumps(result.redacted()).encode()
    for group in result.groups:
        assert group.interval > 0
        for rule in group.rules:
            assert rule.query in group.queries
            assert all(AlertTemplate(text).text == text for text in rule.annotations.values())
            json.dumps(dict(rule.labels), ensure_ascii=False).encode()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=40).map("".join), st.booleans())
def test_any_text_is_read_or_refused(text: str, as_rules: bool) -> None:
    """Made of YAML's own signs and words of ours."""
    check(outcome(BRIDGE, text) if as_rules else outcome(text, RULES))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """A file need not be text."""
    check(outcome(BRIDGE, data))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_piece_cut_out_or_put_in_is_read_or_refused(data: st.DataObject) -> None:
    """Slips of an editor in good files."""
    which = data.draw(st.booleans())
    text = RULES if which else BRIDGE
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    changed = text[:start] + data.draw(st.sampled_from(["", *PIECES])) + text[end:]
    check(outcome(BRIDGE, changed) if which else outcome(changed, RULES))


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every value inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in items for place in ((*here, key), *places(item, (*here, key)))]


def test_a_pattern_that_matches_a_folder_names_the_folder() -> None:
    """`*` matches bridge.yml and the folder beside it."""
    result = outcome(BRIDGE.replace("rules/*.yml", "'*'"), RULES)
    assert isinstance(result, ConfigError)
    assert [Path(problem.file).name for problem in result.problems] == ["bridge.yml", "rules"]
    check(result)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_value_in_any_place_is_read_or_refused(data: st.DataObject) -> None:
    """Good files with one to three values, keys or elements replaced, renamed or left out."""
    trees = {name: yaml.safe_load(text) for name, text in (("bridge", BRIDGE), ("rules", RULES))}
    for _ in range(data.draw(st.integers(1, 3))):
        tree = trees[data.draw(st.sampled_from(sorted(trees)))]
        if not tree:
            continue
        *way, key = data.draw(st.sampled_from(places(tree)))
        holder = tree
        for step in way:
            holder = holder[step]
        change = data.draw(st.sampled_from(["replace", "rename", "remove", "repeat"]))
        if change == "remove":
            del holder[key]
        elif change == "replace":
            holder[key] = data.draw(VALUES)
        elif change == "rename" and isinstance(holder, dict):
            holder[data.draw(st.text(max_size=6))] = holder.pop(key)
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
    check(outcome(*(json.dumps(trees[name]) for name in ("bridge", "rules"))))


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=8) | st.booleans(), max_size=4))
def test_json_is_read_as_what_it_is(values: dict[str, Any]) -> None:
    """YAML 1.2 holds JSON: numbers, texts and booleans come back as they are, unless no store could hold them."""
    document = parse(json.dumps(values), Document("a.yml"))
    unusable = any("\0" in text or any("\ud800" <= one <= "\udfff" for one in text)
                   for item in values.items() for text in item if isinstance(text, str))  # fmt: skip
    assert bool(document.problems) == unusable
    if not unusable:
        assert document.value == values


@given(st.text(max_size=12), st.text(max_size=12))
def test_a_quoted_value_matches_itself(value: str, other: str) -> None:
    """Whatever is in it, a printed matcher is the same matcher."""
    matcher = Matcher("a", "=", value)
    assert Matcher.parse(str(matcher)) == matcher
    assert matcher.matches({"a": other}) is (value == other)


@given(
    st.lists(
        st.sampled_from(["{{", "}}", " ", "$value", "$labels.a", "|", "humanize", "-", "x", "\n"]), max_size=12
    ).map("".join)
)
def test_a_template_renders_or_is_refused(text: str) -> None:
    """When it is read, not when an alert fires."""
    try:
        template = AlertTemplate(text)
    except ValueError:
        return
    context = Context(0, "", lambda expr, at: [])
    assert isinstance(template.expand_or_tell(AlertData({"a": "b"}, {}, "", 0.5), context), str)


@given(st.text(max_size=12))
def test_a_duration_is_parsed_or_refused(text: str) -> None:
    """Never anything else."""
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    assert duration >= 0
