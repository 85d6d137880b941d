"""The bridge put together: a Prometheus and a receiver on real sockets, a store in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.app.wiring import Bridge, Options
from bridge.config.load import BridgeConfig, load
from bridge.ports import RequestFilter
from bridge.store.memory import MemoryStore
from tests.support.bridge import drift_rules, write_config
from tests.support.failing_store import FailingStore
from tests.support.processes import wait_until
from tests.support.receiver import Receiver, Reply


def prometheus(value: float) -> Receiver:
    """A Prometheus with one drifting series, of a model that nothing else reports."""
    labels = {"project": "shop", "pipeline": "ranking", "version": "7"}
    result = [{"metric": labels, "value": [1_700_000_000, str(value)]}]
    body = {"status": "success", "data": {"resultType": "vector", "result": result}}
    return Receiver(Reply(200, json.dumps(body).encode(), {"Content-Type": "application/json"}))


@contextmanager
def built(folder: Path, url: str, hook: str, store: MemoryStore) -> Iterator[tuple[Bridge, list[BridgeConfig]]]:
    """A bridge that is started, and the configurations that it rescheduled."""
    write_config(folder, url, drift_rules(), {"webhook_configs": [{"url": hook}]})
    config, rescheduled = load(folder / "bridge.yml"), list[BridgeConfig]()
    bridge = Bridge(Options(folder / "bridge.yml"), config, store, rescheduled=rescheduled.append)
    try:
        assert bridge.queries.ready() == (False, "starting")
        bridge.start()
        yield bridge, rescheduled
    finally:
        bridge.stop()
    assert bridge.queries.ready() == (False, "stopping")


def group_of(bridge: Bridge) -> str:
    ((name, _, _),) = bridge.queries.group_times()
    return name


def test_evaluate_sends_a_request_to_the_receiver(tmp_path: Path) -> None:
    """From the answer of Prometheus to the webhook, and into the metrics."""
    store = MemoryStore()
    with prometheus(0.9) as source, Receiver(Reply(200)) as hook, built(tmp_path, source.url, hook.url, store) as (
        bridge, _,
    ):  # fmt: skip
        assert bridge.queries.ready() == (True, "")
        bridge.evaluate(group_of(bridge))
        wait_until(lambda: hook.requests, 60, "the webhook")
        (record,) = store.requests(RequestFilter())
        assert record.id in hook.requests[0].body.decode()
        assert "retrain_bridge_config_last_reload_successful 1.0" in bridge.telemetry.render(0).decode()


def test_evaluate_reports_a_store_that_fails_and_recovers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FailingStore()
    with prometheus(0.9) as source, Receiver(Reply(200)) as hook, built(tmp_path, source.url, hook.url, store) as (
        bridge, _,
    ):  # fmt: skip
        store.refuses = True
        bridge.evaluate(group_of(bridge))
        assert "evaluation was not stored; it will be repeated" in caplog.text
        assert "Traceback" not in caplog.text
        assert "disk full" in bridge.queries.ready()[1]
        store.refuses = False
        bridge.store_watch.check()
        assert bridge.queries.ready() == (True, "")


def test_reload_applies_the_new_files(tmp_path: Path) -> None:
    with (
        prometheus(0.1) as source,
        Receiver(Reply(200)) as hook,
        built(tmp_path, source.url, hook.url, MemoryStore()) as (bridge, rescheduled),
    ):
        rules = json.loads((tmp_path / "rules.yml").read_text())
        rules["groups"][0]["name"] = "renamed"
        (tmp_path / "rules.yml").write_text(json.dumps(rules))
        assert bridge.reload().ok
        assert group_of(bridge) == "renamed"
        assert [config.groups[0].name for config in rescheduled] == ["renamed"]
        (change,) = bridge.queries.config_changes()
        assert "renamed" in change.diff


def test_reload_with_an_error_keeps_the_configuration(tmp_path: Path) -> None:
    with (
        prometheus(0.1) as source,
        Receiver(Reply(200)) as hook,
        built(tmp_path, source.url, hook.url, MemoryStore()) as (bridge, rescheduled),
    ):
        before = group_of(bridge)
        (tmp_path / "rules.yml").write_text("groups: [{nme: x}]")
        result = bridge.reload()
        assert not result.ok
        assert "unknown key 'nme'" in result.message
        assert (group_of(bridge), rescheduled) == (before, [])
        assert [change.error for change in bridge.queries.config_changes()] == [result.message]
        assert "retrain_bridge_config_last_reload_successful 0.0" in bridge.telemetry.render(0).decode()
