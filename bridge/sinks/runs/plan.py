"""Plan of a run: its variables and its start call, frozen before the first attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.domain.request import RetrainRequest
from bridge.domain.times import Timestamp, rfc3339
from bridge.ports import Run
from bridge.sinks.base import SinkContext
from bridge.sinks.runs.caller import Rendered, rendered
from bridge.sinks.runs.config import RunConfig
from bridge.sinks.runs.template import render, render_text


@dataclass(frozen=True, slots=True)
class Plan:
    """Start call of one run, and the variables of the calls after it."""

    variables: Mapping[str, Any]
    start: Rendered

    def encode(self) -> str:
        """Return the plan as JSON."""
        return json.dumps({"variables": dict(self.variables), "start": self.start.to_json()}, ensure_ascii=False)

    @classmethod
    def decode(cls, text: str) -> Plan:
        """Return the plan of a JSON text."""
        value = json.loads(text)
        return cls(value["variables"], Rendered(**value["start"]))


def basic(config: RunConfig, request: RetrainRequest, context: SinkContext, now: Timestamp) -> dict[str, Any]:
    """Return the variables that are known before the target was found."""
    model = request.model
    variables: dict[str, Any] = {
        "ID": request.id,
        # Entries of one receiver may start runs of one flow: each needs a key of its own.
        "Receiver": context.receiver if context.index == 0 else f"{context.receiver}/{context.index}",
        "Project": model.project,
        "Pipeline": model.pipeline,
        "Version": model.version,
        "Rule": request.rule,
        "Reason": request.reason,
        "Attempt": request.attempt,
        "Link": context.sender.link(request.id),
        "Labels": dict(request.labels),
        "Annotations": dict(request.annotations),
        "Request": request.to_json(),
        "Target": dict(config.target),
        "Now": rfc3339(now),
    }
    variables["RunID"] = render_text(config.run_id, variables)
    variables["Parameters"] = render(config.parameters, variables)
    return variables


def freeze(config: RunConfig, variables: Mapping[str, Any], found: Mapping[str, Any]) -> Plan:
    """Return the plan. found: values that `find` took from the server."""
    complete = {**variables, "Found": found}
    start = rendered(config.start, complete)
    kept = {key: value for key, value in complete.items() if key not in {"Request", "Annotations", "Labels"}}
    return Plan(kept, start)


def of_run(run: Run) -> dict[str, Any]:
    """Return the variables of the calls about a run that was seen."""
    return {**Plan.decode(run.plan).variables, "Reference": run.reference}
