"""First schema, independent of tables.py: later changes there must not affect this migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INSTANT = sa.BigInteger()
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, kind: type[sa.String] = sa.String, *, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(name, kind(), primary_key=primary_key, nullable=False)


def _instant(name: str, *, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(name, INSTANT, primary_key=primary_key, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _serial(name: str) -> sa.Column[int]:
    return sa.Column(name, SERIAL, primary_key=True, autoincrement=True)


def _key(*names: str) -> list[sa.Column[str]]:
    return [_text(name, primary_key=True) for name in names]


MODEL = ("project", "pipeline", "version")


def upgrade() -> None:
    """Create all tables."""
    _ticks()
    _requests()
    _decisions()


def _ticks() -> None:
    op.create_table("slots", _text("group_name", primary_key=True), _instant("slot"))
    op.create_table(
        "alerts", *_key("rule", "fingerprint", *MODEL), sa.Column("state", sa.SmallInteger(), nullable=False),
        _instant("active_at"), _instant("fired_at"), _instant("keep_since"),
    )  # fmt: skip
    op.create_table(
        "episodes", *_key(*MODEL), _instant("started_at", primary_key=True), _text("leader"), _text("rules", sa.Text),
        _number("attempts"), _instant("ended_at"), _text("end_reason", sa.Text),
    )  # fmt: skip
    op.create_index("ix_episodes_ended_at", "episodes", ["ended_at"])
    op.create_table(
        "strategy_state", *_key("rule", "fingerprint"), _instant("slot"), _text("models", sa.Text),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )  # fmt: skip


def _requests() -> None:
    op.create_table(
        "requests", _serial("seq"), sa.Column("id", sa.String(), nullable=False, unique=True),
        *(_text(name) for name in MODEL), _text("rule"), _instant("episode_start"), _number("attempt"),
        _instant("triggered_at"), _text("state"), sa.Column("terminal", sa.SmallInteger(), nullable=False),
        _text("body", sa.Text), _instant("updated_at"), _text("receivers", sa.Text), _text("destinations", sa.Text),
        _text("hold"), _instant("hold_until"), _instant("sent_at"), _instant("delivered_at"), _instant("ended_at"),
        _text("reference", sa.Text), _text("message", sa.Text), _text("new_version", sa.Text),
    )  # fmt: skip
    for name in ("triggered_at", "state", "ended_at"):
        op.create_index(f"ix_requests_{name}", "requests", [name])
    op.create_index("requests_of_model", "requests", [*MODEL, "episode_start"])
    op.create_table(
        "deliveries", _serial("id"), _text("request_id"), _text("destination"), _text("kind"), _text("state"),
        _number("attempts"), _instant("queued_at"), _instant("next_at"), _instant("updated_at"), _text("worker"),
        _text("reason"), _number("status"), _text("answer", sa.Text),
        sa.UniqueConstraint("request_id", "destination", "kind"),
    )  # fmt: skip
    op.create_index("deliveries_due", "deliveries", ["destination", "state", "next_at"])
    op.create_table(
        "breakers", _text("destination", primary_key=True), _number("failures"), _instant("open_until"),
        _instant("paused_until"),
    )  # fmt: skip


def _decisions() -> None:
    floats = (sa.Column(name, sa.Float()) for name in ("value", "statistic", "threshold"))
    op.create_table(
        "decisions", _serial("seq"), _instant("slot"), _text("group_name"), _text("rule"),
        *(sa.Column(name, sa.String()) for name in MODEL), _text("outcome"), _text("before"), _text("after"),
        _text("reason", sa.Text), _text("verdict"), _text("cause"), *floats, _text("query", sa.Text),
        _instant("query_time"), _text("request_id"), _number("repeats"),
    )  # fmt: skip
    op.create_index("ix_decisions_slot", "decisions", ["slot"])
    op.create_index("decisions_of_model", "decisions", list(MODEL))
