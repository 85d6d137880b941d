"""Statistics shared by strategies."""
