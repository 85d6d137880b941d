"""Where decisions survive: SQLite or PostgreSQL through SQLAlchemy Core, and a twin in memory, one contract."""
