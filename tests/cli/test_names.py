"""Names of models and pipelines: one way for all commands."""

from __future__ import annotations

import pytest

from bridge.domain.model import ModelKey
from bridge.ports import RequestFilter
from tests.cli.conftest import Command
from tests.support.fake_views import model_view
from tests.support.web import Site

pytestmark = pytest.mark.usefixtures("site")

MODEL = [
    ("explain",), ("models", "show"), ("requests", "create", "--reason=x", "--by=ada", "--force"),
]  # fmt: skip
SEVERAL = [
    ("models", "list"), ("requests", "list"), ("report",), ("silence",), ("pause", "--by=ada"), ("resume",),
]  # fmt: skip


def joined(words: tuple[str, ...]) -> str:
    return " ".join(words[:2])


@pytest.mark.parametrize("words", MODEL, ids=joined)
def test_a_model_is_named_by_an_argument_or_by_options(command: Command, site: Site, words: tuple[str, ...]) -> None:
    """Never by both, and never in part; options accept slashes."""
    site.queries.views = [model_view(), model_view(ModelKey("team/shop", "ranking", "7"))]
    options = ("--project=team/shop", "--pipeline=ranking", "--version=7")
    assert command(*words, "shop/ranking/7")[0] == 0
    assert command(*words, *options)[0] == 0
    for wrong in ((), ("shop/ranking",), ("a/b/c/d",), ("a//b",), ("shop/ranking/7", *options), options[:2]):
        code, _, err = command(*words, *wrong)
        assert (code, "PROJECT/PIPELINE/VERSION" in err) == (2, True), wrong


@pytest.mark.parametrize("words", SEVERAL, ids=joined)
def test_several_models_are_named_in_the_same_way(command: Command, words: tuple[str, ...]) -> None:
    """Never by argument and options."""
    for wrong in (("shop/ranking", "--project=shop"), ("a//b",), ("/a",), ("a/b/c/d",)):
        code, _, err = command(*words, *wrong)
        assert (code, "PROJECT[/PIPELINE" in err) == (2, True), wrong


@pytest.mark.parametrize(
    "words", [*MODEL[:2], ("requests", "create", "--reason=x"), ("silence",), ("models", "list")], ids=joined
)
def test_an_unknown_model_gets_a_suggestion(command: Command, words: tuple[str, ...]) -> None:
    """Exit code 1."""
    code, out, err = command(*words, "shop/rankng/7")
    assert (code, out) == (1, "")
    assert "no signal has reported a model 'shop/rankng/7'; did you mean 'shop/ranking/7'?" in err


@pytest.mark.parametrize("words", [("silence",), ("pause",)], ids=joined)
def test_an_unknown_pipeline_is_refused_unless_forced(command: Command, site: Site, words: tuple[str, ...]) -> None:
    """Each part is compared with names of the same parts."""
    site.queries.records = []
    code, out, err = command(*words, "shop/rankng")
    assert (code, out) == (1, "")
    assert err.endswith(
        "no signal has reported a pipeline 'shop/rankng'; did you mean 'shop/ranking'? (--force accepts it)\n"
    )
    code, _, err = command(*words, "shp")
    assert (code, "no signal has reported a project 'shp'; did you mean 'shop'?" in err) == (1, True)
    assert site.commands.paused == []


def test_an_empty_listing_with_an_unknown_rule_is_an_error(command: Command, site: Site) -> None:
    """It would look like a rule without models or requests."""
    site.queries.records = []
    for words in (("models", "list"), ("requests", "list"), ("rules", "list")):
        code, out, err = command(*words, "--rule=Drifed")
        assert (code, out, "did you mean 'Drifted'?" in err) == (1, "", True), (words, err)


def test_an_argument_filters_a_listing(command: Command, site: Site) -> None:
    """As the options do; a project without requests is no error."""
    assert command("models", "list", "shop/search")[1].splitlines()[1].startswith("shop/search/2 ")
    command("requests", "list", "shop/ranking/7")
    assert site.queries.asked[-1] == RequestFilter((), "shop", "ranking", "7", 51)
    site.queries.records = []
    assert command("requests", "list", "shop/search") == (0, "no requests\n", "")
