"""Label sets and label mappings of files."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bridge.config.labels import LabelsModel, ModelsModel, check_labels, check_names
from bridge.domain.limits import LARGEST_LABELS, LONGEST_PART
from bridge.domain.rule import LabelRef, ModelLabels
from bridge.files.yaml import Document, parse


def problems(labels: dict[str, str], taken: dict[str, str] | None = None, **more: bool) -> list[str]:
    document = parse("labels: {}\n", Document("a.yml"))
    check_labels(labels, document, ("labels",), taken or {}, **more)
    return [problem.message for problem in document.problems]


def test_parts_that_are_not_given_are_those_of_the_base() -> None:
    base = ModelLabels(LabelRef("a"), LabelRef("b"), LabelRef("c"))
    mapping = LabelsModel.model_validate({"pipeline": "job", "version": {"const": "1"}})
    assert mapping.over(base) == ModelLabels(LabelRef("a"), LabelRef("job"), LabelRef(const="1"))
    assert ModelsModel().over(base) == base


@pytest.mark.parametrize(
    "ref", ["", " ", "a\nb", 3, {}, {"const": ""}, {"const": 3}, {"const": "x" * (LONGEST_PART + 1)}, {"label": "x"}]
)
def test_other_references_are_refused(ref: Any) -> None:
    with pytest.raises(ValidationError):
        LabelsModel.model_validate({"version": ref})


def test_any_printable_text_may_be_a_label_of_a_series() -> None:
    """Series may have UTF-8 names."""
    assert LabelsModel.model_validate({"version": "model.näme"}).version == LabelRef("model.näme")


def test_names_that_prometheus_refuses_are_reported() -> None:
    document = parse("labels: {}\n", Document("a.yml"))
    check_names(["ok_1", "_x", "1a", "a-b", "", "ä"], document, ("labels",))
    assert [problem.message.split(" is ")[0] for problem in document.problems] == ["'1a'", "'a-b'", "''", "'ä'"]


def test_labels_of_the_bridge_and_of_elsewhere_are_taken() -> None:
    assert problems({"pipeline": "x"}) == ["label 'pipeline' is set by the bridge itself"]
    assert problems({"team": "x"}, {"team": "global"}) == ["label 'team' is also set in global"]
    assert problems({"team": "x"}) == []


def test_templates_are_allowed_where_they_are_expanded() -> None:
    assert problems({"a": "{{ $value }}"}) == ["label 'a' holds a template"]
    assert problems({"a": "{{ $value }}"}, templates=True) == []


def test_all_labels_together_have_a_limit() -> None:
    """In bytes, as they are sent."""
    assert problems({"a": "x" * (LARGEST_LABELS - 1)}) == []
    (message,) = problems({"a": "x" * LARGEST_LABELS})
    assert f"at most {LARGEST_LABELS} bytes" in message
    assert len(problems({"a": "ä" * (LARGEST_LABELS // 2)})) == 1
