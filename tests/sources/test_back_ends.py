"""Kinds of servers. tests/integration queries simulated ones of each kind."""

from __future__ import annotations

from typing import get_args

import pytest

from bridge.sources.back_ends import BACK_ENDS, Flavor


@pytest.mark.parametrize(
    ("flavor", "configured", "over_time", "parameters"),
    [
        ("prometheus", None, False, {}),
        ("prometheus", None, True, {"nocache": "1"}),
        ("prometheus", True, False, {"partial_response": "true"}),
        ("thanos", None, False, {"dedup": "true", "max_source_resolution": "0s", "partial_response": "false"}),
        ("victoriametrics", None, True, {"nocache": "1", "deny_partial_response": "1"}),
        ("victoriametrics", True, False, {"nocache": "1", "deny_partial_response": "0"}),
        ("mimir", True, True, {}),
    ],
)
def test_parameters_of_a_query(
    flavor: Flavor, configured: bool | None, over_time: bool, parameters: dict[str, str]
) -> None:
    """Partial answers are refused where the server would give them silently."""
    assert BACK_ENDS[flavor].parameters(configured, over_time=over_time) == parameters


def test_every_flavor_is_known() -> None:
    """Each says what to do about refused credentials, and how tenants are chosen."""
    assert set(BACK_ENDS) == set(get_args(Flavor))
    for back_end in BACK_ENDS.values():
        assert back_end.login
        assert back_end.tenants


def test_parameters_of_one_query_do_not_change_those_of_another() -> None:
    found = BACK_ENDS["thanos"].parameters(None, over_time=False)
    found["dedup"] = "false"
    assert BACK_ENDS["thanos"].parameters(None, over_time=False)["dedup"] == "true"
