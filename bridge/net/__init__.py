"""HTTP parts shared by sources, sinks and servers: configuration, single attempts with a deadline, signatures."""
