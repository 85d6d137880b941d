"""Templates, structures and expressions."""

from __future__ import annotations

import pytest

from bridge.sinks.runs.template import TemplateError, names, render, render_path, render_text

VARIABLES = {"ID": "a/b?c", "Reason": 'x"\n{{ .ID }}', "Attempt": 2, "Parameters": {"a": 1, "b-c": ["x"], "d": "e"}}


def test_a_whole_variable_is_its_value() -> None:
    """Text, number and mapping; a value that looks like a template is not rendered again."""
    assert render({"n": "{{ .Attempt }}", "p": ["{{.Parameters}}"], "r": "{{ .Reason }}"}, VARIABLES) == {
        "n": 2, "p": [VARIABLES["Parameters"]], "r": VARIABLES["Reason"],
    }  # fmt: skip


def test_within_a_text_a_value_is_text() -> None:
    """An absent one is empty; in a path a value stays in its segment."""
    assert render_text("n={{ .Attempt }} {{ .Labels.x }}!", VARIABLES) == "n=2 !"
    assert render_path("/runs/{{ .ID }}", VARIABLES) == "/runs/a%2Fb%3Fc"
    assert render("{{ .Labels.x }}", VARIABLES) is None


def test_functions_change_the_shape() -> None:
    """For servers that want texts, pairs, tags or an environment."""
    assert render("{{ .Parameters | strings }}", VARIABLES) == {"a": "1", "b-c": '["x"]', "d": "e"}
    assert render("{{ .Parameters | pairs }}", VARIABLES) == ["a=1", 'b-c=["x"]', "d=e"]
    assert render("{{ .Parameters | tags }}", VARIABLES)[2] == {"key": "d", "value": "e"}
    assert render("{{ .Parameters | env }}", VARIABLES)[1] == {"name": "RB_B_C", "value": '["x"]'}
    assert render("{{ .Parameters | json }}", VARIABLES) == '{"a": 1, "b-c": ["x"], "d": "e"}'
    assert render("{{ .Attempt | number }}", {"Attempt": "12"}) == 12


def test_a_base_is_merged_into() -> None:
    """Mappings by key, lists by element, and `key+` appends."""
    base = {"spec": {"a": 1, "items": [{"env": [1], "n": "x"}, {"n": "y"}]}}
    template = {"$base": "{{ .Found.job }}", "spec": {"b": 2, "items": [{"env+": [2], "new+": [3]}]}}
    assert render(template, {"Found": {"job": base}}) == {
        "spec": {"a": 1, "b": 2, "items": [{"env": [1, 2], "n": "x", "new": [3]}, {"n": "y"}]}
    }
    assert render(template, {})["spec"]["b"] == 2


@pytest.mark.parametrize("text", ["{{ .ID", "}} {{ .ID }}", "{{ ID }}", "{{ .Id }}", "{{ .ID.x }}", "{{ .ID | up }}"])
def test_a_wrong_template_is_refused(text: str) -> None:
    """When the configuration is read, not when a run is started."""
    with pytest.raises(TemplateError):
        list(names({"deep": [text]}))
