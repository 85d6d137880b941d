"""Evaluation of past slots with the live engine."""
