"""Comparison of settings of one rule on one's own history."""
