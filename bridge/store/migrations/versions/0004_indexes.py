"""Fourth schema: indexes, so that neither deliveries nor pages read whole tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

PARTIAL = {
    "deliveries_open": (
        "deliveries",
        ["destination", "next_at", "queued_at"],
        "state IN ('queued', 'leased', 'retry')",
    ),
    "deliveries_dead": ("deliveries", ["destination"], "state = 'dead'"),
    "deliveries_pending": ("deliveries", ["queued_at"], "state <> 'delivered'"),
    "requests_sent": ("requests", ["project", "pipeline", "sent_at"], "sent_at > 0"),
    "requests_ended": ("requests", ["project", "pipeline", "ended_at"], "sent_at > 0"),
    "requests_unjudged": ("requests", ["seq"], "state = 'succeeded' AND verdict = ''"),
    "requests_judged": ("requests", ["rule", "verdict"], "verdict <> ''"),
}


def upgrade() -> None:
    """Replace the indexes of queues and states, and add those of history."""
    op.drop_index("deliveries_due", "deliveries")
    op.drop_index("ix_requests_state", "requests")
    for name, (table, columns, condition) in PARTIAL.items():
        only = sa.text(condition)
        op.create_index(name, table, columns, sqlite_where=only, postgresql_where=only)
    op.create_index("requests_of_state", "requests", ["state", "triggered_at", "seq"])
    op.create_index("decisions_of_rule", "decisions", ["rule", "seq"])
    op.create_index("decisions_of_outcome", "decisions", ["outcome", "seq"])
