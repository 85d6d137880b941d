"""The shown configuration: defaults spelled out, and no secret. test_load.py loads it again."""

from __future__ import annotations

from typing import Any

import yaml

from bridge.config.bridge_file import read_bridge_file
from bridge.config.shown import shown
from bridge.files.yaml import Document, parse

TEXT = """
prometheus:
  url: http://localhost:9090
  basic_auth: {username: ada, password: hunter2}
models: {labels: {project: {const: shop}, version: model_version}}
route: {receiver: team, routes: [{matchers: ['a="b"'], continue: true}]}
receivers:
- name: team
  webhook_configs: [{url: "http://localhost:1/hunter2"}, {url: "http://localhost:2"}]
- name: empty
gates: {budget: {total: 2/day}}
"""


def as_shown() -> tuple[str, dict[str, Any]]:
    document = parse(TEXT, Document("bridge.yml"))
    file = read_bridge_file(document)
    assert document.problems == []
    assert file is not None
    text = shown(file)
    return text, yaml.safe_load(text)


def test_secrets_are_hidden() -> None:
    """Also in the URL of a webhook, which may itself be a secret."""
    text, values = as_shown()
    assert "hunter2" not in text
    assert values["prometheus"]["basic_auth"] == {"username": "ada", "password": "<secret>"}


def test_defaults_are_spelled_out() -> None:
    """Of `global`, `gates` and the labels of a model; elsewhere what the file has."""
    _, values = as_shown()
    assert values["global"]["evaluation_interval"] == "1m"
    assert values["models"] == {
        "labels": {"project": {"const": "shop"}, "pipeline": "pipeline", "version": "model_version"},
        "retire_after": "1w",
    }
    assert values["gates"]["budget"] == {"total": "2/1d"}
    assert values["gates"]["hold_limit"] == "1w"
    assert set(values["prometheus"]) == {"url", "basic_auth"}


def test_keys_have_the_names_of_the_file() -> None:
    """`continue` is a word of Python; a receiver without entries stays."""
    _, values = as_shown()
    assert values["route"]["routes"][0]["continue"] is True
    assert [item["name"] for item in values["receivers"]] == ["team", "empty"]
    assert len(values["receivers"][0]["webhook_configs"]) == 2
