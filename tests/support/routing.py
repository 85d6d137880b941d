"""The shipped example of alertmanager.yml, with its receivers on this machine and its times short."""

from __future__ import annotations

import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from bridge.domain.times import rfc3339
from tests.support.grafana import ROOT
from tests.support.processes import wait_until
from tests.support.receiver import Receiver, Reply
from tests.support.servers import Alertmanager, alertmanager, http

EXAMPLE, TEMPLATES = ROOT / "rules" / "alertmanager.example.yml", ROOT / "rules" / "alertmanager.example.tmpl"
Json = dict[str, Any]
FAST = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}


@dataclass
class Desk:
    """A running Alertmanager, and what its receivers got. url: of Alertmanager."""

    server: Alertmanager
    hook: Receiver

    def post(self, name: str, *, seconds: float = 300, remarks: Mapping[str, str] | None = None, **labels: str) -> Json:
        """An alert that fires, for `seconds` from now (0: it is over). remarks: more annotations."""
        now = time.time_ns() // 1_000_000
        alert = {
            "labels": {"alertname": name, **labels}, "startsAt": rfc3339(now - 1), "generatorURL": "http://bridge/r/1",
            "endsAt": rfc3339(now + int(seconds * 1000)),
            "annotations": {"summary": f"{name} summary", "description": "drift 0.7 above 0.6", **(remarks or {})},
        }  # fmt: skip
        status, text = http("POST", f"{self.server.url}/api/v2/alerts", [alert])
        assert status == 200, text
        return alert

    def request(self, request_id: str = "id-1", **labels: str) -> Json:
        """ModelRetrainRequested of shop/ranking/7."""
        model: dict[str, Any] = {"project": "shop", "pipeline": "ranking", "version": "7"}
        return self.post("ModelRetrainRequested", rule="Drifted", retrain_request_id=request_id, **{**model, **labels})

    def silence(self, seconds: float) -> None:
        """Cover everything of shop for so long."""
        now = time.time_ns() // 1_000_000
        body = {
            "matchers": [{"name": "project", "value": "shop", "isRegex": False, "isEqual": True}], "createdBy": "ada",
            "startsAt": rfc3339(now), "endsAt": rfc3339(now + int(seconds * 1000)), "comment": "planned work",
        }  # fmt: skip
        status, text = http("POST", f"{self.server.url}/api/v2/silences", body)
        assert status == 200, text

    def told(self) -> Mapping[str, list[Json]]:
        """Receiver -> its messages, the oldest first."""
        found: dict[str, list[Json]] = defaultdict(list)
        for got in list(self.hook.requests):
            found[got.path.strip("/")].append(got.json())
        return found

    def wait(self, receiver: str, count: int = 1, limit: float = 15) -> list[Json]:
        """Its messages once there are so many."""
        wait_until(lambda: len(self.told()[receiver]) >= count, limit, f"{count} of {receiver}: {self.told()}")
        return self.told()[receiver]


def ids(message: Json) -> list[str]:
    """The requests in a webhook's message."""
    return sorted(alert["labels"]["retrain_request_id"] for alert in message["alerts"])


def example(url: str, times: Mapping[str, str], *, coordinator: str = "") -> Json:
    """The example with every receiver at `url`/<its name>, but the machine at `coordinator`."""
    config: Json = yaml.safe_load(EXAMPLE.read_text())
    for route in (config["route"], *config["route"]["routes"]):
        route.update({key: value for key, value in {**FAST, **times}.items() if key in route})
    for receiver in config["receivers"]:
        for webhook in receiver.get("webhook_configs", []):
            webhook["url"] = coordinator or f"{url}/{receiver['name']}"
        for slack in receiver.get("slack_configs", []):
            del slack["api_url_file"]
            slack["api_url"] = f"{url}/{receiver['name']}"
    config["templates"] = [str(TEMPLATES)]
    return config


@contextlib.contextmanager
def desk(**times: str) -> Iterator[Desk]:
    """The example at work. times: other than FAST, for all routes that set them."""
    with Receiver(Reply(body=b"ok")) as hook, alertmanager(json.dumps(example(hook.url, times))) as server:
        yield Desk(server, hook)
