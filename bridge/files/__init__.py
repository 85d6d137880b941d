"""Readers of YAML files that report each mistake with its line."""
