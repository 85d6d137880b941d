"""Go's text/template as Prometheus uses it for alerts: lexer, parser, evaluator and Prometheus' functions."""
