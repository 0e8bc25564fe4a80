"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("project", deadline=None)  # times are benchmarks, not tests
settings.load_profile("project")
