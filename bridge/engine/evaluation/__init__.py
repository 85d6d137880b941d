"""Evaluation of rules over the columns of a batch."""
