"""Configuration of the calls to an orchestrator. Paths are appended to `url`; expressions are JMESPath."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from bridge.domain.times import HOUR, MINUTE, SECOND
from bridge.net.http_config import Secret, SinkHttpConfig, at_most_one
from bridge.sinks.base import ApiUrl, DurationField
from bridge.sinks.runs.expression import Expression, find
from bridge.sinks.runs.template import Structure, Template


def _without_required(schema: dict[str, Any]) -> None:
    """Remove the required keys: a preset may have them."""
    schema.pop("required", None)


Status = Annotated[int, Field(ge=100, le=599)]


def _path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("must start with /: it is appended to url")
    return value


Path = Annotated[Template, AfterValidator(_path)]


class Part(BaseModel):
    """Mapping of an entry of `run_configs`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, json_schema_extra=_without_required
    )


class Call(Part):
    """HTTP call. json, form: the body, at most one. success: status codes, none = any 2xx; success_if: also required.

    refused_if: the server refuses the call for good, whatever the status code.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: Path
    headers: dict[str, Template] = Field(default_factory=dict)
    body: Annotated[Structure, Field(alias="json")] = None
    form: dict[str, Template] = Field(default_factory=dict)
    success: tuple[Status, ...] = ()
    success_if: Expression = ""
    refused_if: Expression = ""

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        at_most_one(json=self.body is not None, form=self.form)
        return self


class LoginCall(Call):
    """`login`: gets a token, which the other calls send as `Authorization: Bearer`.

    token: expression over the response. ttl: how long the token is used. After a 401 or 403 the bridge logs in again.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    token: Expression
    ttl: DurationField = 12 * HOUR
    username: str = ""
    username_file: str = ""
    password: Secret = Secret("")
    password_file: str = ""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        at_most_one(username=self.username, username_file=self.username_file)
        at_most_one(password=self.password, password_file=self.password_file)
        return self


class FindCall(Call):
    """`find`: reads the target before the start, without changing anything.

    item: the target within the response, default the whole. absent: status codes of a target that does not exist; an
    `item` that selects nothing says the same. values: become `.Found.NAME`. problem: text if the target cannot run now.
    """

    item: Expression = "@"
    absent: tuple[Status, ...] = (404,)
    values: dict[str, Expression] = Field(default_factory=dict)
    problem: Expression = ""

    def found(self, item: object) -> dict[str, Any]:
        """Return the values of a target."""
        return {name: find(expression, item) for name, expression in self.values.items()}

    def lacking(self, found: Mapping[str, Any]) -> str:
        """Return what a response lacks that has none of the values, so that it is about something else; else ""."""
        if not found or any(value is not None for value in found.values()):
            return ""
        return "the response about the target lacks " + ", ".join(f"{name} ({self.values[name]})" for name in found)


class StartCall(Call):
    """`start`: starts the run.

    run: the server's id of the run, default = the name that the bridge chose. link: URL of the run for people.
    already: status codes that can mean that the run exists: a look-up decides. not_found_grace: how long a 404 is
    retried, for targets that were deployed a moment ago.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    run: Expression = ""
    link: Expression = ""
    already: tuple[Status, ...] = (409,)
    not_found_grace: DurationField = 10 * MINUTE


class LookupCall(Call):
    """`lookup`: finds the run by its name or tag after an ambiguous response.

    item: the run, or the list of candidates, within the response. match: expression over a candidate -> value that it
    must have; a run that does not match is foreign. absent: status codes for "no such run". attempts, interval:
    look-ups before the run counts as absent.
    """

    item: Expression = "@"
    match: dict[Expression, Template] = Field(default_factory=dict)
    absent: tuple[Status, ...] = (404,)
    run: Expression = ""
    link: Expression = ""
    attempts: Annotated[int, Field(ge=1)] = 1
    interval: DurationField = 5 * SECOND


class StatesConfig(Part):
    """`map`: the server's words for each state; any other word is `unknown`."""

    queued: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    succeeded: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()


class StatusCall(Call):
    """`status`: reads the state of a run.

    item: the run within the response. value: its state, a word of `map`. message, link, model_version: further facts.
    run: the server's id of the run, for servers that make the run later than `start`: until a poll finds it, the run is
    queued, and its reference is the name that the bridge chose.
    values: become `.Found.NAME` in `result`.
    absent: status codes for a run that the server has forgotten; an `item` that selects nothing says the same.
    interval, longest: wait between two polls; it grows with the age of the run.
    """

    item: Expression = "@"
    value: Expression
    map: StatesConfig
    run: Expression = ""
    message: Expression = ""
    link: Expression = ""
    model_version: Expression = ""
    values: dict[str, Expression] = Field(default_factory=dict)
    absent: tuple[Status, ...] = (404,)
    interval: DurationField = 15 * SECOND
    longest: DurationField = 5 * MINUTE


class StatusesCall(Call):
    """`statuses`: reads the states of many runs in one call.

    items: the list of runs, each as `status.item` selects it. run: the server's id of a run.
    """

    items: Expression
    run: Expression


class ResultCall(Call):
    """`result`: reads what a successful run returned. model_version: the version that it made."""

    model_version: Expression


class MlflowConfig(Part):
    """`mlflow`: finds the version that a run made in MLflow's model registry.

    tag: tag of a model version that holds the request's id. alias: alias of `model` that names the version instead.
    """

    url: ApiUrl
    tag: str = "retrain_bridge.episode"
    model: Template = "{{ .Pipeline }}"
    alias: str = ""
    http_config: SinkHttpConfig = SinkHttpConfig()


Guarantee = Literal["exact", "lookup"]
Text = str | int | bool | float
