"""Rules over two real Prometheus servers in one configuration: live, checked, explained, replayed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridge.authoring.backtest.backtest import of_config, of_rules
from bridge.authoring.check import online_lint
from bridge.authoring.check.check import check_config
from bridge.authoring.check.online import ask_prometheus
from bridge.config.load import load
from bridge.domain.batch import EventBatch
from bridge.domain.errors import ConfigError, SourceError
from bridge.domain.model import ModelTable
from bridge.sources.servers import PrometheusServers
from tests.support.bridge import REMOTE_WRITE, bridge
from tests.support.processes import wait_until
from tests.support.remote_write import remote_write
from tests.support.servers import Prometheus, http, prometheus

VALUES = {"near": 0.2, "far": 0.9}
RULES: dict[str, Any] = {
    "groups": [
        {
            "name": "near", "interval": "1s",
            "signals": {
                "drift": {"event": "drift", "expr": "drift"},
                "elsewhere": {"event": "drift", "expr": "drift", "prometheus_server": "far"},
            },
            "rules": [
                {"retrain": "Near", "signal": "drift", "strategy": {"threshold": {"max": 0.5}}},
                {"retrain": "Elsewhere", "signal": "elsewhere", "strategy": {"threshold": {"max": 0.5}}, "for": "1h"},
            ],
        },
        {
            "name": "far", "interval": "1s", "prometheus_server": "far",
            "rules": [
                {
                    "retrain": "Far", "expr": "drift > 0.5",
                    "annotations": {"summary": '{{ with query "sum(drift)" }}{{ . | first | value }}{{ end }}'},
                },
            ],
        },
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Prometheus]]:
    """Two servers with the same series and other values, from 20 s ago to 5 minutes from now."""
    with prometheus(flags=[REMOTE_WRITE]) as near, prometheus(flags=[REMOTE_WRITE]) as far:
        found = {"near": near, "far": far}
        begins = int(time.time()) * 1000 - 20_000
        for name, value in VALUES.items():
            labels = {"__name__": "drift", "project": "shop", "pipeline": "fraud", "version": "1"}
            samples = [(begins + second * 1000, value) for second in range(320)]
            remote_write(found[name].url, [(labels, samples)])
        yield found


def config(servers: dict[str, Prometheus], folder: Path, rules: dict[str, Any] = RULES, **far: object) -> Path:
    """Write bridge.yml and its rules."""
    whole = {
        "global": {"evaluation_interval": "1s", "query_offset": "0s"},
        "prometheus": {"url": servers["near"].url},
        "prometheus_servers": {"far": {"url": servers["far"].url, **far}},
        "rule_files": ["rules.yml"], "route": {"receiver": "team"},
        "receivers": [{"name": "team", "log_configs": [{}]}],
    }  # fmt: skip
    (folder / "rules.yml").write_text(json.dumps(rules))
    (folder / "bridge.yml").write_text(json.dumps(whole))
    return folder / "bridge.yml"


def test_each_signal_is_read_from_its_server(servers: dict[str, Prometheus], tmp_path: Path) -> None:
    """By its own key, by its group's, and by default from `prometheus`; at an instant and over time."""
    loaded = load(config(servers, tmp_path))
    now = int(time.time()) * 1000
    queries = {name: query for group in loaded.groups for name, query in group.queries.items()}
    wanted = {"drift": VALUES["near"], "elsewhere": VALUES["far"], "Far": VALUES["far"]}

    def value(batch: EventBatch) -> float:
        return float(batch.columns["value"][0])

    with closing(PrometheusServers(loaded.servers, ModelTable(), tmp_path)) as source:
        assert {name: value(source.instant(query, now, now)) for name, query in queries.items()} == wanted
        past = range(now - 10_000, now, 1000)
        walked = source.chunks(list(queries.values()), past, 0)
        chunks = {name: list(walk) for name, walk in zip(queries, walked, strict=True)}
        read = {
            name: {value(item.batch(n)) for item in found for n in range(len(item.slots))}
            for name, found in chunks.items()
        }
        assert read == {name: {number} for name, number in wanted.items()}
        assert source.evaluate("drift", now, "far")[0].value == VALUES["far"]


