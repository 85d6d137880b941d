"""Sinks of receivers, and routing to destinations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.app.routing import Routes, build_sinks, close_all
from bridge.config.load import load
from bridge.store.memory import MemoryStore

CONFIG = """
global: {external_labels: {cluster: eu1}}
prometheus: {url: http://localhost:9090}
route:
  receiver: coordinator
  routes:
  - {matchers: ['severity="page"', 'cluster="eu1"'], receiver: on call, continue: true}
  - {matchers: ['team="search"'], receiver: hooks}
receivers:
- name: coordinator
  coordinator_configs: [{url: http://localhost:8090}]
- name: on call
  alertmanager_configs: [{url: http://localhost:9093}, {url: http://localhost:9094}]
  webhook_configs: [{url: http://localhost:9000/hook, send_resolved: false}]
- name: hooks
  webhook_configs: [{url: http://localhost:9000/hook}]
  log_configs: [{}]
"""


@pytest.fixture
def routes(tmp_path: Path) -> Iterator[Routes]:
    file = tmp_path / "bridge.yml"
    file.write_text(CONFIG)
    config = load(file)
    built = build_sinks(config, "http://localhost:9095", MemoryStore())
    yield Routes(config.route, built, config.global_.external_labels)
    close_all(built)


def test_every_entry_is_a_destination_counted_per_integration(routes: Routes) -> None:
    """Each address of a cluster has its own queue."""
    way = routes.recipients({"severity": "page"})
    assert way.receivers == ("on call",)
    assert way.destinations == ("on call/alertmanager/0", "on call/alertmanager/1", "on call/webhook/0")


def test_what_no_route_takes_goes_to_the_root(routes: Routes) -> None:
    """As in Alertmanager."""
    assert routes.recipients({"severity": "info"}).destinations == ("coordinator/coordinator/0",)


def test_continue_adds_the_next_sibling(routes: Routes) -> None:
    """Both receivers get the request."""
    assert routes.recipients({"severity": "page", "team": "search"}).receivers == ("on call", "hooks")


def test_only_coordinators_report_the_end_of_a_request(routes: Routes) -> None:
    """Only then does a request stay open after its episode."""
    assert routes.tracked(["on call/webhook/0", "coordinator/coordinator/0"]) is True
    assert routes.tracked(["on call/alertmanager/0", "removed/coordinator/0"]) is False


def test_webhooks_receive_the_end_unless_they_do_not_want_it(routes: Routes) -> None:
    """send_resolved is true by default."""
    wanted = [routes.wants_resolved(place) for place in ("hooks/webhook/0", "on call/webhook/0", "gone/webhook/0")]
    assert wanted == [True, False, False]


def test_requests_that_the_routes_cannot_tell_apart_share_their_recipients(routes: Routes) -> None:
    """Others do not, however many there were before."""
    first = routes.recipients({"team": "search", "pipeline": "a"})
    assert routes.recipients({"team": "search", "pipeline": "b"}) is first
    for number in range(3000):
        routes.recipients({"team": f"team {number}"})
    assert routes.recipients({"team": "search"}) == first
    assert routes.recipients({"team": "search", "severity": "page"}).receivers == ("on call", "hooks")
