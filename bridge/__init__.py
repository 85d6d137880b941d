"""Retrain Bridge: from a bad metric in Prometheus to one durable, explained request to retrain the right model."""

__version__ = "0.1.0"
