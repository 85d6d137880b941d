"""Sixth schema: leases and replicas of a fleet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the tables of leases, of replicas and of the configurations that they ran."""
    op.create_table(
        "leases",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("owner", sa.String(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("fence", "expires_at", "since", "config_seq")),
    )
    op.create_table(
        "replicas",
        sa.Column("id", sa.String(), primary_key=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("address", "release", "config_hash")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("config_seq", "started_at", "seen_at")),
    )
    op.create_table(
        "configurations",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("hash", sa.String(), nullable=False),
    )
