"""State of strategies and rules across restarts and reloads."""
