"""`models list` and `rules list`: the present state of a running bridge, over its API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bridge.cli.calls import get
from bridge.cli.listing import Limit, Output, print_listing
from bridge.cli.names import (
    MODEL,
    ModelArgument,
    ModelsArgument,
    Pipeline,
    Project,
    RuleName,
    Version,
    explain_nothing,
    model_name,
    named,
    require_known,
    require_rule,
)
from bridge.cli.options import BridgeUrl, HttpConfigFile, app
from bridge.cli.output import echo, echo_lines
from bridge.cli.quick import DEFAULT_URL
from bridge.cli.readings import limit_text, value_text
from bridge.cli.suggest import rules_app
from bridge.cli.usage import Commands

models_app = Commands(no_args_is_help=True, help="Inspect the models of a running bridge.")
app.add_typer(models_app, name="models")

_AWAITING = "awaiting_approval"
_WAITING = ["held", _AWAITING]  # states; bridge.domain.request would import NumPy for --help
_STATE_HELP = "Only {}; repeatable."
ModelStates = Annotated[
    list[str] | None,
    typer.Option(
        "--state", metavar="STATE",
        help=_STATE_HELP.format(
            "healthy, replaced, cooldown, no_data, degraded, held, awaiting_approval, retrain_requested or retraining"
        ),
    ),
]  # fmt: skip
AlertStates = Annotated[
    list[str] | None,
    typer.Option("--state", metavar="STATE", help=_STATE_HELP.format("inactive, pending or firing")),
]


@models_app.command("list", short_help="List the models with their state and latest values.")
def models_list(
    models: ModelsArgument = "",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    project: Project = "",
    pipeline: Pipeline = "",
    version: Version = "",
    rule: RuleName = "",
    state: ModelStates = None,
    without_rule: Annotated[
        str, typer.Option("--without-rule", metavar="NAME", help="Only models that this rule does not evaluate.")
    ] = "",
    limit: Limit = 1000,
    output: Output = "table",
) -> None:
    """List the models with their state and latest values, sorted by name."""
    names = named(models, project, pipeline, version)
    parameters = {"limit": limit, "state": state, **names, "rule": rule, "without_rule": without_rule}
    if without_rule:
        if any(names.values()) or rule:
            raise typer.BadParameter("--without-rule can be combined with --state and --limit only")
        require_rule(bridge_url, http_config, without_rule)
    found = get(bridge_url, http_config, "models", parameters)["models"]
    if not found:
        explain_nothing(bridge_url, http_config, names, rule)
    rows = [
        {
            "model": model_name(item), "state": item["state"], "last sent": item["last_request_at"],
            "values": ", ".join(sorted({_value(signal) for signal in item["signals"]})),
            "request": item["last_request_id"],
            "rules": ", ".join(f"{signal['rule']}: {signal['verdict']}" for signal in item["signals"]),
        }
        for item in found
    ]  # fmt: skip
    print_listing(found, rows, ("model", "state", "last sent", "values"), ("request", "rules"), output, "no models")


@models_app.command("show", short_help="Show one model: state, signals and requests.")
def models_show(
    model: ModelArgument = "",
    project: Project = "",
    pipeline: Pipeline = "",
    version: Version = "",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    output: Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="Output format.")] = "text",
) -> None:
    """Show one model: state, signals, the request that waits, the last sent one, and the expected next retraining."""
    import json

    key = named(model, project, pipeline, version, form=MODEL)
    require_known(bridge_url, http_config, key)
    found = get(bridge_url, http_config, "models", {**key, "limit": 1})["models"]
    owner = {"project": key["project"], "pipeline": key["pipeline"]}
    forecast = get(bridge_url, http_config, "forecast", owner)["next_retraining"]
    waiting = get(bridge_url, http_config, "requests", {**key, "state": _WAITING, "limit": 1})["requests"]
    if output == "json":
        shown = {"model": found[0] if found else None, "waiting": waiting, "next_retraining": forecast}
        echo_lines(json.dumps(shown, indent=2))
        return
    gates = _closed_gates(bridge_url, http_config, key) if found else {}
    if not found:
        successor = _successor(bridge_url, http_config, key) or "it was replaced or retired"
        echo(f"{model_name(key)}: no rule tracks it now; {successor}")
    for item in found:
        successor = _successor(bridge_url, http_config, key) if item["state"] == "replaced" else ""
        echo(f"{model_name(item)}: {successor or item['state']}")
        last = item["last_request_id"]
        for request in waiting:
            echo(f"waiting request: {request['id']}, {_waiting(request)}")
        echo(f"last sent request: {last} at {item['last_request_at']}" if last else "last sent request: none")
        for signal in item["signals"]:
            echo(f"{signal['rule']}: {_value(signal)}, {signal['verdict']}, {signal['state']}{_crossing(signal)}")
            for gate in gates.get(signal["rule"], ()):
                echo(f"  {gate}")
    echo(f"next retraining: {_expected(forecast)}")


def _successor(url: str, http_config: Path | None, key: Mapping[str, str]) -> str:
    """Return the version that a retraining put in the model's place, in words; "" = none."""
    for item in get(url, http_config, "requests", {**key, "state": "succeeded", "limit": 1})["requests"]:
        if item["new_version"] not in {"", key["version"]}:
            return f"replaced by {model_name({**key, 'version': item['new_version']})} (request {item['id']})"
    return ""


