"""Label matchers with the syntax of Alertmanager."""

from __future__ import annotations

import pytest

from bridge.domain.matchers import Matcher
from bridge.domain.regex import ALERTMANAGER, PROMETHEUS, Dialect, Regex


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
        ("gen_ai.request.model=x", "gen_ai.request.model", "=", "x"),
        ('"gen_ai.request.model" =~ "x.*"', "gen_ai.request.model", "=~", "x.*"),
        ('"a, \\"b\\""!=c', 'a, "b"', "!=", "c"),
        ("größe=1", "größe", "=", "1"),
        ('2nd="x"', "2nd", "=", "x"),
    ],
)
def test_a_matcher_is_read_as_in_alertmanager(text: str, name: str, op: str, value: str) -> None:
    """Quotes are optional, white space around the parts is ignored, unknown escapes stay."""
    assert Matcher.parse(text) == Matcher(name, op, value)


@pytest.mark.parametrize("text", ["", "severity", "=page", '""="x"', '"a="b"', "a b=c", 'a=b"', 'a="b"c"', 'a="b"c'])
def test_an_invalid_matcher_is_refused_with_an_example(text: str) -> None:
    """The error shows a valid example."""
    with pytest.raises(ValueError, match='for example severity="page"'):
        Matcher.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "a=~(",
        "a!~[",
        "a=~*",
        "a=~b)|(c",
        r"a=~\Z",
        "a=~(?=b)",
        r"a=~(b)\\1",
        r"a=~\C",
        "a=~b{1001}",
        "a=~(b{100}){100}",
        "a=~\ud800",
    ],
)
def test_a_wrong_regular_expression_is_refused(text: str) -> None:
    """Syntax that Go lacks, and more than 1000 repetitions."""
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
        ("a=~b.c", {"a": "b\nc"}, False),
        ("a=~[[:alpha:]]+", {"a": "größe"}, False),
        ("a=~[[:alpha:]]+", {"a": "size"}, True),
        (r"a=~\pL+", {"a": "größe"}, True),
        (r"a=~b\z", {"a": "b"}, True),
        (r"a=~\QC.\E+", {"a": "C.."}, True),
        (r"a=~\Q\C\E", {"a": r"\C"}, True),
        ("a=~.*", {"a": "\ud800"}, True),
    ],
)
def test_a_matcher_looks_at_the_whole_value(text: str, labels: dict[str, str], matches: bool) -> None:
    """A missing label counts as empty."""
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
    """Commas separate them, except inside quotes; braces are optional."""
    assert [str(matcher) for matcher in Matcher.parse_list(text)] == written


@pytest.mark.parametrize("text", ["", " ", "{}", ","])
def test_no_matcher_at_all_is_an_error(text: str) -> None:
    """A catch-all route is written without `matchers`."""
    with pytest.raises(ValueError, match="contains no matcher"):
        Matcher.parse_list(text)


def test_a_printed_matcher_can_be_read_again() -> None:
    """Quotes, backslashes and line ends survive."""
    matcher = Matcher("a", "=", 'x"\\\n,')
    assert Matcher.parse(str(matcher)) == matcher


def test_the_dot_of_prometheus_takes_line_ends() -> None:
    """Alertmanager's does not."""
    (matcher,) = Matcher.parse_list('{a=~"b.c"}', PROMETHEUS)
    assert matcher.matches({"a": "b\nc"})


@pytest.mark.parametrize("dialect", [ALERTMANAGER, PROMETHEUS])
def test_a_regular_expression_has_a_largest_size(dialect: Dialect) -> None:
    """Both its text and its compiled form are limited; the message is short."""
    for text in ("x" * 65_537, r"\pL{1000}"):
        with pytest.raises(ValueError, match=r"too large; write fewer|write at most 65536") as raised:
            Matcher.parse(f"a=~{text}", dialect)
        assert len(str(raised.value)) < 400


def test_five_hundred_names_of_models_fit() -> None:
    """A tool that silences a fleet puts all names into one regular expression."""
    names = [f"{number * 7919 % 10007:x}-recommendations" for number in range(500)]
    matcher = Matcher("pipeline", "=~", "|".join(names))
    assert all(matcher.matches({"pipeline": name}) for name in names)
    assert not matcher.matches({"pipeline": f"{names[0]}s"})


@pytest.mark.parametrize(
    "hard",
    [
        'a=~"((.+)+)+z"', 'a=~"(a+)+b"', 'a=~"(a|aa)+b"', 'a="' + " " * 100_000 + '" ,', "a=" + " " * 100_000 + "x",
        " " * 100_000 + "a", "a" * 100_000, "a" + " " * 100_000, 'a="' + '\\"' * 50_000, 'a=b"' * 20_000, "," * 100_000,
        "a=b," * 20_000, "{" * 100_000,
    ],
)  # fmt: skip
def test_no_text_takes_more_than_linear_time(hard: str) -> None:
    """Each is parsed and matched in milliseconds, or refused; formerly it took minutes to centuries."""
    try:
        found = Matcher.parse_list(hard)
    except ValueError as error:
        said = str(error)
    else:
        said = str([matcher.matches({"a": "a" * 5_000}) for matcher in found[:9]])
    assert "True" not in said
    assert len(said) < 500


def test_a_pattern_of_very_many_unicode_classes_is_refused_before_it_costs_anything() -> None:
    """RE2 reads each as a table, also those of a pattern that is too large in the end."""
    assert Regex(r"\pL+\d").matches("x1")
    with pytest.raises(ValueError, match="more than 256 Unicode classes"):
        Regex(r"\pL" * 257)
