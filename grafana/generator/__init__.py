"""Generates the dashboards of grafana/dashboards from Python: python -m grafana.generator."""
