"""Where everything is put together and kept running. The only place that knows the clock."""
