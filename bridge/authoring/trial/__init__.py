"""Trial: what the shipped rules would have done on the history of a Prometheus."""
