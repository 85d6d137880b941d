"""Parser of templates: the tree, names that are not defined, and bounds."""

from __future__ import annotations

import pytest

from bridge.templates.errors import TemplateError
from bridge.templates.nodes import Action, Branch, Invocation, Jump, Text, Tree
from bridge.templates.parser import MAX_DEPTH, parse


def tree(text: str) -> Tree:
    return parse("t", text, {"f", "g"})


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        ("{{f 1 .A.B | g}}", "f 1 .A.B | g"),
        ('{{$x := f "a"}}', '$x := f "a"'),
        ("{{(f 1).A.B}}", "(f 1).A.B"),
        ("{{$.A}}", "$.A"),
        ("{{f (g 1) nil true}}", "f (g 1) nil true"),
    ],
)
def test_a_pipeline_prints_as_it_is_written(source: str, printed: str) -> None:
    (action,) = tree(source).body
    assert isinstance(action, Action)
    assert str(action.pipe) == printed


def test_branches_nest() -> None:
    """`else if` is a branch within the other branch."""
    (branch,) = tree("{{if 1}}a{{else if 2}}b{{else}}c{{end}}").body
    assert isinstance(branch, Branch)
    assert [item.text for item in branch.body] == ["a"]
    (inner,) = branch.otherwise or ()
    assert ([item.text for item in inner.body], [item.text for item in inner.otherwise]) == (["b"], ["c"])


def test_definitions_are_kept_by_name() -> None:
    """A block is also invoked where it stands, and does not replace a definition."""
    found = tree('{{define "a"}}x{{end}}{{block "b" 1}}y{{end}}{{block "a" 1}}z{{end}}')
    assert {name: [item.text for item in body] for name, body in found.defined.items()} == {"a": ["x"], "b": ["y"]}
    assert [str(item) for item in found.body if isinstance(item, Invocation)] == [
        '{{template "b" 1}}', '{{template "a" 1}}',
    ]  # fmt: skip


def test_a_jump_is_allowed_in_a_loop_only() -> None:
    (loop,) = tree("{{range .}}{{break}}{{end}}").body
    assert isinstance(loop.body[0], Jump)
    with pytest.raises(TemplateError, match="outside"):
        tree("{{break}}")


def test_variables_end_with_their_block() -> None:
    assert isinstance(tree("{{if 1}}{{$x := 1}}{{$x}}{{end}} ").body[1], Text)
    with pytest.raises(TemplateError, match=r'undefined variable "\$x"'):
        tree("{{if 1}}{{$x := 1}}{{end}}{{$x}}")
    with pytest.raises(TemplateError, match=r'undefined variable "\$value"'):
        tree('{{$value := 1}}{{define "a"}}{{$value}}{{end}}')


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a\n{{h}}", 't:2: function "h" not defined'),
        ("{{}}", "missing value for command"),
        ("{{if}}{{end}}", "missing value for if"),
        ("{{if 1}}", "unexpected EOF"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{if 1}}{{else}}{{else}}{{end}}", "expected end; found {{else}}"),
        ("{{with 1}}{{else if 2}}{{end}}", "unexpected <if> in input"),
        ("{{1 | 2}}", "non executable command in pipeline stage 2"),
        ("{{1.A}}", 'bad number syntax: "1.A"'),
        ("{{true.A}}", 'unexpected . after term "true"'),
        ("{{$a, $b := 1}}", "too many declarations in command"),
        ("{{range $a, 1}}{{end}}", "range can only initialize variables"),
        ("{{template f}}", 'unexpected "f" in template clause'),
        (r'{{"\q"}}', "invalid syntax"),
        ("{{1i}}", "complex constant 1i is not supported"),
    ],
)
def test_errors_have_a_line_and_a_reason(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        tree(source)
    assert message in str(caught.value)


def test_depth_is_bounded() -> None:
    """One level of a list and one of its pipeline count."""
    assert tree("{{" + "(" * (MAX_DEPTH - 2) + "1" + ")" * (MAX_DEPTH - 2) + "}}").body
    with pytest.raises(TemplateError, match=f"nested more than {MAX_DEPTH} deep"):
        tree("{{" + "(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH + "}}")
