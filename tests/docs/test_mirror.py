"""Layout of the tests: each module of bridge/ has a test file at the mirrored path."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.support.pages import ROOT

# Module without a test file of its own -> reason. None of them has a function with a body.
EXCEPTIONS = {
    "authoring/check/warning.py": "one record",
    "domain/config_change.py": "one record and one enumeration",
    "engine/api/interface.py": "protocols; queries.py and commands.py are tested",
    "engine/api/silence_views.py": "records",
    "engine/api/views.py": "records; encode.py and queries.py are tested",
    "ports/config_log.py": "one protocol; tests/contracts tests every store",
    "ports/outbox.py": "records and protocols; tests/contracts tests every store",
    "ports/reports.py": "records and a protocol",
    "ports/silencing.py": "one record and one exception",
    "ports/sinks.py": "records and protocols; tests/contracts tests every sink",
    "ports/sources.py": "protocols",
    "templates/errors.py": "one exception",
    "web/upstream.py": "a record and protocols; the pages and the API that use them are tested",
    "web/api/fields.py": "annotated types; pydantic checks them",
    "web/api/request_structs.py": "structs of response bodies; test_schemas.py tests all of them",
    "web/api/status_structs.py": "structs of response bodies; test_schemas.py tests all of them",
    "web/api/structs.py": "structs of response bodies; test_schemas.py tests all of them",
}
BRIDGE, TESTS = ROOT / "bridge", ROOT / "tests"
MODULES = sorted(
    str(path.relative_to(BRIDGE))
    for path in BRIDGE.rglob("*.py")
    if path.name not in {"__init__.py", "__main__.py"} and "migrations" not in path.parts
)


def is_tested(module: str, modules: Collection[str], tests: Collection[str]) -> bool:
    """Return whether a module has a test_NAME.py at its path, or a part of one named test_NAME_TOPIC.py.

    module, modules: paths below bridge/.
    tests: paths below tests/.
    """
    path = Path(module)
    others = {str(Path(other).with_name(f"test_{Path(other).name}")) for other in modules if other != module}
    own = str(path.with_name(f"test_{path.name}"))
    part = str(path.with_name(f"test_{path.stem}_"))
    return own in tests or any(test.startswith(part) and test not in others for test in tests)


def has_behaviour(code: str) -> bool:
    """Return whether a module has a function whose body is more than a docstring, `...` or `pass`."""
    functions = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return any(
        not isinstance(statement, ast.Pass)
        and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for function in functions
        for statement in function.body
    )


def test_every_module_has_a_test_file() -> None:
    """The fix: write tests/PATH/test_NAME.py, or move the module's tests there."""
    tests = {str(path.relative_to(TESTS)) for path in TESTS.rglob("test_*.py")}
    assert [name for name in MODULES if name not in EXCEPTIONS and not is_tested(name, MODULES, tests)] == []


def test_every_test_file_has_tests() -> None:
    """A test file that only imports its module tests nothing."""
    tests = re.compile(r"^ *(?:async def test|def test|class Test|Test\w+ = )", re.M)
    files = TESTS.rglob("test_*.py")
    assert [str(path) for path in files if not tests.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("name", sorted(EXCEPTIONS))
def test_an_exception_exists_and_has_no_behaviour(name: str) -> None:
    assert name in MODULES
    assert not has_behaviour((BRIDGE / name).read_text(encoding="utf-8"))


def test_a_planted_gap_is_noticed() -> None:
    """The test file of another module is no part of this module's tests."""
    modules = ["net/hosts.py", "net/http.py", "net/http_server.py"]
    assert is_tested("net/hosts.py", modules, {"net/test_hosts.py"})
    assert is_tested("net/hosts.py", modules, {"net/test_hosts_of_replicas.py"})
    assert not is_tested("net/hosts.py", modules, {"web/test_hosts.py", "net/test_host.py"})
    assert not is_tested("net/http.py", modules, {"net/test_http_server.py"})
    assert has_behaviour("class A:\n    def f(self) -> int:\n        return 1\n")
    assert not has_behaviour('class A(Protocol):\n    x: int\n\n    def f(self) -> int:\n        """Return x."""\n')
