"""Rule packs, and which of them fit a Prometheus."""
