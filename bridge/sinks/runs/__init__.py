"""Runs in orchestrators: templates, calls, presets, and the state of a run."""
