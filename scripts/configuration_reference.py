"""Generator of docs/configuration-reference.md, from the JSON Schemas of the file readers.

python scripts/configuration_reference.py          # writes the page
python scripts/configuration_reference.py --check  # exits with code 1 if the page is out of date
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge.authoring.check.schema import schema
from bridge.domain.times import format_duration

Json = dict[str, Any]
PAGE = Path(__file__).parents[1] / "docs" / "configuration-reference.md"
HEAD = """# Configuration reference

Every key of [bridge.yml](configuration.md), of [rule files](rules.md) and of every [strategy](strategies/README.md),
with its type and its default, in the notation of Prometheus' configuration page: brackets mark optional keys, and
`<name>` stands for a type or for the section of that name. The linked pages explain the keys; [HTTP
settings](http-config.md) explains those for authentication, TLS and proxies, and the [sink run](sinks/run.md) those of
calls. This page is generated from the code that reads the files; `retrain-bridge check schema config` and `check schema
rules` print the same as JSON Schema for editors.

Types: `<duration>` is a string such as `30s` or `1h30m`; `<value>` a number in the signal's unit, or a string such as
`500ms` for a latency; `<rate>` a string such as `2/day`; `<secret>` a string that is never displayed; `<strategy>` the
name of a [strategy](strategies/README.md).
"""
FILES = (
    ("config", "bridge.yml", "[Guide](configuration.md)."),
    ("rules", "Rule files", "[Guide](rules.md)."),
)
GUIDES = ("strategies", "sinks")  # folders with a page for each strategy and each sink
_DURATION = re.compile(r"\[smhdwy\]")
_LATENCY = re.compile(r"us\|µs\|ms")
MANY = 10  # an enumeration with more values holds the names of strategies
_SUFFIXES = ("Section", "Config", "Model")


def reference() -> str:
    """Return the text of the page."""
    parts, written = [HEAD], set[str]()
    for kind, title, text in FILES:
        document = schema(kind)
        document = _inlined(document, document["$defs"])
        parts.append(f"## {title}\n\n{text}\n")
        first = document["$ref"].rpartition("/")[2]
        for name in [first, *sorted(set(document["$defs"]) - {first}, key=_order)]:
            if name not in written and document["$defs"][name].get("type") == "object":
                written.add(name)
                parts.append("\n".join(_section(name, document["$defs"][name])))
    return "\n".join(parts).rstrip() + "\n"


def _inlined(value: Any, defs: Json) -> Any:
    """Return the schema with references to enumerations replaced by their values."""
    if isinstance(value, list):
        return [_inlined(item, defs) for item in value]
    if not isinstance(value, dict):
        return value
    target = defs.get(str(value.get("$ref", "")).rpartition("/")[2], {})
    if "enum" in target:
        return {**target, **{key: item for key, item in value.items() if key != "$ref"}}
    return {key: _inlined(item, defs) for key, item in value.items()}


def _order(name: str) -> tuple[bool, str]:
    """Return the sort key: sections first, then strategies and sinks."""
    return not name.endswith("Section"), name


def _section(name: str, found: Json) -> Iterator[str]:
    yield f"### `<{_word(name)}>`\n"
    if text := found.get("description", ""):
        yield f"{text}\n"
    if guide := next((f"{place}/{_word(name)}.md" for place in GUIDES if _has_page(place, name)), ""):
        yield f"[Guide]({guide}).\n"
    yield "```text"
    needed = found.get("required", ())
    for key, value in found.get("properties", {}).items():
        yield from _key(key, value, required=key in needed)
    yield "```\n"


def _has_page(place: str, name: str) -> bool:
    return (PAGE.parent / place / f"{_word(name)}.md").exists()


def _key(key: str, value: Json, *, required: bool) -> Iterator[str]:
    lines = _type(value).split("\n")
    default = _default(value)
    suffix = f" | default = {default}" if default and default != lines[0] else ""
    text = "\n".join([f"{key}: {lines[0]}".rstrip(), *lines[1:]])
    yield text + suffix if required else f"[ {text}{suffix} ]"


def _type(value: Json) -> str:
    """Return the type of a value, in the notation of the page."""
    if "$ref" in value:
        return f"<{_word(value['$ref'].rpartition('/')[2])}>"
    if "anyOf" in value or "oneOf" in value:
        some = [_member(item) for item in value.get("anyOf") or value["oneOf"] if item.get("type") != "null"]
        some = [item for item in dict.fromkeys(some) if item != "0"]
        return " | ".join(some)
    if len(value.get("enum", ())) > MANY:
        return "<strategy>"
    if "enum" in value:
        return " | ".join(item for item in dict.fromkeys(map(str, value["enum"])) if item)
    if "const" in value:
        return str(value["const"]).lower() if isinstance(value["const"], bool) else str(value["const"])
    pattern = value.get("pattern", "")
    if _DURATION.search(pattern):
        return "<duration>"
    if _LATENCY.search(pattern):
        return "<value>" if "examples" in value else "<number>"
    return _plain(value)


def _member(value: Json) -> str:
    """Return the type of a member of a union, in one line."""
    if "properties" in value and value.get("maxProperties") != 1:
        return "{ " + ", ".join(f"{key}: {_type(item)}" for key, item in value["properties"].items()) + " }"
    return _type(value)


def _plain(value: Json) -> str:
    kind = value.get("type", "any")
    if kind == "array":
        item = _type(value.get("items", {}))
        return f"\n  - {item.strip()}\n  ..." if "\n" in item else f"[ {item}, ... ]"
    if kind == "object":
        return _object(value)
    if kind == "string" and value.get("format") == "password":
        return "<secret>"
    if kind == "string" and "a-z" in value.get("pattern", ""):
        return "<rate>"
    return " | ".join(f"<{item}>" for item in ([kind] if isinstance(kind, str) else kind))


def _object(value: Json) -> str:
    members = value.get("properties", {})
    if value.get("maxProperties") == 1:
        return "{ <strategy>: <its section> }"
    if members:
        needed = value.get("required", ())
        lines = [line for key, item in members.items() for line in _key(key, item, required=key in needed)]
        return "\n  " + "\n".join(lines).replace("\n", "\n    ")
    more = value.get("additionalProperties")
    inner = _type(more) if isinstance(more, dict) and more else "<any>"
    return f"{{ <string>: {inner}, ... }}"


def _default(value: Json) -> str:
    found = value.get("default")
    if found in (None, "", [], {}, "<secret>") or isinstance(found, dict | list):
        return ""
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, int) and _type(value) == "<duration>":
        return format_duration(found)
    return str(found)


def _word(name: str) -> str:
    """Return the name of a section in Prometheus' style: GlobalSection is <global>."""
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix) or name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def main() -> int:
    """Write or check the page, and return the exit code."""
    text = reference()
    if "--check" in sys.argv[1:]:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        print("up to date" if same else f"{PAGE.name} is out of date: run {Path(__file__).name}")
        return not same
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
