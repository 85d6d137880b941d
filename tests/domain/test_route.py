"""Routing tree: which receivers get a request."""

from __future__ import annotations

from bridge.domain.matchers import Matcher
from bridge.domain.route import EVERY_LABEL, Route


def node(receiver: str, *matchers: str, go_on: bool = False, routes: tuple[Route, ...] = ()) -> Route:
    return Route(receiver, tuple(Matcher.parse(text) for text in matchers), go_on, routes)


TREE = node(
    "default",
    routes=(
        node(
            "ml",
            "team=ml",
            routes=(node("ml-page", "severity=page"), node("ml-ticket", "severity=ticket")),
        ),
        node("audit", "severity=page", go_on=True),
        node("oncall", "severity=page"),
        node("never", "severity=page"),
    ),
)


def test_what_no_route_takes_goes_to_the_root() -> None:
    """The root accepts everything."""
    assert TREE.receivers({}) == ("default",)
    assert TREE.receivers({"severity": "low"}) == ("default",)


def test_the_first_route_that_matches_takes_it() -> None:
    """Later siblings are not tried, even if they match as well."""
    assert TREE.receivers({"team": "ml", "severity": "page"}) == ("ml-page",)


def test_a_route_takes_what_none_of_its_own_routes_does() -> None:
    """The deepest match decides; its parent gets nothing."""
    assert TREE.receivers({"team": "ml"}) == ("ml",)
    assert TREE.receivers({"team": "ml", "severity": "ticket"}) == ("ml-ticket",)


def test_continue_looks_at_the_next_sibling_too() -> None:
    """Until one that does not continue."""
    assert TREE.receivers({"severity": "page"}) == ("audit", "oncall")


def test_every_matcher_of_a_route_must_match() -> None:
    """Several matchers are combined with AND."""
    tree = node("default", routes=(node("both", "a=1", "b=2"),))
    assert tree.receivers({"a": "1"}) == ("default",)
    assert tree.receivers({"a": "1", "b": "2"}) == ("both",)


def test_a_receiver_of_two_routes_gets_a_request_once() -> None:
    """Two routes to one receiver must not be two retrainings."""
    tree = node("default", routes=(node("log", go_on=True), node("default", go_on=True), node("log")))
    assert tree.receivers({}) == ("log", "default")


def test_the_tree_names_the_labels_that_it_reads() -> None:
    """In its order, each once; all labels where a node groups by every label."""
    assert TREE.label_names == ("team", "severity")
    grouped = Route("root", group_by=("project",), routes=(TREE,))
    assert grouped.label_names == ("project", "team", "severity")
    assert Route("root", routes=(Route("all", group_by=(EVERY_LABEL,)),)).label_names is None
