"""How Airflow connects to SQLite in the tests: a scheduler that finds the database locked for longer ends."""

PATIENT = {"timeout": 120.0}  # seconds
