"""The embedded coordinator: takes retrain requests, keeps a ledger, runs one command per request, reports back.

Its own process with its own SQLite file; it shares nothing with a bridge but the wire formats.
"""
