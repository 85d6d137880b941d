"""Web server of the bridge: API, web pages, metrics and health."""
