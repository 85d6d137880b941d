"""Second schema: expected models, N of M, operator actions, recovery verdicts, pauses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

INSTANT = sa.BigInteger()


def upgrade() -> None:
    """Add columns with defaults for existing rows, and two tables."""
    op.add_column("alerts", sa.Column("recent", INSTANT, nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("bundle", sa.Text(), nullable=False, server_default=""))
    op.add_column("requests", sa.Column("acts", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("requests", sa.Column("verdict", sa.String(), nullable=False, server_default=""))
    op.add_column("requests", sa.Column("verdict_at", INSTANT, nullable=False, server_default="0"))
    op.add_column("requests", sa.Column("unhelpful", sa.Integer(), nullable=False, server_default="0"))
    # Retrainings whose episode has ended will not get a verdict any more.
    op.execute(
        "UPDATE requests SET verdict = 'inconclusive', verdict_at = ended_at WHERE state = 'succeeded' AND NOT EXISTS ("
        "SELECT 1 FROM episodes WHERE episodes.project = requests.project AND episodes.pipeline = requests.pipeline "
        "AND episodes.version = requests.version AND episodes.started_at = requests.episode_start "
        "AND episodes.ended_at = 0)"
    )
    op.create_table(
        "sightings",
        *(sa.Column(name, sa.String(), primary_key=True) for name in ("group_name", "signal")),
        *(sa.Column(name, sa.String(), primary_key=True) for name in ("project", "pipeline", "version")),
        sa.Column("first_seen", INSTANT, nullable=False),
        sa.Column("missing_since", INSTANT, nullable=False),
    )
    op.create_table(
        "pauses",
        *(sa.Column(name, sa.String(), primary_key=True) for name in ("project", "pipeline")),
        sa.Column("until", INSTANT, nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
    )
