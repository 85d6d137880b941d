"""Embedded coordinator: accepts retrain requests, records them in a ledger, runs one command each, reports back.

It is a separate process with its own SQLite file, and shares only the wire formats with a bridge.
"""
