"""Names of labels in PromQL."""

from __future__ import annotations

import pytest

from bridge.domain.label_names import in_promql


@pytest.mark.parametrize(
    ("name", "written"),
    [("version", "version"), ("gen_ai.request.model", '"gen_ai.request.model"'), ("2nd", '"2nd"'), ('a"b', r'"a\"b"'),
     ("größe", '"größe"')],
)  # fmt: skip
def test_a_name_is_quoted_unless_it_is_a_plain_word(name: str, written: str) -> None:
    assert in_promql(name) == written
