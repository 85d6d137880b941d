"""Commands `config show` and `config changes`."""

from __future__ import annotations

import json

from bridge.domain.config_change import ConfigChange, ConfigEvent
from bridge.domain.times import rfc3339
from tests.cli.conftest import Command
from tests.support.fake_views import AT
from tests.support.web import Site


def test_the_configuration_in_force_is_printed(command: Command, site: Site) -> None:
    """As the status page shows it."""
    assert command("config", "show") == (0, "prometheus: {url: http://localhost:9090}\n", "")


def test_changes_are_listed_newest_first(command: Command, site: Site) -> None:
    """With the event, and the difference or why it was not applied."""
    assert command("config", "changes")[:2] == (0, "no change since the first start with this database\n")
    site.queries.changes = [
        ConfigChange(AT + 2000, "", "rules.yml:3: unknown key\n1 problem found"),
        ConfigChange(AT + 1000, "--- rules.yml\n+++ rules.yml\n@@ -1 +1 @@\n-a\n+b\n"),
        ConfigChange(AT, "", event=ConfigEvent.START, replica="b"),
    ]  # fmt: skip
    assert command("config", "changes")[1].splitlines() == [
        f"{rfc3339(AT + 2000)}, reload: not applied:", "rules.yml:3: unknown key", "1 problem found",
        f"{rfc3339(AT + 1000)}, reload:", "--- rules.yml", "+++ rules.yml", "@@ -1 +1 @@", "-a", "+b",
        f"{rfc3339(AT)}, start of b: no difference",
    ]  # fmt: skip
    listed = json.loads(command("config", "changes", "-o", "json")[1])
    assert listed[2] == {"at": rfc3339(AT), "event": "start", "diff": "", "error": None, "replica": "b"}
