"""Sinks: one module per kind of destination, with its configuration."""
