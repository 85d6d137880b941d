"""Completeness of docs/api.md, docs/metrics.md and docs/web-config.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args, get_origin

from fastapi.testclient import TestClient

from bridge.app import telemetry
from bridge.app.fleet_metrics import FleetMetrics
from bridge.app.model_metrics import CHOICES
from bridge.domain.batch import EventKind
from bridge.domain.request import HoldReason, Outcome
from bridge.engine.api.views import ModelState
from bridge.web.api.management import STATES, StatusBody
from bridge.web.app import create_app
from bridge.web.http.settings import WebSettings, load_web_config
from bridge.web.http.web_config import HttpServer, RateLimit, TlsServer, WebConfig
from tests.support.fake_views import AT, FakeCommands, FakeQueries

DOCS = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def headings(name: str) -> list[str]:
    return re.findall(r"^### (.+)$", page(name), re.MULTILINE)


def section(name: str, heading: str) -> str:
    """Return the text below a heading."""
    return page(name).partition(f"### {heading}\n")[2].partition("\n#")[0]


def test_every_metric_has_its_heading_and_its_type() -> None:
    """No heading is left over from a removed metric."""
    text = telemetry.Telemetry(FakeQueries()).render(AT).decode() + FleetMetrics().render().decode()
    kinds = dict(re.findall(r"^# TYPE (retrain_bridge_\S+) (\S+)$", text, re.MULTILINE))
    assert sorted(headings("metrics")) == sorted(kinds)
    for name, kind in kinds.items():
        assert section("metrics", name).startswith(kind.capitalize()), name


def test_every_label_value_is_listed() -> None:
    """For labels with a fixed set of values."""
    for name, words in (
        ("decisions_total", Outcome), ("events_total", EventKind), ("model_state", ModelState),
        ("model_held", HoldReason),
        ("last_retrain_request_timestamp_seconds", EventKind), ("query_failures_total", telemetry.QUERY_REASONS),
        ("samples_skipped_total", telemetry.SKIP_REASONS), ("delivery_failures_total", telemetry.DELIVERY_REASONS),
    ):  # fmt: skip
        for word in words:
            assert f"`{word}`" in section("metrics", f"retrain_bridge_{name}"), (name, word)


def test_every_choice_of_model_metrics_is_explained() -> None:
    """All values of the flag."""
    for choice in CHOICES:
        assert re.search(rf"^\| `{choice}`", page("metrics"), re.MULTILINE), choice


def test_every_call_has_its_heading() -> None:
    """All operations of the OpenAPI document, and the web page."""
    app = create_app(FakeQueries(), FakeCommands(), WebSettings(), lambda _: b"", WebConfig(), lambda: AT)
    paths = TestClient(app, base_url="http://127.0.0.1").get("/openapi.json").json()["paths"]
    calls = {
        f"{method.upper()} {path.replace('{request_id}', '{id}')}"
        for path, methods in paths.items() for method in methods if method != "put"
    }  # fmt: skip
    assert set(headings("api")) == calls | {"GET /", "GET /openapi.json"}


def test_every_parameter_is_named() -> None:
    """In the section of its operation."""
    app = create_app(FakeQueries(), FakeCommands(), WebSettings(), lambda _: b"", WebConfig(), lambda: AT)
    paths = TestClient(app, base_url="http://127.0.0.1").get("/openapi.json").json()["paths"]
    named = 0
    for path, methods in paths.items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "query":
                    named += 1
                    text = section("api", f"{method.upper()} {path.replace('{request_id}', '{id}')}")
                    assert f"`{parameter['name']}`" in text, (path, parameter["name"])
    assert named == 62


def test_every_field_and_state_of_a_report_is_named() -> None:
    """All fields that a coordinator may send."""
    text = section("api", "POST /api/v1/requests/{id}/status")
    for word in (*StatusBody.__struct_fields__, *STATES):
        assert f"`{word}`" in text, word


def test_every_key_of_the_web_config_file_has_its_line() -> None:
    """Every value of a fixed set is listed too."""
    parts = {"tls_server_config": TlsServer, "http_server_config": HttpServer, "rate_limit": RateLimit}
    keys = [*WebConfig.model_fields, *(f"{name}.{key}" for name, part in parts.items() for key in part.model_fields)]  # type: ignore[attr-defined]
    for key in keys:
        assert re.search(rf"^\| [^|]*`{re.escape(key)}`[^|]* \|", page("web-config"), re.MULTILINE), key
    for field in TlsServer.model_fields.values():
        for value in get_args(field.annotation) if get_origin(field.annotation) is Literal else ():
            assert f"`{value}`" in page("web-config"), value


def test_the_example_of_a_web_config_file_is_accepted(tmp_path: Path) -> None:
    """It contains every key but those that are inline instead of in a file."""
    [block] = re.findall(r"```yaml\n# web\.yml\n(.*?)```", page("web-config"), re.DOTALL)
    file = tmp_path / "web.yml"
    file.write_text(block)
    config = load_web_config(file)
    assert config.tls_server_config is not None
    assert config.tls_server_config.model_fields_set == set(TlsServer.model_fields) - {"cert", "key", "client_ca"}
    assert config.http_server_config.model_fields_set == set(HttpServer.model_fields)
    assert config.rate_limit.model_fields_set == set(RateLimit.model_fields)
    assert list(config.basic_auth_users) == ["ada"]
