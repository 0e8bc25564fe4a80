"""Fixtures shared with the tests of the table of answers."""

from tests.runs.conftest import items, make_runs  # noqa: F401 (fixtures)
