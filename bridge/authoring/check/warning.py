"""One warning of a lint."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LintWarning:
    """Warning of a lint, without file and line."""

    lint: str
    message: str
    hint: str = ""
