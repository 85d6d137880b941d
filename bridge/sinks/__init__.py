"""Where requests go: one file per kind of destination, its configuration inside."""
