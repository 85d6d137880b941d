"""Pure values: models, events, verdicts, rules and requests. Imports only the standard library and numpy."""
