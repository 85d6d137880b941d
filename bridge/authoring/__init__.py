"""Tools for the authors of rules."""
