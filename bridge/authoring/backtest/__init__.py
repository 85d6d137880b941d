"""Evaluation of rules over history, and its report."""
