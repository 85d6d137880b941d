"""Fourth schema: indexes of open, dead and pending deliveries, instead of one over all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

INDEXES = {
    "deliveries_open": (["destination", "next_at", "queued_at"], "state IN ('queued', 'leased', 'retry')"),
    "deliveries_dead": (["destination"], "state = 'dead'"),
    "deliveries_pending": (["queued_at"], "state <> 'delivered'"),
}


def upgrade() -> None:
    """Replace the index of the queues by partial ones."""
    op.drop_index("deliveries_due", "deliveries")
    for name, (columns, condition) in INDEXES.items():
        only = sa.text(condition)
        op.create_index(name, "deliveries", columns, sqlite_where=only, postgresql_where=only)
