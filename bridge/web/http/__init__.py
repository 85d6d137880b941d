"""HTTP server: sockets, TLS, authentication, request limits and response envelopes."""
