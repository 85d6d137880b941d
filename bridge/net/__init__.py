"""What sources, sinks and the coordinator share of HTTP: configuration, one attempt with a deadline, signatures."""
