"""bridge.yml and its rule files, read into what the bridge runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from bridge.config.load import BridgeConfig, examine_rules, load, load_rules
from bridge.domain.batch import EventKind
from bridge.domain.errors import ConfigError
from bridge.domain.rule import Gates, LabelRef, ModelLabels, StrategySpec
from bridge.domain.times import DAY, HOUR, MINUTE, SECOND
from bridge.domain.verdict import Cause
from bridge.sinks.alertmanager import AlertmanagerConfig
from bridge.sinks.webhook import WebhookConfig

GOOD = Path(__file__).parents[1] / "data" / "good" / "bridge.yml"
SMALL = """
prometheus: {url: http://localhost:9090}
route: {receiver: log}
receivers: [{name: log, log_configs: [{}]}]
"""


def loaded(folder: Path, text: str = SMALL, **rules: str) -> BridgeConfig:
    for name, content in rules.items():
        (folder / f"{name}.yml").write_text(content, encoding="utf-8")
    (folder / "bridge.yml").write_text(text, encoding="utf-8")
    return load(folder / "bridge.yml")


def one_rule(name: str, group: str) -> str:
    return f"groups:\n- name: {group}\n  rules:\n  - {{retrain: {name}, expr: up == 0}}\n"


def test_the_documented_examples_load() -> None:
    """Every part arrives where the bridge takes it from."""
    config = load(GOOD)
    assert config.global_.evaluation_interval == MINUTE
    assert config.global_.external_labels == {"cluster": "eu1"}
    assert config.prometheus.url == "http://localhost:9090"
    assert config.gates == Gates(in_flight_limit=DAY, hold_limit=7 * DAY)
    assert config.route.receivers({"severity": "page"}) == ("oncall",)
    assert config.route.receivers({}) == ("coordinator",)
    assert list(config.receivers) == ["coordinator", "oncall"]
    entries = config.receivers["oncall"]
    assert [integration for integration, _ in entries] == ["alertmanager", "webhook"]
    assert isinstance(entries[0][1], AlertmanagerConfig)
    assert isinstance(entries[1][1], WebhookConfig)
    assert list(config.rule_texts) == [GOOD.parent / "rules" / "serving.yml"]
    assert config.base_dir == GOOD.parent


def test_the_documented_rules_load() -> None:
    """In file order, with their signals, strategies and places."""
    (group,) = load(GOOD).groups
    assert (group.name, group.interval, group.offset) == ("serving", MINUTE, 30 * SECOND)
    drift, accuracy, slow = group.rules
    assert (drift.name, drift.query, drift.strategy) == ("SustainedDrift", "SustainedDrift", None)
    assert (drift.for_, drift.keep_firing_for, drift.cooldown.base) == (10 * MINUTE, 5 * MINUTE, HOUR)
    assert drift.labels == {"severity": "warning"}
    assert drift.annotations == {"summary": "Drift {{ $value }} on {{ $labels.pipeline }}"}
    assert (drift.order, drift.line, drift.file) == (0, 9, str(GOOD.parent / "rules" / "serving.yml"))
    assert accuracy.strategy == StrategySpec("threshold", {"min": 0.92, "clear": 0.94})
    assert accuracy.policies == {Cause.NO_DATA: "keep", Cause.QUERY_ERROR: "keep"}
    assert (accuracy.cooldown.base, accuracy.order) == (6 * HOUR, 1)
    assert slow.strategy == StrategySpec("threshold", {"max": 0.2})
    queries = group.queries
    assert set(queries) == {"latency_p95", "accuracy", "errors", "SustainedDrift"}
    assert queries["SustainedDrift"].exprs == {"value": "model_drift_score > 0.6"}
    assert queries["SustainedDrift"].event is EventKind.CUSTOM
    assert queries["latency_p95"].unit_ms == 1000.0
    assert queries["errors"].exprs["total"].endswith("(increase(requests_total[5m]))")
    assert queries["errors"].mapping.version == LabelRef("model_version")


def test_a_small_file_gets_the_documented_defaults(tmp_path: Path) -> None:
    """Three keys are enough."""
    config = loaded(tmp_path)
    common = config.global_
    assert (common.evaluation_interval, common.query_offset, common.query_timeout) == (60_000, 30_000, 30_000)
    assert (common.resend_delay, common.catch_up_limit, common.external_labels) == (60_000, 3_600_000, {})
    assert config.models == ModelLabels()
    assert config.gates == Gates(DAY, 7 * DAY)
    assert (config.groups, config.rule_texts) == ((), {})


def test_rule_files_are_found_beside_the_configuration(tmp_path: Path) -> None:
    """Globs are relative to it, `**` goes down, absolute ones are as they are; no file is read twice."""
    (tmp_path / "conf" / "deep").mkdir(parents=True)
    other = tmp_path / "other.yml"
    other.write_text(one_rule("C", "c"))
    (tmp_path / "conf" / "deep" / "b.yml").write_text(one_rule("B", "b"))
    text = SMALL + f"rule_files: [{other}, '**/[ab].yml', a.yml]\n"
    config = loaded(tmp_path / "conf", text, a=one_rule("A", "a"))
    assert [path.name for path in config.rule_texts] == ["other.yml", "a.yml", "b.yml"]
    assert [rule.name for group in config.groups for rule in group.rules] == ["C", "A", "B"]
    assert [rule.order for group in config.groups for rule in group.rules] == [0, 1, 2]


def test_a_relative_path_is_relative_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As people start it."""
    loaded(tmp_path, SMALL + "rule_files: [a.yml]\n", a=one_rule("A", "a"))
    monkeypatch.chdir(tmp_path)
    config = load(Path("bridge.yml"))
    assert (config.base_dir, list(config.rule_texts)) == (Path(), [Path("a.yml")])


def test_an_unreadable_rule_file_is_reported_with_all_other_errors(tmp_path: Path) -> None:
    """A folder in the place of a file, beside a wrong key."""
    (tmp_path / "a.yml").mkdir()
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, SMALL + "rule_files: [a.yml]\nrulefiles: []\n")
    assert [problem.message for problem in caught.value.problems] == [
        "cannot be read: Is a directory",
        "unknown key 'rulefiles'",
    ]


