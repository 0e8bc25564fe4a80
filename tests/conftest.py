"""Settings of all tests."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("project", deadline=None, max_examples=40)  # times are benchmarks, not tests
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "project"))
