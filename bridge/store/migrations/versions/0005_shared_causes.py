"""Fifth schema: shared causes that hold requests, and feedback on requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add columns with defaults for existing rows, and the index that counts feedback."""
    op.add_column("requests", sa.Column("shared_cause", sa.Text(), nullable=False, server_default=""))
    op.add_column("requests", sa.Column("feedback", sa.String(), nullable=False, server_default=""))
    rated = sa.text("feedback <> ''")
    op.create_index("requests_rated", "requests", ["rule", "feedback"], sqlite_where=rated, postgresql_where=rated)
