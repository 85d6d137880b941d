"""Database schema. Instants are integers, milliseconds since the epoch, 0 = not happened; Text columns hold JSON."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    text,
)

metadata = MetaData()
_Instant = BigInteger
_Serial = BigInteger().with_variant(Integer, "sqlite")  # in SQLite only INTEGER PRIMARY KEY auto-increments


# Conditions of partial indexes. A query uses such an index only if it repeats the condition literally.
OPEN = text("state IN ('queued', 'leased', 'retry')")
DEAD = text("state = 'dead'")
PENDING = text("state <> 'delivered'")
SENT = text("sent_at > 0")
JUDGED = text("verdict <> ''")
RATED = text("feedback <> ''")
UNJUDGED = text("state = 'succeeded' AND verdict = ''")


def _only(condition: TextClause, name: str, *columns: str) -> Index:
    """Return an index over the rows that fulfil a condition."""
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


def _model() -> tuple[Column[str], Column[str], Column[str]]:
    """Return the columns for the three parts of a ModelKey."""
    return tuple(Column(name, String, nullable=False) for name in ("project", "pipeline", "version"))  # type: ignore[return-value]


slots = Table(
    "slots", metadata,
    Column("group_name", String, primary_key=True),
    Column("slot", _Instant, nullable=False),
)  # fmt: skip

alerts = Table(
    "alerts", metadata,
    Column("rule", String, primary_key=True),
    Column("fingerprint", String, primary_key=True),
    Column("project", String, primary_key=True),
    Column("pipeline", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("state", SmallInteger, nullable=False),
    Column("active_at", _Instant, nullable=False),
    Column("fired_at", _Instant, nullable=False),
    Column("keep_since", _Instant, nullable=False),
    Column("recent", BigInteger, nullable=False),
)  # fmt: skip

sightings = Table(
    "sightings", metadata,
    Column("group_name", String, primary_key=True),
    Column("signal", String, primary_key=True),
    Column("project", String, primary_key=True),
    Column("pipeline", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("first_seen", _Instant, nullable=False),
    Column("missing_since", _Instant, nullable=False),
)  # fmt: skip

pauses = Table(
    "pauses", metadata,
    Column("project", String, primary_key=True),
    Column("pipeline", String, primary_key=True),
    Column("until", _Instant, nullable=False),
    Column("who", Text, nullable=False),
    Column("at", _Instant, nullable=False),
    Column("note", Text, nullable=False),
)  # fmt: skip

episodes = Table(
    "episodes", metadata,
    Column("project", String, primary_key=True),
    Column("pipeline", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("started_at", _Instant, primary_key=True),
    Column("leader", String, nullable=False),
    Column("rules", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("ended_at", _Instant, nullable=False, index=True),
    Column("end_reason", Text, nullable=False),
)  # fmt: skip

requests = Table(
    "requests", metadata,
    Column("seq", _Serial, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    *_model(),
    Column("rule", String, nullable=False),
    Column("episode_start", _Instant, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("triggered_at", _Instant, nullable=False, index=True),
    Column("state", String, nullable=False),
    Column("terminal", SmallInteger, nullable=False),
    Column("body", Text, nullable=False),  # the request's immutable part
    Column("updated_at", _Instant, nullable=False),
    Column("receivers", Text, nullable=False),
    Column("destinations", Text, nullable=False),
    Column("hold", String, nullable=False),
    Column("hold_until", _Instant, nullable=False),
    Column("sent_at", _Instant, nullable=False),
    Column("delivered_at", _Instant, nullable=False),
    Column("ended_at", _Instant, nullable=False, index=True),
    Column("reference", Text, nullable=False),
    Column("link", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("new_version", Text, nullable=False),
    Column("acts", Text, nullable=False),
    Column("verdict", String, nullable=False),
    Column("verdict_at", _Instant, nullable=False),
    Column("unhelpful", Integer, nullable=False),
    Column("shared_cause", Text, nullable=False),
    Column("feedback", String, nullable=False),
    Index("requests_of_model", "project", "pipeline", "version", "episode_start"),
    Index("requests_of_state", "state", "triggered_at", "seq"),
    _only(SENT, "requests_sent", "project", "pipeline", "sent_at"),
    _only(SENT, "requests_ended", "project", "pipeline", "ended_at"),
    _only(UNJUDGED, "requests_unjudged", "seq"),
    _only(JUDGED, "requests_judged", "rule", "verdict"),
    _only(RATED, "requests_rated", "rule", "feedback"),
)  # fmt: skip

deliveries = Table(
    "deliveries", metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("request_id", String, nullable=False),
    Column("destination", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("queued_at", _Instant, nullable=False),
    Column("next_at", _Instant, nullable=False),  # while leased: the end of the lease
    Column("updated_at", _Instant, nullable=False),
    Column("worker", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", Text, nullable=False),
    UniqueConstraint("request_id", "destination", "kind"),
    _only(OPEN, "deliveries_open", "destination", "next_at", "queued_at"),
    _only(DEAD, "deliveries_dead", "destination"),
    _only(PENDING, "deliveries_pending", "queued_at"),
)  # fmt: skip

decisions = Table(
    "decisions", metadata,
    Column("seq", _Serial, primary_key=True, autoincrement=True),
    Column("slot", _Instant, nullable=False, index=True),
    Column("group_name", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("project", String),
    Column("pipeline", String),
    Column("version", String),
    Column("outcome", String, nullable=False),
    Column("before", String, nullable=False),
    Column("after", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("verdict", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("value", Float),
    Column("statistic", Float),
    Column("threshold", Float),
    Column("query", Text, nullable=False),
    Column("query_time", _Instant, nullable=False),
    Column("request_id", String, nullable=False),
    Column("repeats", Integer, nullable=False),
    Index("decisions_of_model", "project", "pipeline", "version"),
    Index("decisions_of_rule", "rule", "seq"),
    Index("decisions_of_outcome", "outcome", "seq"),
)  # fmt: skip

breakers = Table(
    "breakers", metadata,
    Column("destination", String, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("open_until", _Instant, nullable=False),
    Column("paused_until", _Instant, nullable=False),
)  # fmt: skip

strategy_state = Table(
    "strategy_state", metadata,
    Column("rule", String, primary_key=True),
    Column("fingerprint", String, primary_key=True),
    Column("slot", _Instant, nullable=False),
    Column("models", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)  # fmt: skip

runs = Table(
    "runs", metadata,
    Column("request_id", String, primary_key=True),
    Column("destination", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("plan", Text, nullable=False),
    Column("state", String, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("reference", "link", "message", "new_version")),
    *(Column(name, _Instant, nullable=False) for name in (
        "created_at", "sent_at", "seen_at", "started_at", "updated_at", "ended_at", "next_poll", "cancel_at",
        "cancelled_at",
    )),
    Column("again_at", _Instant, nullable=False, server_default="0"),
    *(Column(name, Integer, nullable=False) for name in ("lookups", "absent", "overdue")),
    Index("runs_open", "destination", "ended_at"),
)  # fmt: skip

leases = Table(
    "leases", metadata,
    Column("name", String, primary_key=True),
    Column("owner", String, nullable=False),
    *(Column(name, _Instant, nullable=False) for name in ("fence", "expires_at", "since", "config_seq")),
    Column("writes", BigInteger, nullable=False, server_default="0"),
)  # fmt: skip

replicas = Table(
    "replicas", metadata,
    Column("id", String, primary_key=True),
    *(Column(name, String, nullable=False) for name in ("address", "release", "config_hash")),
    *(Column(name, _Instant, nullable=False) for name in ("config_seq", "started_at", "seen_at")),
)  # fmt: skip

configurations = Table(
    "configurations", metadata,
    Column("seq", _Serial, primary_key=True, autoincrement=True),
    Column("hash", String, nullable=False),
)  # fmt: skip

config_files = Table(
    "config_files", metadata,
    Column("path", String, primary_key=True),
    Column("number", Integer, nullable=False),  # order of the files
    Column("text", Text, nullable=False),
)  # fmt: skip

config_changes = Table(
    "config_changes", metadata,
    Column("seq", _Serial, primary_key=True, autoincrement=True),
    Column("at", _Instant, nullable=False),
    *(Column(name, String, nullable=False) for name in ("event", "replica")),
    *(Column(name, Text, nullable=False) for name in ("diff", "error")),
)  # fmt: skip
