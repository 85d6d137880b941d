"""Pure values: what a model, an event, a verdict, a rule and a request are. Standard library and numpy only."""
