"""Static files of the pages. Pages load nothing from other origins."""

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
    """Return the route `/static/NAME`; a URL with the current version may be cached for a year."""
    router = APIRouter()

    @router.get("/static/{name}")
    def file(name: str, v: str = "") -> Response:
        entry = _files().get(name)
        if entry is None:
            raise HTTPException(404, "file not found")
        media_type, body, digest = entry
        caching = _YEAR if v == digest else "no-cache"
        return Response(body, media_type=media_type, headers={"Cache-Control": caching, "ETag": f'"{digest}"'})

    return router


def versioned(name: str) -> str:
    """Return the name with its version, so that a browser never combines a new page with an old file."""
    return f"{name}?v={_files()[name][2]}"


@cache
def _files() -> dict[str, tuple[str, bytes, str]]:
    """Return media type, body and digest of each file by its name."""
    files = {}
    for path in sorted(FOLDER.iterdir()):
        if path.is_file():
            body = path.read_bytes()
            media_type = mimetypes.guess_type(path.name)[0] or "text/plain"
            files[path.name] = (media_type, body, hashlib.sha256(body).hexdigest()[:16])
    return files
