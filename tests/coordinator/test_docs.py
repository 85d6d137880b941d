"""docs/coordinator.md matches the code."""

from __future__ import annotations

import re
from pathlib import Path

from bridge.coordinator.alertmanager import parse_notification
from bridge.coordinator.config import CoordinatorConfig, load_config
from bridge.coordinator.openapi import document
from bridge.coordinator.runner import environment
from tests.coordinator.conftest import Start
from tests.support.coordinator import ID

PAGE = (Path(__file__).parents[2] / "docs" / "coordinator.md").read_text(encoding="utf-8")


def test_every_key_has_its_line() -> None:
    for key in CoordinatorConfig.model_fields:
        assert re.search(rf"^\| `{key}` \|", PAGE, re.MULTILINE), key


def test_the_example_is_accepted_and_shows_the_defaults(tmp_path: Path) -> None:
    """Documented defaults are correct."""
    [block] = re.findall(r"```yaml\n# coordinator\.yml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "coordinator.yml"
    file.write_text(block)
    written, default = load_config(file), CoordinatorConfig()
    shown = {line.partition(":")[0] for line in block.splitlines()} - {"command", "bridge_url", "storage"}
    assert {key: getattr(written, key) for key in shown} == {key: getattr(default, key) for key in shown}
    assert written.storage == tmp_path / default.storage


def test_every_call_is_listed() -> None:
    for path in document()["paths"]:
        named = path.replace("{request_id}", "{id}")
        assert f"{named}`" in PAGE or f"{named}?" in PAGE, path


def test_every_metric_has_its_line(start: Start) -> None:
    _, client = start()
    families = re.findall(r"^# TYPE (\S+) (\S+)$", client.call("GET", "/metrics").text, re.MULTILINE)
    names = {name: kind for name, kind in families if not name.endswith("_created")}
    assert len(names) == 7
    for name, kind in names.items():
        assert f"| `{name}` | {kind} |" in PAGE, name


def test_every_variable_of_the_command_is_named(start: Start) -> None:
    coordinator, client = start()
    client.submit()
    record = coordinator.get(ID)
    assert record is not None
    for name in environment(record):
        assert f"`{name}`" in PAGE, name


def test_every_reason_to_ignore_an_alert_is_named() -> None:
    source = Path(parse_notification.__code__.co_filename).read_text()
    for reason in ("resolved", "no_request_id", "other_alert", "invalid", "truncated"):
        assert f'"{reason}"' in source
        assert reason in PAGE
