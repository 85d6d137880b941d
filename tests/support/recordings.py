"""Recorded answers of real servers (tests/data/api_recordings), as `responses` mocks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import responses

FOLDER = Path(__file__).parent.parent / "data" / "api_recordings"


@dataclass(frozen=True)
class Recording:
    """One request and what the server answered."""

    path: str
    params: dict[str, Any]
    status: int
    body: str
    content_type: str

    def mock(self, mocked: responses.RequestsMock, base: str, params: dict[str, str]) -> responses.BaseResponse:
        """Answer GET base + path with the recording, when the query string is exactly `params`."""
        answer: responses.BaseResponse = mocked.get(
            base + self.path, body=self.body, status=self.status, content_type=self.content_type,
            match=[responses.matchers.query_param_matcher(params)],
        )  # fmt: skip
        return answer


def recording(server: str, name: str) -> Recording:
    """The recording `name` ("01_vector") of `server` ("prometheus-2.42")."""
    raw = json.loads((FOLDER / server / f"{name}.json").read_text())
    request = raw["request"]
    return Recording(
        request["path"], request["params"] or {}, raw["status"], raw["body"], raw["headers"].get("Content-Type", "")
    )
