"""Next release for tests: the present code with one more migration, started as `python -m tests.support.release`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import bridge
from bridge.store import opening

RELEASE = "99.0.0"
_ADDITIONS = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{revision}", "{before}"


def upgrade():
    for table in ("slots", "alerts", "episodes", "requests", "deliveries", "decisions", "leases", "replicas"):
        op.add_column(table, sa.Column("remark", sa.Text(), nullable=False, server_default="none"))
    op.create_table("remarks", sa.Column("text", sa.Text(), primary_key=True))
"""


def next_migrations(folder: Path, revision: str = "") -> tuple[Path, str]:
    """Write the migrations of a next release, and return their folder and the last revision.

    revision: "" = the one after the present one, which adds columns and a table.
    """
    last = opening.revisions()[-1]
    revision = revision or f"{int(last) + 1:04}"
    made = folder / f"migrations-{revision}"
    shutil.copytree(opening.MIGRATIONS, made, ignore=shutil.ignore_patterns("__pycache__"))
    text = _ADDITIONS.format(revision=revision, before=last)
    (made / "versions" / f"{revision}_next.py").write_text(text)
    return made, revision


def main() -> None:
    """Run the command line of the release whose migrations are in the folder named by the first argument."""
    opening.MIGRATIONS = Path(sys.argv.pop(1))
    bridge.__version__ = RELEASE
    from bridge.cli import main as run  # noqa: PLC0415 - it reads the version

    run()


if __name__ == "__main__":
    main()
