"""The engine: subject, observers, the tick, delivery. Knows ports, never a concrete server or database."""
