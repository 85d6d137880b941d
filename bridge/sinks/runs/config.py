"""Entry of `run_configs`: a preset, completed and changed by the entry's own keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ModelWrapValidatorHandler, ValidationInfo, field_validator, model_validator

from bridge.domain.times import DAY, MINUTE
from bridge.sinks.base import ApiUrl, DurationField, HttpSinkConfig
from bridge.sinks.runs.calls import (
    Call,
    FindCall,
    Guarantee,
    LoginCall,
    LookupCall,
    MlflowConfig,
    ResultCall,
    StartCall,
    StatusCall,
    StatusesCall,
    Text,
)
from bridge.sinks.runs.presets import CALLS, complete, presets
from bridge.sinks.runs.template import Structure, Template, names, near

_TARGET = re.compile(r"[A-Za-z][\w-]*")
DEFAULT_PARAMETERS: Mapping[str, Any] = {
    "episode": "{{ .ID }}",
    "project": "{{ .Project }}",
    "pipeline": "{{ .Pipeline }}",
    "version": "{{ .Version }}",
    "reason": "{{ .Reason }}",
}


class CompleteRunConfig(HttpSinkConfig):
    """Entry of `run_configs` with the keys of its preset.

    preset: orchestrator whose calls are the defaults of all other keys, "" = none.
    target: what to start; the keys that the preset or the paths name.
    run_id: name of the run; letters, digits and hyphens only.
    parameters: passed to the run.
    login, find, start, lookup, status, statuses, result, cancel: the calls.
    link: URL of the run for people, after `ui_url`.
    guarantee: exact = the server knows the run's name or key, so a repeated start makes no second run; lookup = a run
        can only be found afterwards.
    on_unknown: when it is not known whether a start arrived and no run is found: hold, or start again.
    start_deadline: time after which a run that has not started is reported.
    max_age: how long the first start call may take, from the time when the delivery was queued.
    max_payload_bytes: largest body of the start call, 0 = no limit.
    """

    url: ApiUrl
    preset: str = ""
    target: dict[str, Text] = Field(default_factory=dict, validate_default=True)
    run_id: Template = "rb-{{ .ID }}"
    parameters: dict[str, Structure] = Field(default_factory=lambda: dict(DEFAULT_PARAMETERS))
    login: LoginCall | None = None
    find: FindCall | None = None
    start: StartCall
    lookup: LookupCall | None = None
    status: StatusCall
    statuses: StatusesCall | None = None
    result: ResultCall | None = None
    cancel: Call | None = None
    ui_url: str = ""
    link: Template = ""
    mlflow: MlflowConfig | None = None
    guarantee: Guarantee = "lookup"
    on_unknown: Literal["hold", "resend"] = "hold"
    start_deadline: DurationField = 30 * MINUTE
    max_age: DurationField = DAY
    max_payload_bytes: Annotated[int, Field(ge=0)] = 0

    @field_validator("preset")
    @classmethod
    def _known(cls, value: str) -> str:
        if value and value not in presets():
            raise ValueError(f"there is no preset {value!r}; {near(value, presets())}")
        return value

    @field_validator("target")
    @classmethod
    def _target(cls, value: dict[str, Text], info: ValidationInfo) -> dict[str, Text]:
        for key in value:
            if not _TARGET.fullmatch(key):
                raise ValueError(f"{key!r} cannot be used as {{{{ .Target.{key} }}}}: use letters, digits and _")
        preset = presets().get(info.data.get("preset") or "")
        if preset is not None:
            missing = [key for key in preset.target if key not in value]
            unknown = [key for key in value if key not in preset.target and key not in preset.target_defaults]
            if missing:
                raise ValueError(f"preset {preset.name} needs {', '.join(missing)}: {preset.target[missing[0]]}")
            if unknown:
                keys = ", ".join((*preset.target, *preset.target_defaults))
                raise ValueError(f"preset {preset.name} has no {unknown[0]!r}; known are: {keys}")
            return {**preset.target_defaults, **value}
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for where, template in self._templates():
            for root, rest in names(template):
                problem = self._problem(root, rest, where)
                if problem:
                    raise ValueError(f"{where}: {problem}")
        if self.login is not None and self.authenticated:
            raise ValueError("http_config and login both authenticate: remove one")
        return self

    def _templates(self) -> Iterator[tuple[str, Any]]:
        yield "run_id", self.run_id
        yield "parameters", self.parameters
        yield "link", self.link
        for name in CALLS:
            call = getattr(self, name)
            if isinstance(call, Call):
                yield name, [call.path, call.headers, call.body, call.form, getattr(call, "match", None)]

    def _problem(self, root: str, rest: str, where: str) -> str:
        """Return why a variable has no value, "" if it has one."""
        known: Mapping[str, Any]
        if root == "Target":
            known = self.target
        elif root == "Found":
            known = {
                **(self.find.values if self.find is not None else {}),
                **(self.status.values if where == "result" else {}),
            }
        else:
            return ""
        part, listed = rest.partition(".")[0], ", ".join(known) or "none"
        return "" if not part or part in known else f"{{{{ .{root}.{part} }}}} has no value; known are: {listed}"

    @property
    def authenticated(self) -> bool:
        """True if http_config has credentials."""
        http = self.http_config
        return any(item is not None for item in (http.basic_auth, http.authorization, http.oauth2))


class RunConfig(CompleteRunConfig):
    """Entry of `run_configs`: starts a run in an orchestrator, and tracks it until it ends.

    `start` and `status` are required without a preset.

    - `target`: what to start, such as a job or a DAG: the keys that the preset or your templates need
    - `guarantee`: `exact` if the server recognises a repeated start call, `lookup` if a run can only be looked up
    - `on_unknown`: what to do if a start call may have arrived, and no run is found: wait for an operator (`hold`), or
      repeat the call (`resend`)
    - `max_payload_bytes`: maximum size of the body of the start call; 0 means no limit
    """

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.update(required=["url"]))

    @model_validator(mode="wrap")
    @classmethod
    def _complete(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Fill in the preset; the result is validated as JSON, as only there a list may become a tuple."""
        if not isinstance(value, dict):
            return handler(value)
        complete_ = CompleteRunConfig.model_validate_json(json.dumps(complete(value)), strict=True)
        return cls.model_construct(
            complete_.model_fields_set, **{name: getattr(complete_, name) for name in cls.model_fields}
        )
