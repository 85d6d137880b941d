"""Tests of the impact report."""
