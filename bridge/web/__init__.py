"""The HTTP side of a running bridge: API, metrics, health and a first page."""
