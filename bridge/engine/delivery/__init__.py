"""Delivery of notifications: claims, retries, circuit breakers, resends."""
