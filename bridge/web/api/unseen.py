"""Names that no signal has reported: a form accepts them on a second confirmation, the API with `force`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from bridge.domain.errors import StoreError
from bridge.engine.api.interface import Queries
from bridge.net.problem import ProblemError
from bridge.ports import RequestFilter

PARTS = ("project", "pipeline", "version")
CANDIDATES = 1000  # models to look for a near name in
ACCEPT = "unseen"  # field of the confirmation


def unseen(queries: Queries, values: Mapping[str, str]) -> str:
    """Return why a form needs a confirmation, with near names; "" if its models are known or it was confirmed.

    values: the fields of the form; without project, pipeline and version it names every model.
    """
    names = {part: values.get(part, "") for part in PARTS}
    given = [part for part in PARTS if names[part]]
    if not given or values.get(ACCEPT) == "yes" or _is_known(queries, *names.values()):
        return ""
    name = "/".join(names[part] for part in given)
    listed = queries.models_by_name(limit=CANDIDATES).models
    known = {"/".join(getattr(view.model, part) for part in given) for view in listed}
    near = difflib.get_close_matches(name, sorted(known), 3, 0.6)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    kind = "model" if "version" in given else given[-1]
    return f"No signal has reported a {kind} {name}.{hint}"


def require_seen(queries: Queries, values: Mapping[str, str], *, force: bool) -> None:
    """Raise ProblemError 422 with near names if no signal has reported such a model, unless it is forced.

    values: project, pipeline and version; without any, every model is meant.
    """
    why = "" if force else unseen(queries, values)
    if why:
        raise ProblemError(422, f"{why} To accept it, set force to true.")


def _is_known(queries: Queries, project: str, pipeline: str, version: str) -> bool:
    if queries.models_by_name(project=project, pipeline=pipeline, version=version, limit=1).total:
        return True
    try:
        return bool(queries.requests(RequestFilter((), project, pipeline, version, limit=1)))
    except StoreError:
        return True  # the action itself reports it
