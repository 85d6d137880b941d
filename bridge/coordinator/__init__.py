"""Coordinator that comes with the bridge: it accepts and records requests, runs one command each, and reports back.

It is a separate process with its own SQLite file, and shares only the wire formats with a bridge.
"""
