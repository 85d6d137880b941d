"""Durable store: SQLite or PostgreSQL through SQLAlchemy Core, and an in-memory implementation of the same contract."""