def test_group_settings_override_those_of_the_configuration(tmp_path: Path) -> None:
    """Prometheus' keys of a group keep their meaning."""
    rules = """
groups:
- name: fast
  interval: 5s
  query_offset: 0s
  limit: 10
  labels: {team: ml, severity: page}
  models: {labels: {pipeline: {const: ranking}}}
  signals: {drift: {event: drift, expr: drift, window: 1h30m, n: 'count(x[$window])'}}
  rules:
  - {retrain: A, expr: drift > 1, event: drift, labels: {severity: ticket}, cooldown: 0s}
"""
    text = SMALL + "models: {labels: {project: {const: shop}, version: v}}\nrule_files: [a.yml]\n"
    (group,) = loaded(tmp_path, text, a=rules).groups
    mapping = ModelLabels(LabelRef(const="shop"), LabelRef(const="ranking"), LabelRef("v"))
    assert (group.interval, group.offset) == (5 * SECOND, 0)
    assert (group.queries["A"].mapping, group.queries["A"].limit) == (mapping, 10)
    assert (group.queries["drift"].mapping, group.queries["drift"].limit) == (mapping, 10)
    assert group.queries["drift"].exprs == {"value": "drift", "n": "count(x[1h30m])"}
    assert group.queries["A"].event is EventKind.DRIFT
    assert group.rules[0].labels == {"team": "ml", "severity": "ticket"}
    assert group.rules[0].cooldown.base == 0


def test_loading_again_gives_the_same_and_changes_nothing(tmp_path: Path) -> None:
    """A reload compares nothing and shares nothing with what is in force."""
    text = SMALL + "rule_files: [a.yml]\n"
    first = loaded(tmp_path, text, a=one_rule("A", "a"))
    second = load(tmp_path / "bridge.yml")
    assert first == second
    third = loaded(tmp_path, text, a=one_rule("B", "a"))
    assert first.groups[0].rules[0].name == "A"
    assert third.groups[0].rules[0].name == "B"


SECRETS = """
global: {external_labels: {cluster: eu1}}
prometheus:
  url: http://localhost:9090
  authorization: {credentials: hunter2}
  http_headers: {X-Key: {secrets: [hunter2], values: [open]}}
models: {labels: {version: {const: "7"}}}
route: {receiver: hook, routes: [{matchers: [a=b], continue: true}]}
receivers:
- name: hook
  webhook_configs:
  - {url: "http://localhost:9000/x?key=hunter2", http_config: {basic_auth: {username: ann, password: hunter2}}}
  - {url: "http://localhost:9001", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, timeout: 5s}
"""


def test_the_shown_configuration_holds_no_secret(tmp_path: Path) -> None:
    """Pages, API and logs may show it."""
    shown = loaded(tmp_path, SECRETS).redacted()
    assert "hunter2" not in shown
    assert "MfKQ9r8" not in shown
    values = yaml.safe_load(shown)
    assert values["global"] == {
        "evaluation_interval": "1m", "query_offset": "30s", "query_timeout": "30s", "resend_delay": "1m",
        "catch_up_limit": "1h", "external_labels": {"cluster": "eu1"},
    }  # fmt: skip
    assert values["prometheus"]["authorization"] == {"credentials": "<secret>"}
    assert values["prometheus"]["http_headers"] == {"X-Key": {"values": ["open"], "secrets": ["<secret>"]}}
    assert values["models"]["labels"] == {"project": "project", "pipeline": "pipeline", "version": {"const": "7"}}
    assert values["gates"] == {
        "hold_limit": "1w",
        "in_flight_limit": "1d",
        "budget": {},
        "on_silences_unknown": "send",
        "silences_max_age": "5m",
        "verdict": {"settle": "5m", "limit": "1d"},
    }
    first, second = values["receivers"][0]["webhook_configs"]
    assert first["url"] == "<secret>"
    assert first["http_config"]["basic_auth"] == {"username": "ann", "password": "<secret>"}
    assert second == {"url": "<secret>", "secret": "<secret>", "timeout": "5s"}


