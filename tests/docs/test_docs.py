"""The pages keep up with the code: every key, command, flag, strategy and sink, every example, every link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel

from bridge.authoring.unit_tests import file as unit_test_file
from bridge.cli.commands import app
from bridge.config import bridge_file, conditions, labels, rule, rule_file, signals, time_intervals
from bridge.files.validation import Section
from bridge.net.http_config import HttpConfig
from bridge.sinks.registry import sinks
from bridge.sources.config import PrometheusConfig
from bridge.strategies.registry import strategies
from tests.support.pages import ROOT, headings, links, pages, section, slugs

DOCS = ROOT / "docs"
CONFIGURATION, RULES, HTTP = DOCS / "configuration.md", DOCS / "rules.md", DOCS / "http-config.md"
INTERVALS = DOCS / "time-intervals.md"
HTTP_KEYS = frozenset(HttpConfig.model_fields)
# Where the keys of each mapping of a file are listed: page and heading.
PLACES: dict[type[BaseModel], tuple[Path, str]] = {
    bridge_file.GlobalSection: (CONFIGURATION, "global"),
    PrometheusConfig: (CONFIGURATION, "prometheus"),
    labels.ModelsModel: (CONFIGURATION, "models"),
    bridge_file.RouteSection: (CONFIGURATION, "route"),
    bridge_file.GatesSection: (CONFIGURATION, "gates"),
    time_intervals.IntervalSection: (INTERVALS, "Keys"),
    rule_file.GroupSection: (RULES, "Groups"),
    signals.SignalSection: (RULES, "Signals"),
    rule.RuleSection: (RULES, "Rules"),
    conditions.ConditionSection: (RULES, "Composite rules"),
    conditions.AtLeastSection: (RULES, "Composite rules"),
}
FORBIDDEN = ("/".join(("", "work", "")), "/".join(("", "tmp", "w", "")), "/".join(("pypi.org", "simple")))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside a type: of a list's elements, a mapping's values, a union's members."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def keys(model: type[BaseModel], prefix: str = "", seen: frozenset[type] = frozenset()) -> Iterator[str]:
    """Keys as files write them, those of nested mappings with dots; a model inside itself is walked once."""
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        yield key
        for nested in models_in(field.annotation):
            if nested is not model and nested not in seen:
                yield from keys(nested, f"{key}.", seen | {model})


def has_row(text: str, key: str) -> bool:
    """Whether a table's first cell names the key, alone or beside others."""
    return re.search(rf"^\|[^|]*`{re.escape(key)}`[^|]*\|", text, re.MULTILINE) is not None


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize("model", PLACES, ids=lambda model: model.__name__)
def test_every_key_of_a_mapping_has_its_row(model: type[BaseModel]) -> None:
    """In the table of its section; a group's `models` are those of bridge.yml, `http_config` has a page of its own."""
    page, heading = PLACES[model]
    text = section(page, heading)
    elsewhere = re.compile(r"models\..*|(sigv4|azuread|google_iam)\..*")
    named = [key for key in keys(model) if key.split(".")[0] not in HTTP_KEYS and not elsewhere.fullmatch(key)]
    assert len(named) >= 2
    assert [key for key in named if not has_row(text, key)] == []


def test_every_key_of_a_cloud_provider_has_its_row() -> None:
    """On the page of the HTTP settings."""
    text = section(HTTP, "Cloud providers")
    named = [key for key in keys(PrometheusConfig) if re.match(r"sigv4|azuread|google_iam", key)]
    assert len(named) > 20
    assert [key for key in named if not has_row(text, key)] == []


def test_every_top_level_key_has_its_section() -> None:
    """And every kind of receiver its row."""
    top = {field.alias or name for name, field in bridge_file.BridgeSection.model_fields.items()}
    assert {f"`{key}`" for key in top} <= set(headings(CONFIGURATION))
    receivers = section(CONFIGURATION, "receivers")
    assert [name for name in sinks() if not has_row(receivers, f"{name}_configs")] == []


def test_no_mapping_of_the_files_is_left_out() -> None:
    """A section that is new in the code has to be given its place here."""
    inside: set[type[BaseModel]] = set()
    waiting = [*PLACES]
    while waiting:
        found = {nested for field in waiting.pop().model_fields.values() for nested in models_in(field.annotation)}
        waiting += found - inside
        inside |= found
    top = {bridge_file.BridgeSection, rule_file.RuleFileSection, rule_file.RecordingSection}  # as in Prometheus
    shipped = {model for model in Section.__subclasses__() if model.__module__.startswith("bridge.config.")}
    assert {model.__name__ for model in shipped - set(PLACES) - inside - top} == set()


