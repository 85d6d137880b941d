"""Seventh schema: runs that an operator starts again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the instant at which an operator allowed one more start call."""
    op.add_column("runs", sa.Column("again_at", sa.BigInteger(), nullable=False, server_default="0"))
