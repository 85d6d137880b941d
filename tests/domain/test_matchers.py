"""Label matchers, as Alertmanager reads them."""

from __future__ import annotations

import pytest

from bridge.domain.matchers import Matcher


@pytest.mark.parametrize(
    ("text", "name", "op", "value"),
    [
        ('severity="page"', "severity", "=", "page"),
        ("severity=page", "severity", "=", "page"),
        ('  team =~ "ml|search"  ', "team", "=~", "ml|search"),
        ("env!=dev", "env", "!=", "dev"),
        ("env !~ dev.*", "env", "!~", "dev.*"),
        ('a=""', "a", "=", ""),
        ("a=", "a", "=", ""),
        (r'a="say \"hi\"\n\\"', "a", "=", 'say "hi"\n\\'),
        (r'a="\d+"', "a", "=", r"\d+"),
        ('a=" b "', "a", "=", " b "),
        ("a:b=c", "a:b", "=", "c"),
        ('a="{b,c}"', "a", "=", "{b,c}"),
    ],
)
def test_a_matcher_is_read_as_in_alertmanager(text: str, name: str, op: str, value: str) -> None:
    """Quotes are optional, white space around the parts is nothing, escapes that mean nothing stay."""
    assert Matcher.parse(text) == Matcher(name, op, value)


@pytest.mark.parametrize("text", ["", "severity", "=page", '2nd="x"', "a-b=c", 'a="b', 'a=b"', 'a="b"c"', 'a="b"c'])
def test_what_is_no_matcher_is_refused_with_an_example(text: str) -> None:
    """The error shows what one looks like."""
    with pytest.raises(ValueError, match='for example severity="page"'):
        Matcher.parse(text)


@pytest.mark.parametrize("text", ["a=~(", "a!~[", "a=~[[:alpha:]]", r"a=~\z", "a=~*"])
def test_a_wrong_regular_expression_is_refused(text: str) -> None:
    """Also one that Python reads otherwise than the place it was copied from."""
    with pytest.raises(ValueError, match="not a regular expression"):
        Matcher.parse(text)


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "bb"}, False),
        ("a=b", {}, False),
        ('a=""', {}, True),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a=~b|c", {"a": "c"}, True),
        ("a=~b|c", {"a": "cc"}, False),
        ("a=~b|c", {"a": "xb"}, False),
        ("a=~.*", {}, True),
        ("a=~.+", {}, False),
        ("a!~b.*", {"a": "bc"}, False),
        ("a!~b.*", {"a": "cb"}, True),
        ("a=~b", {"a": "b\n"}, False),
    ],
)
def test_a_matcher_looks_at_the_whole_value(text: str, labels: dict[str, str], matches: bool) -> None:
    """A label that is missing counts as empty."""
    assert Matcher.parse(text).matches(labels) is matches


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('{severity="page",team="ml"}', ['severity="page"', 'team="ml"']),
        ('severity="page", team=~"a,b"', ['severity="page"', 'team=~"a,b"']),
        ("a=b, c=d", ['a="b"', 'c="d"']),
        (r'a="\",", b=c', [r'a="\","', 'b="c"']),
        ('{a="b"}', ['a="b"']),
        ("a=b", ['a="b"']),
        ("a=b,", ['a="b"']),
    ],
)
def test_one_text_may_hold_several_matchers(text: str, written: list[str]) -> None:
    """Commas part them, except inside quotes; braces around them are optional."""
    assert [str(matcher) for matcher in Matcher.parse_list(text)] == written


@pytest.mark.parametrize("text", ["", " ", "{}", ","])
def test_no_matcher_at_all_is_an_error(text: str) -> None:
    """A route that takes everything is written without `matchers`."""
    with pytest.raises(ValueError, match="holds no matcher"):
        Matcher.parse_list(text)


def test_a_printed_matcher_can_be_read_again() -> None:
    """Quotes, backslashes and line ends survive."""
    matcher = Matcher("a", "=", 'x"\\\n,')
    assert Matcher.parse(str(matcher)) == matcher
