"""Wording: phrases that are not plain technical English return neither to files that are read nor to names of tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.pages import ROOT

# Phrase -> what to write instead. Whole words, in any case, also across a line break.
BANNED = {
    "asked for": "requested",
    "asks for": "requests",
    "asked again": "requested again; evaluated again",
    "is asked": "is queried; is evaluated",
    "is told": "is notified; is reported",
    "are told": "are notified",
    "tells": "reports; shows",
    "told of": "notified of",
    "says so": "reports it",
    "it is so": "",
    "goes on": "continues",
    "go on": "continue",
    "has to": "must",
    "have to": "must",
    "had to": "must",
    "is up to people": "an operator decides",
    "must have peace": "",
    "what is usual": "the usual values",
    "well again": "recovered",
    "not well": "degraded",
    "is well": "is healthy",
    "for ever": "forever",
    "somebody": "an operator; a user",
    "a person": "an operator; a user",
    "begins anew": "starts over",
    "began anew": "started over",
    "mend": "fix",
    "mended": "fixed",
    "given up": "dead",
    "stand-in": "simulated; replacement",
    "looked at": "checked; evaluated",
    "let go": "released",
    "the former is in force": "the previous configuration stays in force",
    "judges nothing": "is inconclusive",
    "knows of": "has",
    "whoever": "anyone who",
    "of ours": "",
    "in peace": "",
    "a quarter of an hour": "15 minutes",
    "the page of the bridge": "the web interface",
    "time of an evaluation": "evaluation duration",
    "is there twice": "is defined twice",
    "does not go with": "cannot be combined with",
    "do not go with": "cannot be combined with",
    "goes with": "requires",
    "go together": "require each other; can be combined",
    "of yours": "your own",
    "two warm-ups": "twice the warm-up",
    "may take it": "may accept it",
    "takes the expression": "accepts the expression",
    "is no function": "is not a function",
    "is no latency": "is not a latency",
    "is no evidence": "is not evidence",
    "is no rule file": "is not a rule file",
    "length of time": "duration",
    "variables of the environment": "environment variables",
    "labelled windows": "ground truth",
    "belong into": "belong in",
    "belongs into": "belongs in",
    "is not built": "is not supported yet",
    "without some of its stores": "although some of its storage nodes do not respond",
    "would never hold": "never matches",
    "both versions": "the two versions",
    "refilled evenly": "on average",
}
# Words of test names -> what to write instead; between underscores, in any place.
BANNED_IN_NAMES = {
    "ask": "query; request",
    "asked": "queried; requested",
    "asks": "queries; requests",
    "believed": "accepted",
    "dies": "fails",
    "doubt": "warning",
    "doubts": "warnings",
    "gives_up": "abandons; times out",
    "given_up": "dead; abandoned",
    "go_on": "continue",
    "goes_on": "continues",
    "guest": "connection",
    "hands_on": "passes; inherits",
    "hears": "receives",
    "mistake": "error",
    "mistakes": "errors",
    "nobody": "no user; no model",
    "ours": "own",
    "people": "operators; users",
    "promise": "state",
    "promises": "states",
    "said": "reported; configured",
    "say": "report; have",
    "says": "has; names; shows",
    "somebody": "an operator; a user",
    "speaks": "reports",
    "strangers": "unknown clients",
    "tells": "reports; shows",
    "that_is_none": "invalid",
    "there_twice": "duplicate",
    "told": "reported",
    "what_is_no": "an invalid",
    "who_comes": "the first; the second",
}
NAME_PATTERN = re.compile(r"_(" + "|".join(BANNED_IN_NAMES) + r")(?=_|$)")
PATTERN = re.compile(r"\b(" + "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in BANNED) + r")\b", re.I)
GLOBS = (
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "compose.yaml", "Dockerfile", "mkdocs.yml",
    "tests/README.md", "grafana/**/*.yml", "grafana/kustomization.yaml",
    "docs/**/*.md", "docs/coordinator-openapi.json",
    "rules/**/*.yml", "rules/*.tmpl", "examples/**/*.yml",
    "examples/**/*.py", "grafana/README.md", "grafana/generator/*.py", "grafana/dashboards/*.json",
    "grafana/pictures/*.py", "scripts/*", "bridge/**/*.py", "bridge/web/templates/*.html", "bridge/web/static/*.js",
)  # fmt: skip
TEST_FILES = sorted((ROOT / "tests").rglob("test_*.py"))
FILES = sorted({path for glob in GLOBS for path in ROOT.glob(glob) if path.is_file()})


def banned_in(text: str) -> list[str]:
    """Return the banned phrases in a text, each with its replacement."""
    phrases = [" ".join(match.lower().split()) for match in PATTERN.findall(text)]
    return [f"{phrase!r}: write {BANNED[phrase] or 'something else'}" for phrase in dict.fromkeys(phrases)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_banned_phrase_is_used(path: Path) -> None:
    assert banned_in(path.read_text(encoding="utf-8")) == []


def banned_in_names(code: str) -> list[str]:
    """Return the test functions of a module whose names have a banned word, each with its replacement."""
    functions = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [
        f"{node.name}: write {BANNED_IN_NAMES[word]} for {word!r}"
        for node in functions
        if node.name.startswith("test_")
        for word in NAME_PATTERN.findall(node.name)
    ]


def test_names_of_tests_state_the_behaviour() -> None:
    """In the terms of the field; a name is what a newcomer reads first when a test fails."""
    assert len(TEST_FILES) > 400
    assert [item for path in TEST_FILES for item in banned_in_names(path.read_text(encoding="utf-8"))] == []


def test_a_planted_name_is_noticed() -> None:
    """Words within other words are allowed, and so are names of helpers."""
    assert banned_in_names("def test_what_is_no_url_says_so(): ...") == [
        "test_what_is_no_url_says_so: write an invalid for 'what_is_no'",
        "test_what_is_no_url_says_so: write has; names; shows for 'says'",
    ]
    assert banned_in_names("def test_a_task_is_masked(): ...\n\ndef asks(): ...") == []


def test_every_pattern_finds_files() -> None:
    assert [glob for glob in GLOBS if not list(ROOT.glob(glob))] == []
    assert len(FILES) > 100


def test_a_planted_phrase_is_noticed() -> None:
    assert banned_in("The model was asked\n  for by the rule, which tells people.") == [
        "'asked for': write requested",
        "'tells': write reports; shows",
    ]
    assert banned_in("Who is Told?") == ["'is told': write is notified; is reported"]
    assert banned_in("The rule requested a retraining and notified the operator.") == []
