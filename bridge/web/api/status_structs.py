"""Response bodies about the bridge itself: its build, its configuration and its fleet."""

from __future__ import annotations

import msgspec

from bridge.domain.config_change import ConfigEvent
from bridge.net.problem import Body
from bridge.web.api.fields import Count, Time


class BuildInfo(Body):
    """Versions of bridge and Python."""

    version: str
    python_version: str = msgspec.field(name="pythonVersion")


class Configuration(Body):
    """Configuration in force."""

    yaml: str


class ConfigChange(Body):
    """Reload of the configuration, or a start with another one than before.

    diff: unified difference of bridge.yml and the rule files; error: why it was not applied; replica: of a fleet.
    """

    at: Time
    event: ConfigEvent
    diff: str
    error: str | None
    replica: str | None


class ConfigChanges(Body):
    """Latest changes of the configuration, newest first."""

    changes: list[ConfigChange]


class Replica(Body):
    """Replica of the fleet. config_seq: number of its configuration, in the order of use."""

    id: str
    address: str
    release: str
    owner: bool
    config_seq: Count = msgspec.field(name="configSeq")
    started_at: Time = msgspec.field(name="startedAt")
    seen_at: Time = msgspec.field(name="seenAt")


class Fleet(Body):
    """Fleet: owner ("" without one), its fence and the start of its ownership, and the replicas seen lately."""

    owner: str
    fence: Count
    since: Time | None
    replicas: list[Replica]
