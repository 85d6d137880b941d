"""Statistics that strategies share."""
