"""Alembic environment: migrates within the connection and transaction of bridge.store.opening."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
