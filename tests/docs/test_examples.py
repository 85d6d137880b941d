"""Every YAML example of every page passes the real check. What it is says its first line, or its top-level keys."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from bridge.authoring.check.check import check_config, check_rules
from bridge.cli.check import check_rules_command
from bridge.coordinator.config import load_config
from bridge.web.http.web_config import load_web_config
from tests.support.pages import ROOT, blocks, pages

# It names the strategy that the page writes: tests/integration/test_plugin.py installs and checks both.
ELSEWHERE = frozenset({"docs/strategies/writing.md"})
EXAMPLES = {
    f"{page.relative_to(ROOT)} {number}": text
    for page in pages()
    if str(page.relative_to(ROOT)) not in ELSEWHERE
    for number, text in enumerate(blocks(page, "yaml"), 1)
}
SECRETS = {"secret_file": f"whsec_{'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3'}", "token_file": "0123456789abcdef"}


def files_beside(text: str, folder: Path) -> None:
    """The secrets that the coordinator reads when it starts, under the names of the example."""
    for key, name in re.findall(r"\b(secret_file|token_file): *([\w./-]+)", text):
        (folder / name).write_text(f"{SECRETS[key]}\n")


def rule_files_beside(text: str, folder: Path) -> str:
    """A good rule file for every pattern; the text with absolute patterns made relative."""
    for pattern in (yaml.safe_load(text) or {}).get("rule_files", ()):
        text = text.replace(pattern, pattern.lstrip("/"))
        file = folder / pattern.lstrip("/").replace("**", "all").replace("*", "good")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("groups: []\n")
    return text


def said_by(*command: str) -> str:
    """What a tool of Prometheus says of a file that it refuses."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def problem(text: str, folder: Path) -> str:
    """What is wrong with an example; ConfigError, too, when a loader refuses it."""
    file, kind = folder / "example.yml", text.partition("\n")[0].strip()
    file.write_text(text)
    if kind == "# fragment" or kind.startswith("# tests/"):
        yaml.safe_load(text)
    elif kind == "# coordinator.yml":
        files_beside(text, folder)
        load_config(file)
    elif kind in {"# web-config.yml", "# web.yml"}:
        load_web_config(file)
    elif kind == "# alertmanager.yml":
        return said_by("amtool", "check-config", str(file))
    elif kind == "# prometheus.yml":
        return said_by("promtool", "check", "config", "--syntax-only", str(file))
    elif kind == "# values.yaml":
        helm = str(Path(sys.executable).parent / "helm")
        return said_by(helm, "template", "bridge", str(ROOT / "charts/retrain-bridge"), "--values", str(file))
    elif re.search(r"^groups:", text, re.MULTILINE):
        return "\n".join(map(str, check_rules([file])))
    else:
        file.write_text(rule_files_beside(text, folder))
        return "\n".join(map(str, check_config(file)))
    return ""


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_is_accepted(name: str, tmp_path: Path) -> None:
    """By the check of what it is: bridge.yml, a rule file, or another program's."""
    assert problem(EXAMPLES[name], tmp_path) == ""


def test_examples_are_found() -> None:
    """Of the pages that live by them."""
    named = {name.partition(" ")[0] for name in EXAMPLES}
    assert {"README.md", "docs/configuration.md", "docs/rules.md", "docs/sinks/webhook.md"} < named


def test_the_page_shows_the_output_of_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/rules.md: a file with mistakes, and the output for it, word for word."""
    wrong, said = blocks(ROOT / "docs" / "rules.md", "text")
    (tmp_path / "rules.yml").write_text(wrong)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(typer.Exit):
        check_rules_command([Path("rules.yml")])
    assert capsys.readouterr().err == said
