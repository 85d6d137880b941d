"""Eighth schema: number of transactions of a fleet, by which an owner notices that the database has lost some."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the number of transactions that wrote under the lease."""
    op.add_column("leases", sa.Column("writes", sa.BigInteger(), nullable=False, server_default="0"))