def _closed_gates(url: str, http_config: Path | None, key: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the gates that hold a request of the model, or would hold it, by rule."""
    return {
        item["rule"]: [
            f"{check['name']}: {check['text']}"
            for check in item["checks"]
            if check["name"].startswith("gate ") and check["passed"] is False
        ]
        for item in get(url, http_config, "explain", key)["explanations"]
    }


def _waiting(request: Mapping[str, Any]) -> str:
    """Return why a request is not sent yet, and the command that an operator may use."""
    command = f"retrain-bridge requests {{}} {request['id']}"
    if request["state"] == _AWAITING:
        return f"awaits approval: {command.format('approve')}"
    why = f" by {request['hold']}" if request["hold"] else ""
    return f"held{why}; to send it now: {command.format('release')}"


def _crossing(signal: Mapping[str, Any]) -> str:
    found = signal["crossing"]
    if not found:
        return ""
    return f"; expected to cross {found['limit']:.4g} between {found['earliest']} and {found['latest']}"


def _expected(forecast: Mapping[str, Any] | None) -> str:
    if not forecast:
        return (
            "no forecast; it needs a retraining that lasts, and three earlier ones of the project that were followed"
            " by another breach"
        )
    return f"expected between {forecast['earliest']} and {forecast['latest']} (90 %), {_lives(forecast)}"


def _lives(forecast: Mapping[str, Any]) -> str:
    return f"from {forecast['own']} earlier ones of this pipeline and {forecast['others']} of its project"


def _value(signal: Mapping[str, Any]) -> str:
    """Return the latest value of a signal with its limit."""
    if signal["value"] is None:
        return f"{signal['signal']} empty result"
    value, limit = value_text(signal), limit_text(signal)
    return f"{signal['signal']} {value or 'no data'}" + (f" ({limit})" if value and limit else "")


@rules_app.command("list", short_help="List the rules of a running bridge.")
def rules_list(
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    rule: RuleName = "",
    state: AlertStates = None,
    output: Output = "table",
) -> None:
    """List the rules of a running bridge with their alerts and the results of their retrainings."""
    parameters = {"rule_name[]": rule, "state": state}
    groups = get(bridge_url, http_config, "rules", parameters)["groups"]
    found = [{"group": group["name"], **item} for group in groups for item in group["rules"]]
    if not found:
        explain_nothing(bridge_url, http_config, {}, rule)
    rows = [
        {
            "rule": item["name"], "group": item["group"], "state": item["state"], "health": item["health"],
            "pending": _count(item, "pending"), "firing": _count(item, "firing"),
            "helped": item["retrainings"]["recovered"], "did not help": item["retrainings"]["not_recovered"],
            "inconclusive": item["retrainings"]["inconclusive"], "requests 7d": item["recentRequests"],
            "query": " ".join(item["query"].split()),
        }
        for item in found
    ]  # fmt: skip
    columns = ("rule", "group", "state", "health", "pending", "firing", "helped", "did not help")
    print_listing(found, rows, columns, ("inconclusive", "requests 7d", "query"), output, "no rules")


def _count(rule: Mapping[str, Any], state: str) -> int:
    return sum(alert["state"] == state for alert in rule["alerts"])
