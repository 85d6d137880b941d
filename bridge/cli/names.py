"""Names on the command line: models and pipelines as an argument or as options, and those that a bridge knows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bridge.cli.calls import get
from bridge.domain.errors import BridgeError

CANDIDATES = 1000  # models or requests to look for a name in
PARTS = ("project", "pipeline", "version")
MODEL = "PROJECT/PIPELINE/VERSION"
MODELS = "PROJECT[/PIPELINE[/VERSION]]"
PIPELINES = "PROJECT[/PIPELINE]"
ID_LENGTH = 32  # hexadecimal digits
SHORT_ID = re.compile(r"[0-9a-f]+")
SHORTEST_ID = 4

# Arguments in the usage line only, which says everything about them.
ModelArgument = Annotated[str, typer.Argument(metavar=MODEL, hidden=True)]
ModelsArgument = Annotated[str, typer.Argument(metavar=MODELS, hidden=True)]
PipelinesArgument = Annotated[str, typer.Argument(metavar=PIPELINES, hidden=True)]
_HELP = "{} instead of the argument; may contain a slash."
Project = Annotated[str, typer.Option("--project", metavar="NAME", help=_HELP.format("Project"))]
Pipeline = Annotated[str, typer.Option("--pipeline", metavar="NAME", help=_HELP.format("Pipeline"))]
Version = Annotated[str, typer.Option("--version", metavar="NAME", help=_HELP.format("Version"))]
RuleName = Annotated[str, typer.Option("--rule", metavar="NAME", help="Only this rule.")]
Force = Annotated[bool, typer.Option("--force", help="Accept a name that no signal has reported.")]


NOT_SEEN = "no signal has reported it yet: this applies once one does"


class UnknownNameError(BridgeError):
    """Model, rule or request that the bridge does not know."""


class ArgumentOrCommand(TyperGroup):
    """Group whose first word names one of its commands, or else is its own argument."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words after the group's name."""
        if args and args[0] in self.commands:
            return super().parse_args(ctx, ["", *args])  # an empty argument
        ctx.allow_interspersed_args = True
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; the usage line of a command in the group shows none of the group's arguments."""
        parameters = super().get_params(ctx)
        own = ctx.command is self
        return [item for item in parameters if own or item.param_type_name != "argument"]


def named(text: str, project: str, pipeline: str, version: str = "", *, form: str = MODELS) -> dict[str, str]:
    """Return project, pipeline and version of an argument, or of the options; "" = any.

    form: MODEL, MODELS or PIPELINES: which parts there are. Raises BadParameter.
    """
    options = (project, pipeline, version)
    if text and any(options):
        raise typer.BadParameter(f"name it either as {form} or with the options")
    most = form.count("/") + 1
    parts = tuple(text.split("/")) if text else options[:most]
    complete = all(parts) and (len(parts) <= most if form != MODEL else len(parts) == most)
    if not complete and (text or form == MODEL):
        raise typer.BadParameter(f"name it as {form}, or with the options, which also accept names with slashes")
    return dict(zip(PARTS[:most], (*parts, *[""] * (most - len(parts))), strict=True))


def shown(names: Mapping[str, str]) -> str:
    """Return PROJECT/PIPELINE/VERSION, without the parts that are missing or empty."""
    return "/".join(filter(None, (names.get(part, "") for part in PARTS)))


def model_name(entry: Mapping[str, Any]) -> str:
    """Return PROJECT/PIPELINE/VERSION of an entry of the API."""
    return f"{entry['project']}/{entry['pipeline']}/{entry['version']}"


def require_known(url: str, http_config: Path | None, names: Mapping[str, str], *, force: bool | None = None) -> bool:
    """Return whether the bridge lists or remembers a model with these names.

    names: project, pipeline and version; "" = any.
    force: whether an unknown name is accepted; None for a command without that option.

    Raises UnknownNameError with near names if it does not and no unknown name is accepted.
    """
    known = _is_known(url, http_config, names)
    if not known and not force:
        name, given = shown(names), [part for part in PARTS if names.get(part)]
        listed = get(url, http_config, "models", {"limit": CANDIDATES})["models"]
        candidates = ("/".join(item[part] for part in given) for item in listed)
        kind = "model" if "version" in given else given[-1]
        advice = "" if force is None else " (--force accepts it)"
        raise UnknownNameError(f"no signal has reported a {kind} {name!r}{_hint(name, candidates)}{advice}")
    return known


def _is_known(url: str, http_config: Path | None, names: Mapping[str, str]) -> bool:
    """Return whether the bridge lists or remembers a model with these names; "" = any."""
    if not any(names.values()) or get(url, http_config, "models", {**names, "limit": 1})["models"]:
        return True
    given = {part: names.get(part, "") for part in PARTS}
    past = "decisions" if all(given.values()) else "requests"  # of models that were replaced or retired
    return bool(get(url, http_config, past, {**given, "limit": 1})[past])


def require_rule(url: str, http_config: Path | None, rule: str) -> None:
    """Raise UnknownNameError with near names if the bridge has no rule of that name."""
    groups = get(url, http_config, "rules", {"exclude_alerts": "true"})["groups"]
    names = {item["name"] for group in groups for item in group["rules"]}
    if rule not in names:
        raise UnknownNameError(f"there is no rule {rule!r}{_hint(rule, names)}")


def explain_nothing(url: str, http_config: Path | None, names: Mapping[str, str], rule: str = "") -> None:
    """Raise UnknownNameError if a listing is empty because a filter names what there is not."""
    if rule:
        require_rule(url, http_config, rule)
    require_known(url, http_config, names)


def full_id(url: str, http_config: Path | None, text: str) -> str:
    """Return the id of the request that begins with a text; a text of another form is returned as it is.

    Raises UnknownNameError if no request, or several, among the latest ones begin with it, and BadParameter without it.
    """
    if not text:
        raise typer.BadParameter("the id is empty; `requests list` shows the ids")
    if len(text) >= ID_LENGTH or not SHORT_ID.fullmatch(text):
        return text
    if len(text) < SHORTEST_ID:
        raise typer.BadParameter(f"{text!r} is too short: give the id of the request, or at least its first 4 digits")
    ids: list[str] = [item["id"] for item in get(url, http_config, "requests", {"limit": CANDIDATES})["requests"]]
    found = [one for one in ids if one.startswith(text)]
    if len(found) != 1:
        names = f": {', '.join(found[:5])}" if found else ""
        raise UnknownNameError(f"{len(found) or 'none'} of the latest {len(ids)} requests begin with {text!r}{names}")
    return found[0]


def _hint(name: str, known: Iterable[str]) -> str:
    import difflib

    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, 3, 0.6)
    if near:
        return f"; did you mean {' or '.join(map(repr, near))}?"
    return f"; known are: {', '.join(names[:10])}{' ...' if len(names) > 10 else ''}" if names else "; none is known"
