"""The pages of docs/orchestrators agree with the presets; tests/orchestrators runs the code of three of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.sinks.runs.config import DEFAULT_PARAMETERS, RunConfig
from bridge.sinks.runs.presets import presets
from tests.support.pages import ROOT, blocks, fences

FOLDER = ROOT / "docs" / "orchestrators"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "README.md")
ROW = re.compile(r"^\| [^|]+ \| `(\w+)` \| `(\w+)`[^|]*\| ([^|]+) \|", re.MULTILINE)


def entry(page: Path) -> dict[str, Any]:
    """The entry of run_configs on a page."""
    (text,) = [text for text in blocks(page, "yaml") if "run_configs" in text]
    found: dict[str, Any] = yaml.safe_load(text)["receivers"][0]["run_configs"][0]
    return found


def test_the_table_lists_every_preset_with_its_guarantee() -> None:
    """And says which of them were run against a real server."""
    said = {
        name: (guarantee, tested.startswith("a real"))
        for name, guarantee, tested in ROW.findall((FOLDER / "README.md").read_text())
    }
    real = {name: (str(one.entry["guarantee"]), bool(one.proven)) for name, one in presets().items()}
    assert said == real


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_states_whether_its_preset_is_proven(page: Path) -> None:
    """As check does."""
    proven = presets()[entry(page)["preset"]].proven
    assert ("`unproven`" in page.read_text().partition("## ")[0]) != bool(proven)


@pytest.mark.parametrize("name", ["prefect", "databricks", "github-actions", "argo-workflows"])
def test_the_pipeline_takes_the_parameters_that_the_bridge_sends(name: str) -> None:
    """By their names; the other pages take all of them at once."""
    page = FOLDER / f"{name}.md"
    code = next(text for _, text in fences(page) if "run_configs" not in text)
    assert [key for key in DEFAULT_PARAMETERS if not re.search(rf"\b{key}\b", code)] == []


def test_the_workflow_of_github_has_the_title_that_the_preset_looks_for() -> None:
    """Or no run would be found."""
    page = FOLDER / "github-actions.md"
    workflow = yaml.safe_load(blocks(page, "yaml")[0])
    lookup = RunConfig.model_validate(entry(page)).lookup
    assert lookup is not None
    (wanted,) = lookup.match.values()
    assert workflow["run-name"].replace("${{ inputs.episode }}", "{{ .ID }}") == wanted


def test_the_template_of_argo_returns_what_the_preset_reads() -> None:
    """A global output parameter."""
    template = yaml.safe_load(blocks(FOLDER / "argo-workflows.md", "yaml")[0])
    outputs = template["spec"]["templates"][0]["outputs"]["parameters"]
    status = RunConfig.model_validate(entry(FOLDER / "argo-workflows.md")).status
    assert status is not None
    assert f"name=='{outputs[0]['globalName']}'" in status.model_version
