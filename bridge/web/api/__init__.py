"""HTTP API of the bridge: /api/v1 and the management API."""
