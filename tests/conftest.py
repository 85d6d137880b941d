"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# A busy machine makes a slow example, not a wrong one. A failure prints how to see it again.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")
