"""The files that pages load: from here and from nowhere else."""

from __future__ import annotations

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

FOLDER = Path(__file__).parent.parent / "static"
_YEAR = "public, max-age=31536000, immutable"


def routes() -> APIRouter:
    """`/static/NAME`; with the version that the pages ask for, a browser need not ask again."""
    router = APIRouter()

    @router.get("/static/{name}")
    def file(name: str, v: str = "") -> Response:
        found = _files().get(name)
        if found is None:
            raise HTTPException(404, "there is no such file")
        kind, body, digest = found
        caching = _YEAR if v == digest else "no-cache"
        return Response(body, media_type=kind, headers={"Cache-Control": caching, "ETag": f'"{digest}"'})

    return router


def versioned(name: str) -> str:
    """The name with its version, so that a browser never shows a new page with an old file."""
    return f"{name}?v={_files()[name][2]}"


@cache
def _files() -> dict[str, tuple[str, bytes, str]]:
    """By name: media type, body, digest."""
    found = {}
    for path in sorted(FOLDER.iterdir()):
        if path.is_file():
            body = path.read_bytes()
            kind = mimetypes.guess_type(path.name)[0] or "text/plain"
            found[path.name] = (kind, body, hashlib.sha256(body).hexdigest()[:16])
    return found
