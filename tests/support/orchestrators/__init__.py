"""Stubs of orchestrators that answer as their documentation says."""
