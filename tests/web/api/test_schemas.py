"""JSON Schemas of response bodies."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from bridge.net.problem import Body
from bridge.web.api import schemas
from bridge.web.upstream import Upstream
from tests.support.fake_histories import FakeHistories
from tests.support.fake_views import ID
from tests.support.web_app import Site

GETS = [path for method, path in schemas.DATA if method == "get"]
QUERIES = {
    "/api/v1/trail": "?project=shop&pipeline=ranking&version=7",
    "/api/v1/history": "?project=shop&pipeline=ranking&version=7&rule=Drifted",
    "/api/v1/explain": "?project=shop&pipeline=ranking&version=7",
    "/api/v1/forecast": "?project=shop&pipeline=ranking",
}


def schema(body: type[Body]) -> dict[str, Any]:
    return {**schemas.ref(body), "components": {"schemas": schemas.schemas()}}


@pytest.mark.parametrize("path", GETS)
def test_data_has_its_schema(path: str) -> None:
    """Of every GET, with an unknown member refused."""
    data = Site(upstream=Upstream(FakeHistories())).data(path.replace("{request_id}", ID) + QUERIES.get(path, ""))
    wanted = schema(schemas.DATA["get", path])
    jsonschema.validate(data, wanted)
    assert isinstance(data, dict)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, "surprise": 1}, wanted)


def test_every_reference_has_a_schema() -> None:
    """Problem details are among them."""
    known = schemas.schemas()
    assert {body.__name__ for body in schemas.DATA.values()} <= set(known)
    assert "Problem" in known
