"""Strategies: one file each. Numpy and a pydantic config; no input, no output, no clock."""
