"""Checks of configuration and rule files, offline and against a Prometheus."""
