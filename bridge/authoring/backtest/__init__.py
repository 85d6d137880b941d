"""Backtests: evaluation of rules over history, and reports."""
