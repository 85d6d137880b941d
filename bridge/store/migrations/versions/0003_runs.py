"""Third schema: runs in orchestrators."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

INSTANTS = (
    "created_at", "sent_at", "seen_at", "started_at", "updated_at", "ended_at", "next_poll", "cancel_at",
    "cancelled_at",
)  # fmt: skip


def upgrade() -> None:
    """Add the table of runs, and the link to a request's run."""
    op.add_column("requests", sa.Column("link", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "runs",
        *(sa.Column(name, sa.String(), primary_key=True) for name in ("request_id", "destination")),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("reference", "link", "message", "new_version")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in INSTANTS),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("lookups", "absent", "overdue")),
    )
    op.create_index("runs_open", "runs", ["destination", "ended_at"])
