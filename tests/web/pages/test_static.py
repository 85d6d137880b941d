"""Static files: versions, caching, and their origin."""

from __future__ import annotations

import hashlib
import re

import pytest

from bridge.web.pages.static import FOLDER, versioned
from tests.support.web_app import Site


def test_the_charting_library_is_unchanged() -> None:
    """It is unchanged, with its licence and a note of its source."""
    note = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name, digest in re.findall(r"`(uplot\.\w+)`.*SHA-256 `(\w+)`", note):
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest
    assert note.count("SHA-256") == 2
    assert "uplot.LICENSE.txt" in note
    assert "MIT" in (FOLDER / "uplot.LICENSE.txt").read_text(encoding="utf-8")


def test_a_file_with_its_version_is_cached_for_a_year() -> None:
    """Without it, or with an old one, a browser asks again."""
    http = Site().http
    name = versioned("uplot.js") if (FOLDER / "uplot.js").exists() else versioned(sorted(FOLDER.glob("*.js"))[0].name)
    plain, _, version = name.partition("?v=")
    assert http.get(f"/static/{name}").headers["cache-control"] == "public, max-age=31536000, immutable"
    for query in ("", "?v=old"):
        assert http.get(f"/static/{plain}{query}").headers["cache-control"] == "no-cache"
    assert http.get(f"/static/{plain}").headers["etag"] == f'"{version}"'


@pytest.mark.parametrize("name", ["none.js", "..%2Fapp.py", "../app.py"])
def test_other_files_are_not_served(name: str) -> None:
    assert Site().http.get(f"/static/{name}").status_code == 404


def test_a_page_names_an_existing_file() -> None:
    with pytest.raises(KeyError):
        versioned("none.js")
