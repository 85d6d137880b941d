"""Construction and operation of the daemon. The only package that reads the clock."""
