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
        extra="forbid", frozen=True, hide_input_in_errors=True, json_schema_extra=_without_required, defer_build=True
    )


class Call(Part):
    """HTTP call. Values are taken from responses by JMESPath expressions.

    - `path`: appended to the `url` of the entry
    - `json`, `form`: body of the call; at most one of them
    - `success`: status codes of a successful call; by default any 2xx
    - `success_if`: expression that must be true, too, for the call to be successful
    - `refused_if`: if this expression is true, the server has refused the call permanently, whatever the status code
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

    - `token`: expression for the token in the response
    - `ttl`: how long the token is used. A 401 or 403 makes the bridge log in again at once
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
    """`find`: reads the target, which is the job, DAG or deployment to be run, before `start`. It changes nothing.

    - `item`: expression for the target in the response; by default the whole response
    - `absent`: status codes that mean that the target does not exist; an `item` that selects nothing means the same
    - `values`: expressions whose values become the variables `.Found.NAME`
    - `problem`: expression for a text that says why the target cannot run now; no text if it can
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

    - `run`: expression for the server's id of the run; by default, the name that the bridge chose (`run_id`) is the id
    - `link`: expression for the URL of the run, for users
    - `already`: status codes that can mean that the run exists already; `lookup` then finds out
    - `not_found_grace`: how long the call is repeated after a 404, for targets that are just being deployed
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    run: Expression = ""
    link: Expression = ""
    already: tuple[Status, ...] = (409,)
    not_found_grace: DurationField = 10 * MINUTE


class LookupCall(Call):
    """`lookup`: finds the run by its name or tag when it is unknown whether `start` has started one.

    - `item`: expression for the run in the response, or for a list of runs
    - `match`: expressions and their required values; runs with other values are ignored
    - `absent`: status codes that mean that there is no such run
    - `run`, `link`: as in `start`
    - `attempts`, `interval`: the first `attempts` look-ups are `interval` apart, later ones further. With `on_unknown:
      resend`, `start` is repeated when that many look-ups have found no run
    """

    item: Expression = "@"
    match: dict[Expression, Template] = Field(default_factory=dict)
    absent: tuple[Status, ...] = (404,)
    run: Expression = ""
    link: Expression = ""
    attempts: Annotated[int, Field(ge=1)] = 1
    interval: DurationField = 5 * SECOND


class StatesConfig(Part):
    """`map`: for each state, the names that the server has for it; any other name changes nothing.

    While a run is `queued`, its request is `accepted`; the other states are also states of the request.
    """

    queued: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    succeeded: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()


class StatusCall(Call):
    """`status`: reads the state of a run.

    - `item`: expression for the run in the response; by default the whole response
    - `value`: expression for the server's name of the state, which `map` translates
    - `run`: expression for the server's id of the run, for servers that create the run some time after `start`. Until a
      poll finds the id, the run is `queued`, and its request `accepted`
    - `message`, `link`, `model_version`: expressions for a text about the state, the run's URL, and the model version
    - `values`: expressions whose values become the variables `.Found.NAME` in `result`
    - `absent`: status codes that mean that the server no longer has the run; an `item` that selects nothing means the
      same
    - `interval`, `longest`: first and longest time between two polls; the time grows with the age of the run
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

    - `items`: expression for the list of runs in the response; each item looks like what `status.item` selects
    - `run`: expression for the server's id of the run in an item
    """

    items: Expression
    run: Expression


class ResultCall(Call):
    """`result`: reads the result of a successful run; `model_version`: expression for the version that the run made."""

    model_version: Expression


class MlflowConfig(Part):
    """`mlflow`: finds the version that a run made in MLflow's model registry.

    - `tag`: tag of model versions, whose value must be the id of the request, which runs get as the parameter `episode`
    - `model`: name of the registered model
    - `alias`: if set, the version with this alias of `model` is taken, instead of the one with the tag
    """

    url: ApiUrl
    tag: str = "retrain_bridge.episode"
    model: Template = "{{ .Pipeline }}"
    alias: str = ""
    http_config: SinkHttpConfig = SinkHttpConfig()


Guarantee = Literal["exact", "lookup"]
Text = str | int | bool | float
