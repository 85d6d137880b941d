"""JMESPath expressions over the JSON of a response."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import IncompleteExpressionError, JMESPathError, ParseError
from jmespath.parser import ParsedResult
from pydantic import AfterValidator

from bridge.domain.printable import storable

_compiled = lru_cache(maxsize=1024)(jmespath.compile)


def _checked(text: str) -> str:
    try:
        _compiled(text)
    except IncompleteExpressionError:
        raise ValueError(f"is not a JMESPath expression: {text!r} ends too early") from None
    except ParseError as error:
        where = f"unexpected {error.token_value!r} at column {error.lex_position + 1}"
        raise ValueError(f"is not a JMESPath expression: {where}") from None
    except JMESPathError as error:
        raise ValueError(f"is not a JMESPath expression: {str(error).splitlines()[0]}") from None
    return text


Expression = Annotated[str, AfterValidator(_checked)]


def find(expression: str, value: Any) -> Any:
    """Return what the expression selects, None if that is absent or of another type than the expression expects."""
    parsed: ParsedResult = _compiled(expression)
    try:
        return parsed.search(value)
    except JMESPathError:
        return None


def find_text(expression: str, value: Any) -> str:
    """Return what the expression selects as text; "" if it is absent."""
    found = find(expression, value) if expression else None
    if found is None or isinstance(found, str):
        return storable(found or "")
    return json.dumps(found)


def find_link(expression: str, value: Any) -> str:
    """Return the http or https URL that the expression selects; "" for anything else, which a page must not link to."""
    found = find_text(expression, value)
    return found if found.startswith(("http://", "https://")) else ""


def decoded(body: bytes) -> Any:
    """Return the JSON of a body, None if it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
