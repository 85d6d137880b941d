"""Templates of alerts: labels and annotations of rules, as Prometheus expands them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.templates.builtins import BUILTINS
from bridge.templates.errors import CallError, TemplateError
from bridge.templates.evaluator import Limits, execute
from bridge.templates.nodes import Tree
from bridge.templates.parser import parse
from bridge.templates.plain import compiled
from bridge.templates.prometheus import DYNAMIC, STATIC, Context, functions_of
from bridge.templates.values import ANY, STRING, AlertData, Function, Html

DEFINITIONS = (
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
)
THRESHOLD = "{{$threshold := .Threshold}}"
NAMES = frozenset({*BUILTINS, *STATIC, *DYNAMIC})
LONGEST = 64 * 1024
_FUNCTIONS = {**BUILTINS, **STATIC}


class AlertTemplate:
    """One label or annotation of a rule, parsed once.

    text: as written. name: of the alert, for messages. Raises TemplateError.
    """

    def __init__(self, text: str, name: str = "") -> None:
        if len(text) > LONGEST:
            raise TemplateError(f"template longer than {LONGEST} characters")
        self.text = text
        self._tree: Tree | None = None
        self._compiled: Callable[[AlertData], str] | None = None
        if "{{" in text:
            definitions = DEFINITIONS + THRESHOLD if "$threshold" in text else DEFINITIONS
            self._tree = parse(f"__alert_{name}", definitions + text, NAMES)
            self._compiled = compiled(self._tree.body[definitions.count("{{") :], _FUNCTIONS)

    def inserted(self, data: AlertData) -> str | None:
        """Return the text of a template that only inserts values, None where the evaluator is needed."""
        if self._compiled is None:
            return self.text if self._tree is None else None
        try:
            return self._compiled(data)
        except Exception:  # noqa: BLE001 - the evaluator words the error
            return None

    def expand(self, data: AlertData, context: Context, limits: Limits | None = None) -> str:
        """Return the text for one alert. Raises TemplateError."""
        if self._tree is None:
            return self.text
        if limits is None and (text := self.inserted(data)) is not None:
            return text
        tree = self._tree
        functions = {**BUILTINS, **STATIC, **functions_of(context)}

        def tmpl(name: str, value: Any) -> Html:
            body = tree.defined.get(name)
            if body is None:
                raise CallError(f'template "{name}" not defined')
            called = type(tree)(name, tree.text, body, tree.defined)
            return Html(execute(called, value, functions, limits))

        functions["tmpl"] = Function(tmpl, (STRING, ANY))
        try:
            return execute(tree, data, functions, limits)
        except (TemplateError, RecursionError) as error:
            raise TemplateError(f"error executing template {tree.name}: {error}") from None

    def expand_or_tell(self, data: AlertData, context: Context, limits: Limits | None = None) -> str:
        """Return the text for one alert, or Prometheus' words for the error in its place."""
        try:
            return self.expand(data, context, limits)
        except TemplateError as error:
            return f"<error expanding template: {error}>"
