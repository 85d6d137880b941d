"""Takes secrets out of what people read: URLs, credentials and signing secrets in any text."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

SECRET = "<secret>"  # noqa: S105 - what is printed instead of one
# A password may hold whatever ends a URL in a text.
_USER = re.compile(r"(https?://)[^\s/?#]*@")
_URL = re.compile(r"https?://(?:<secret>|[^\s'\"<>\\)])+")
# requests names the path of a failed URL alone: its query string holds what the URL's held.
_BARE_QUERY = re.compile(r"(?<=[\w/])\?[^\s'\"<>()]*")
_WHSEC = re.compile(r"whsec_[A-Za-z0-9+/=_-]+")
_HEADER = re.compile(r"(?i)\b(authorization['\"]?\s*[:=]\s*['\"]?)([A-Za-z]+\s+)?[^\s'\",}]+")
_SCHEME = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}")


_STOPS = ":.,;"  # at its end they belong to the sentence, not to the URL


def redact_url(url: str) -> str:
    """`url` without user info, and with the values of its query string hidden."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return SECRET
    host = parts.netloc.rpartition("@")[2]
    user = f"{SECRET}@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{user}{host}{parts.path}" + (f"?{SECRET}" if "?" in url else "")


def redact(text: str) -> str:
    """`text` with every URL in it redacted, and authorization values and `whsec_` secrets hidden."""
    text = _USER.sub(lambda match: f"{match.group(1)}{SECRET}@", text)
    text = _URL.sub(lambda match: redact_url(match.group().rstrip(_STOPS)) + _stops(match.group()), text)
    text = _BARE_QUERY.sub(_without_values, text)
    text = _WHSEC.sub(SECRET, text)
    text = _HEADER.sub(lambda match: match.group(1) + SECRET, text)
    return _SCHEME.sub(lambda match: f"{match.group(1)} {SECRET}", text)


def _without_values(match: re.Match[str]) -> str:
    """Return the query string hidden, and what is none as it was."""
    return f"?{SECRET}{_stops(match.group())}" if "=" in match.group() else match.group()


def _stops(found: str) -> str:
    """The punctuation at the end of a match."""
    return found[len(found.rstrip(_STOPS)) :]
