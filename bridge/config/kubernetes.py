"""Rule files as Kubernetes objects: a PrometheusRule is read, others are named in one sentence."""

from __future__ import annotations

from bridge.files.yaml import Document, KeyPath

OPERATOR = "PrometheusRule"
_PLAIN = "rules are read from 'groups' of a rule file, or from 'spec' of a PrometheusRule"


def kind_of(document: Document) -> str:
    """Return the kind of the Kubernetes object in a document; "" when it is none."""
    value = document.value
    found = value.get("kind") if isinstance(value, dict) and "apiVersion" in value else None
    return found if isinstance(found, str) else ""


def rules_of(document: Document) -> tuple[object, KeyPath] | None:
    """Return the part of a document that holds groups, and its path; None: a problem was noted."""
    value, kind = document.value, kind_of(document)
    if kind == OPERATOR:
        if "spec" not in value:
            document.add(("kind",), "this PrometheusRule has no 'spec'", "its groups belong there")
            return None
        return value["spec"], ("spec",)
    if kind == "VMRule":
        hint = "write what is under 'spec' into a rule file; keys that only vmalert has are refused there"
        document.add(("kind",), "this is a VMRule of the VictoriaMetrics operator, which is not read", hint)
        return None
    if kind:
        document.add(("kind",), f"a {kind} of Kubernetes is not a rule file", _PLAIN)
        return None
    if isinstance(value, dict) and "apiVersion" in value:
        hint = "write the PromQL of its rules into a rule file: its own queries and conditions are Grafana's"
        document.add(("apiVersion",), "this is a Grafana provisioning file, which is not read", hint)
        return None
    return value, ()


def chosen(documents: list[Document]) -> list[Document]:
    """Return the documents of a file that hold rules: beside a PrometheusRule, other objects are passed over.

    Raises ConfigError where a file that is not a list of objects has more than one document.
    """
    if len(documents) > 1 and not all(map(kind_of, documents)):
        second = documents[1]
        line = min(second.lines.values(), default=1)
        raise second.refused(line, "holds more than one document", "write one file for each")
    rules = [document for document in documents if kind_of(document) == OPERATOR]
    return rules or documents
