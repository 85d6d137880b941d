"""The fast path of templates expands as the evaluator does."""

from __future__ import annotations

from bridge.templates.alert import AlertTemplate
from bridge.templates.errors import TemplateError
from bridge.templates.evaluator import Limits
from bridge.templates.prometheus import Context
from bridge.templates.values import AlertData
from tests.templates.corpus import EXTERNAL_LABELS, EXTERNAL_URL, TEMPLATES, VALUES

MORE = [
    "{{ $value := .Labels.pipeline }}{{ $value }}", "{{ $labels.pipeline }} {{ $value := 3 }}{{ $value }}",
    "{{ $value }} above {{ $threshold }}", "{{ printf \"%.2f\" $threshold }}", "{{ .Threshold | humanize }}",
    "{{ $x := $value }}{{ $x }}", "{{ or $value $labels.pipeline }}", "{{ toUpper $value }}", "{{ $labels.a.b }}",
]  # fmt: skip
CONTEXT = Context(1_700_000_000_000, EXTERNAL_URL, lambda expr, at: [])


def parsed(text: str) -> AlertTemplate | None:
    try:
        return AlertTemplate(text, "A")
    except TemplateError:
        return None


def test_the_fast_path_expands_as_the_evaluator_does() -> None:
    templates = [item for item in map(parsed, [*TEMPLATES, *MORE]) if item is not None and item._compiled is not None]
    assert len(templates) > 200  # the others take no fast path
    for template in templates:
        for value, labels in VALUES:
            for limit in (None, 0.6) if "hreshold" in template.text else (None,):
                data = AlertData(labels, EXTERNAL_LABELS, EXTERNAL_URL, value, limit)
                expected = template.expand_or_tell(data, CONTEXT, Limits())
                assert template.expand_or_tell(data, CONTEXT) == expected, (template.text, value, labels)


def test_templates_that_insert_values_take_the_fast_path() -> None:
    for text in (
        "Drift {{ $value }} on {{ $labels.pipeline }}",
        '{{ $value | humanize }} > {{ printf "%.2f" $threshold }}',
    ):
        assert AlertTemplate(text)._compiled is not None, text
