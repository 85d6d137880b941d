"""Run by Alembic: migrates over the connection, and in the transaction, that bridge.store.opening hands in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
