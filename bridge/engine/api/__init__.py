"""Views, queries and commands of a running engine."""
