"""Fixtures shared with the tests of what chat models write."""

from tests.contexts.conftest import at_desk, bench, builder, chat, item  # noqa: F401 (fixtures)
