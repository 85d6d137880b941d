"""Strategies, one module each: NumPy and a pydantic configuration, without I/O and without a clock."""
