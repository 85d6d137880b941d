"""HTTP server: sockets, TLS, authentication, request limits, response envelopes."""
