"""Errors of templates, worded as Go's text/template words them."""

from __future__ import annotations


class TemplateError(ValueError):
    """A template that cannot be parsed or executed."""


class CallError(Exception):
    """A function that fails; the evaluator adds where it was called."""