def test_the_shown_configuration_can_be_loaded_again(tmp_path: Path) -> None:
    """With its secrets put in: what is shown is what is in force, in the file's own words."""
    config = load(GOOD)
    url = next(entry.url for kind, entry in config.receivers["oncall"] if kind == "webhook")  # type: ignore[attr-defined]
    text = (
        config.redacted().replace("<secret>", url.reveal()).replace("rules/*.yml", str(GOOD.parent / "rules" / "*.yml"))
    )
    again = loaded(tmp_path, text)
    for part in ("global_", "prometheus", "models", "groups", "route", "receivers", "gates"):
        assert getattr(again, part) == getattr(config, part), part


def test_a_rule_on_a_signal_that_names_no_strategy_has_auto(tmp_path: Path) -> None:
    """Right without tuning."""
    signals = "drift: {event: drift, expr: model_drift}"
    rules = "groups: [{name: g, signals: {" + signals + "}, rules: [{retrain: Drifts, signal: drift}]}]"
    (tmp_path / "rules.yml").write_text(rules)
    (group,) = load_rules([tmp_path / "rules.yml"])
    strategy = group.rules[0].strategy
    assert strategy is not None
    assert (strategy.name, dict(strategy.params)) == (
        "auto",
        {"window": "5m", "samples": "increase", "sensitivity": "normal"},
    )


def test_a_rule_on_histograms_that_names_no_strategy_compares_them(tmp_path: Path) -> None:
    """A reference was given: what it is for needs no word more."""
    signals = "scores: {event: custom, buckets: 'sum by (le) (a_bucket)', reference: 'sum by (le) (b_bucket)'}"
    rules = "groups: [{name: g, signals: {" + signals + "}, rules: [{retrain: Moved, signal: scores}]}]"
    (tmp_path / "rules.yml").write_text(rules)
    (group,) = load_rules([tmp_path / "rules.yml"])
    strategy = group.rules[0].strategy
    assert strategy is not None
    assert (strategy.name, dict(strategy.params)) == (
        "chi_square", {"alpha": 0.0001, "n_min": 100, "min_effect": 0.1}
    )  # fmt: skip


def test_rules_can_be_checked_without_a_configuration() -> None:
    """With the defaults; names are unique over all the files that are given."""
    path = GOOD.parent / "rules" / "serving.yml"
    assert examine_rules([path]).problems == []
    twice = examine_rules([path, Path(os.path.relpath(path))]).problems
    assert [problem.message for problem in twice][:2] == [
        "group 'serving' is defined twice",
        "rule 'SustainedDrift' is defined twice with the same labels and expression",
    ]


def test_a_model_is_named_by_any_label(tmp_path: Path) -> None:
    """Names of OpenTelemetry have dots; Prometheus 3 takes any UTF-8."""
    text = SMALL + "models: {labels: {project: service.namespace, pipeline: gen_ai.request.model, version: größe}}\n"
    models = loaded(tmp_path, text).models
    assert models == ModelLabels(LabelRef("service.namespace"), LabelRef("gen_ai.request.model"), LabelRef("größe"))


def test_grouping_is_inherited_like_alertmanagers(tmp_path: Path) -> None:
    """Of the parent, unless a node says otherwise; without group_wait it is half a minute."""
    nodes = "{matchers: [a=1], group_wait: 5s}, {matchers: [a=2], group_by: []}"
    text = SMALL.replace("{receiver: log}", f"{{receiver: log, group_by: [project], routes: [{nodes}]}}")
    root = loaded(tmp_path, text).route
    assert text != SMALL
    assert [(node.group_by, node.group_wait) for node in (root, *root.routes)] == [
        (("project",), 30_000), (("project",), 5_000), ((), 30_000),
    ]  # fmt: skip


def test_a_key_without_effect_is_noted_with_its_line(tmp_path: Path) -> None:
    """HTTP/2 is taken as in prometheus.yml, and not used; switched off, there is nothing to note."""
    text = (
        "prometheus:\n  url: http://a\n  enable_http2: true\nroute: {receiver: a}\n"
        "receivers:\n- name: a\n  webhook_configs:\n  - url: http://b\n    http_config: {enable_http2: %s}\n"
    )
    file = tmp_path / "bridge.yml"
    file.write_text(text % "true")
    said = "has no effect: the bridge speaks HTTP/1.1, which HTTP/2 servers answer too"
    assert [str(note) for note in load(file).notes] == [
        f"{file}:3: prometheus.enable_http2: note: {said}",
        f"{file}:9: receivers[0].webhook_configs[0].http_config.enable_http2: note: {said}",
    ]
    file.write_text(text % "false")
    assert len(load(file).notes) == 1


def test_a_rule_file_that_is_a_loop_of_links_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.yml").symlink_to("a.yml")
    with pytest.raises(ConfigError, match=r"a\.yml: cannot be read: Too many levels of symbolic links"):
        loaded(tmp_path, SMALL + "rule_files: ['*a.yml']\n")