def test_running_bridge_uses_both_and_names_the_server(servers: dict[str, Prometheus]) -> None:
    """Requests of the far server only; templates query the group's server; metrics count by server."""
    with bridge(servers["near"].url, RULES, {"log_configs": [{}]}) as process:
        config(servers, process.folder)
        process.start()
        rules = {"Elsewhere", "Far"}
        wait_until(lambda: {item["rule"] for item in process.decisions()} == rules, 60, process.program.log)
        wait_until(process.requests, 60, process.program.log)
        (far,) = process.requests()
        assert far["rule"] == "Far"
        assert far["annotations"]["summary"] == "0.9"
        text = http("GET", f"{process.url}/metrics")[1]
        for name in ("prometheus", "far"):
            assert f'retrain_bridge_server_queries_total{{result="failure",server="{name}"}} 0.0' in text
            assert f'retrain_bridge_server_queries_total{{result="success",server="{name}"}} 0.0' not in text
        told = http("GET", f"{process.url}/api/v1/explain?project=shop&pipeline=fraud&version=1&rule=Far")[1]
        assert servers["far"].url in told
        assert servers["near"].url not in told
        assert "prometheus_servers" in http("GET", f"{process.url}/api/v1/status/config")[1]


def test_dead_server_leaves_the_rules_of_the_other_alone(servers: dict[str, Prometheus], tmp_path: Path) -> None:
    """Its signals have a query error."""
    broken = {**servers, "far": Prometheus(servers["far"].program, "http://127.0.0.1:9")}
    loaded = load(config(broken, tmp_path))
    now = int(time.time()) * 1000
    near, far = (group.queries for group in loaded.groups)
    with closing(PrometheusServers(loaded.servers, ModelTable(), tmp_path, timeout=2)) as source:
        assert len(source.instant(near["drift"], now, now)) == 1
        with pytest.raises(SourceError, match=r"127\.0\.0\.1:9"):
            source.instant(far["Far"], now, now)


def test_check_queries_each_server(servers: dict[str, Prometheus], tmp_path: Path) -> None:
    """A metric that only one has; a server that does not answer; syntax by the flavor of each."""
    now = int(time.time()) * 1000
    assert [item for item in ask_prometheus(config(servers, tmp_path), now, online_lint.doubts) if not item.lint] == []
    labels = {"__name__": "only_far", "project": "shop", "pipeline": "fraud", "version": "1"}
    remote_write(servers["far"].url, [(labels, [(now, 1.0)])])
    rules = json.loads(json.dumps(RULES))
    rules["groups"][0]["signals"]["drift"]["expr"] = "only_far"
    rules["groups"][1]["rules"][0]["expr"] = "only_far > 0.5"
    problems = [str(item) for item in ask_prometheus(config(servers, tmp_path, rules), now) if not item.lint]
    assert len(problems) == 1
    assert "Near: Prometheus has no metric 'only_far'" in problems[0]
    broken = {**servers, "far": Prometheus(servers["far"].program, "http://127.0.0.1:9")}
    (problem,) = ask_prometheus(config(broken, tmp_path), now)
    assert problem.path == "prometheus_servers.far.url"
    rules["groups"][1]["rules"][0]["expr"] = "drift default 0"
    path = config(servers, tmp_path, rules, flavor="victoriametrics")
    assert check_config(path) == []
    rules["groups"][0]["signals"]["drift"]["expr"] = "drift default 0"
    (problem,) = check_config(config(servers, tmp_path, rules, flavor="victoriametrics"))
    assert problem.path == "groups[0].signals.drift.expr"


def test_names_that_cannot_be_used_are_refused(servers: dict[str, Prometheus], tmp_path: Path) -> None:
    """With the names that there are."""
    rules = json.loads(json.dumps(RULES).replace('"far"}}', '"fra"}}'))
    with pytest.raises(ConfigError, match=r"there is no Prometheus server 'fra' \(did you mean 'far'\?\)"):
        load(config(servers, tmp_path, rules))
    path = config(servers, tmp_path)
    path.write_text(path.read_text().replace('{"far":', '{"prometheus":'))
    with pytest.raises(ConfigError, match="'prometheus' is the name of the server of the section"):
        load(path)
    with pytest.raises(ConfigError, match=r"prometheus_servers\.far\.tls_config"):
        PrometheusServers(
            load(config(servers, tmp_path, tls_config={"ca_file": "none.pem"})).servers, ModelTable(), tmp_path
        )


def test_backtest_replays_over_both_or_over_one_that_stands_for_all(
    servers: dict[str, Prometheus], tmp_path: Path
) -> None:
    """`--prometheus.url` replaces every server."""
    path = config(servers, tmp_path)
    assert {name: item.url for name, item in of_config(path).servers.items()} == {
        "prometheus": servers["near"].url, "far": servers["far"].url,
    }  # fmt: skip
    assert {item.url for item in of_config(path, "http://one.test").servers.values()} == {"http://one.test"}
    assert set(of_rules([tmp_path / "rules.yml"], "http://one.test").servers) == {"prometheus", "far"}
