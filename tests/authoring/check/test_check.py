"""`check` of files."""

from __future__ import annotations

from pathlib import Path

from bridge.authoring.check.check import check_config, check_rules

GOOD = Path(__file__).parents[2] / "data" / "good"


def test_good_files_have_no_problems() -> None:
    """No problem and no exception."""
    assert check_config(GOOD / "bridge.yml") == []
    assert check_rules([GOOD / "rules" / "serving.yml"]) == []


def test_a_file_that_cannot_be_read_is_a_problem_like_another(tmp_path: Path) -> None:
    """A problem, not a traceback."""
    missing = tmp_path / "none.yml"
    assert [str(problem) for problem in check_config(missing)] == [
        f"{missing}: cannot be read: No such file or directory"
    ]
    assert [problem.message for problem in check_rules([missing, GOOD / "rules" / "serving.yml"])] == [
        "cannot be read: No such file or directory"
    ]


def test_a_variable_of_the_environment_is_a_warning_where_any_text_is_right(tmp_path: Path) -> None:
    """It would be sent as it is; its name may be part of a secret, and is not shown."""
    (tmp_path / "bridge.yml").write_text("""
prometheus: {url: 'http://$HOST:9090', authorization: {credentials: '${TOKEN}'}, basic_auth: {password: 'a$Bc'}}
route: {receiver: c}
receivers: [{name: c, log_configs: [{}]}]
""")
    found = [problem for problem in check_config(tmp_path / "bridge.yml", lint=True) if problem.lint]
    assert [(problem.path, problem.lint) for problem in found] == [
        ("prometheus.authorization.credentials", "unexpanded-variable"), ("prometheus.url", "unexpanded-variable"),
    ]  # fmt: skip
    assert "TOKEN" not in "".join(map(str, found))