def test_every_planned_key_of_bridge_yml_is_named_as_not_built() -> None:
    """Somebody who looks for it finds it."""
    text = section(CONFIGURATION, "Not supported yet")
    planned = [bridge_file.BridgeSection, bridge_file.GatesSection, labels.ModelsModel]
    assert [key for model in planned for key in sorted(model.not_built) if f"`{key}`" not in text] == []  # type: ignore[attr-defined]


def test_every_http_setting_is_explained() -> None:
    """Also those inside tls_config, oauth2 and the others."""
    text = HTTP.read_text(encoding="utf-8")
    wanted = {key.rpartition(".")[2] for key in keys(HttpConfig)}
    assert len(wanted) > 20
    assert [key for key in sorted(wanted) if not re.search(rf"`(?:[a-z_0-9]+\.)*{key}`", text)] == []


def test_every_strategy_has_its_page_with_its_parameters() -> None:
    """docs/strategies/<name>.md; what is inside `standardise`, which detectors share, has a page of its own."""
    shared = (DOCS / "strategies" / "standardise.md").read_text(encoding="utf-8")
    for name, strategy in strategies().items():
        text = (DOCS / "strategies" / f"{name}.md").read_text(encoding="utf-8")
        wanted = [key for key in keys(strategy.Config) if key != "standardise"]
        assert [key for key in wanted if not has_row(shared if "standardise." in key else text, key)] == [], name


def test_every_sink_has_its_page_with_its_keys() -> None:
    """docs/sinks/<name>.md; what is inside `rate_limit` stands in its row."""
    for name, sink in sinks().items():
        text = (DOCS / "sinks" / f"{name}.md").read_text(encoding="utf-8")
        assert [key for key in sink.Config.model_fields if not has_row(text, key)] == [], name
        assert ("rate_limit" not in sink.Config.model_fields) or "`{requests: N, per: DURATION}`" in text, name


# ---------------------------------------------------------------- command line


def commands(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path -> command, of click's kind (which typer may bring itself)."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{path} {name}".strip())
    else:
        yield path, command


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_commands_are_found() -> None:
    """Or the next test would look for none."""
    assert {"run", "check config", "requests redrive", "coordinator"} < set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_its_section_with_its_flags(path: str) -> None:
    """docs/command-line.md: under a heading with its name, or named under the heading of its group."""
    page, group = DOCS / "command-line.md", path.rpartition(" ")[0]
    named = [text for text in headings(page) if re.search(rf"\b{re.escape(path)}(?![\w-])", text)]
    of_group = [text for text in headings(page) if group and re.search(rf"\b{group}$", text)]
    assert named or of_group, f"no heading for {path!r}"
    below = section(page, (named or of_group)[0])
    assert named or re.search(rf"`(retrain-bridge )?{path}[ `]", below), f"{path!r} is not named"
    flags = [flag for parameter in COMMANDS[path].params for flag in parameter.opts if flag.startswith("--")]
    assert [flag for flag in flags if not re.search(rf"{re.escape(flag)}(?![\w.-])", below)] == []


# ---------------------------------------------------------------- links and paths


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file or folder of the project, and to a heading where it names one."""
    lost = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in slugs(file)):
            lost.append(target)
    assert lost == []


def test_nothing_names_a_place_of_one_machine() -> None:
    """Neither pages, nor code, nor tests."""
    folders = ("bridge", "tests", "docs", "scripts", "benchmarks", "examples", "rules", "grafana")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.is_file()]
    ours = (file for file in ROOT.iterdir() if file.is_file() and file.name != ".git")  # of a git worktree
    files += [file for file in ours if not file.name.startswith(".coverage")]
    texts = {".py", ".md", ".yml", ".yaml", ".toml", ".json", ".html", ".css", ".sh", ".txt", ".service", ""}
    read = {file: file.read_text(errors="replace") for file in files if file.suffix in texts}
    assert len(read) > 200
    found = [(str(file.relative_to(ROOT)), word) for file, text in read.items() for word in FORBIDDEN if word in text]
    assert found == []


def test_every_decision_has_a_number_of_its_own() -> None:
    """The one of its file, which its title repeats."""
    files = sorted((DOCS / "decisions").glob("0*.md"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    for file in files:
        assert file.read_text().startswith(f"# {int(file.name[:4])}. "), file.name


def test_every_key_of_a_unit_test_file_is_named() -> None:
    """In the tables of its page."""
    text = (DOCS / "testing-rules.md").read_text(encoding="utf-8")
    named = {key.rpartition(".")[2] for key in keys(unit_test_file.FileSection)} - {"tests", "external_url", "labels"}
    assert len(named) >= 25
    assert sorted(key for key in named if not re.search(rf"`(?:tests\.)?{key}`", text)) == []
