"""Output of commands: escaped control characters, and failed queries."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from bridge import cli
from bridge.cli.output import warn_of_silence
from bridge.coordinator.__main__ import main as coordinator
from bridge.domain.errors import SourceError
from bridge.sources.patience import WITHOUT
from tests.support.receiver import Receiver, Reply

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b1A\rdone\u202e\nroot# "
DRIVES = set("\x1b\x07\x9b\r\u202e\x00\x7f")
CHECK = {"name": EVIL, "passed": True, "text": EVIL}
EXPLAINED = {
    "rule": EVIL, "slot": EVIL, "answer": EVIL, "checks": [CHECK], "repeat": [EVIL], "recomputed": True, "helped": EVIL,
    "detects": EVIL,
}  # fmt: skip
REQUEST = dict.fromkeys(
    (
        "id", "project", "pipeline", "version", "state", "triggered_at", "reason", "hold", "hold_until", "ended_at",
        "verdict", "until", "scope", "who", "at", "note",
    ),
    EVIL,
)  # fmt: skip
PAUSE = REQUEST | {"project": "", "pipeline": ""}
MODEL = {"state": EVIL, "last_request_at": EVIL, "signals": []}
CASES: list[tuple[list[str], Any]] = [
    (["explain", "a/b/c"], {"explanations": [EXPLAINED], "models": [MODEL]}),
    (["explain", "a/b/c", "--output=json"], {"explanations": [EXPLAINED], "models": [MODEL]}),
    (["requests", "list"], {"requests": [REQUEST | {"acts": []}], "next": None}),
    (["requests", "show", "x", "-o", "json"], REQUEST),
    (["requests", "approve", "x"], REQUEST),
    (["requests", "create", "--project=a", "--pipeline=b", "--version=c", "--reason=d"], REQUEST | {"models": [MODEL]}),
    (["pause", "--project=a"], REQUEST | {"models": [MODEL]}),
    (["pause", "list"], {"pauses": [REQUEST]}),
    (["resume"], REQUEST | {"pauses": [PAUSE, REQUEST]}),
]


def printed(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[str, str]:
    """Return standard output and standard error of a command."""
    monkeypatch.setattr(sys, "argv", ["retrain-bridge", *words])
    with pytest.raises(SystemExit):
        cli.main()
    return capfd.readouterr()


def harmless(text: str) -> bool:
    return not DRIVES & set(text) and not any(line.startswith("root#") for line in text.splitlines())


@pytest.mark.parametrize(("words", "data"), CASES, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_answers_of_a_bridge_are_printed_harmlessly(
    words: list[str], data: object, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Model names and reasons come from labels and annotations."""
    body = json.dumps({"status": "success", "data": data}).encode()
    with Receiver(Reply(200, body)) as server:
        out, err = printed(capfd, monkeypatch, *words, f"--bridge.url={server.url}")
    assert "owned" in out
    assert err == ""
    assert not DRIVES & set(out)
    assert harmless(out) or words == ["explain", "a/b/c"]  # a command to copy keeps its lines


def test_refusals_are_printed_harmlessly(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may be untrusted."""
    body = json.dumps({"status": "error", "detail": EVIL}).encode()
    with Receiver(Reply(409, body)) as server:
        out, err = printed(capfd, monkeypatch, "requests", "show", "x", f"--bridge.url={server.url}")
    assert out == ""
    assert "owned" in err
    assert not DRIVES & set(err)


def test_problems_of_files_are_printed_harmlessly(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The rule file may come from another team."""
    rules = {"groups": [{"name": "a", "rules": [{"retrain": "A", "expr": "up", "labels": {EVIL: "x"}, EVIL: 1}]}]}
    (tmp_path / "rules.yml").write_text(json.dumps(rules))
    for words in (["check", "rules"], ["check", "rules", "--output=json"]):
        out, err = printed(capfd, monkeypatch, *words, str(tmp_path / "rules.yml"))
        assert "owned" in out + err
        assert harmless(out + err)


def test_the_plain_coordinator_logs_harmlessly(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Its configuration and its log fields."""
    (tmp_path / "c.yml").write_text(json.dumps({EVIL: 1}))
    handlers = logging.root.handlers[:]
    try:
        assert coordinator(["--config.file", str(tmp_path / "c.yml")]) == 1
        logging.getLogger("x").warning("took %s", EVIL, extra={"project": EVIL})
    finally:
        logging.root.handlers[:] = handlers
    err = capfd.readouterr().err
    assert err.count("owned") >= 3
    assert not DRIVES & set(err)


@pytest.mark.parametrize(("reason", "printed"), [("timeout", "query failed: no answer\n"), ("network", "")])
def test_only_what_takes_its_time_is_reported_at_once(
    capsys: pytest.CaptureFixture[str], reason: str, printed: str
) -> None:
    """A refused connection is the error of the command, and would be printed twice."""
    warn_of_silence(SourceError("no answer", reason=reason, transient=True), WITHOUT)
    assert capsys.readouterr().err == printed
