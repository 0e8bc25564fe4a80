"""The section says what the rows say."""

import plugin_name

from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.sections import ResultRow


def row(**values):
    return ResultRow("model", "closed_book", "demo 1", True, 60, 60, {}, "", values)


def test_the_section_shows_each_condition():
    section = plugin_name.PART.make([row(unanswered=(0.25, None)), row(unanswered=None)])
    assert section.rows == (("closed_book", "60", "25.0"), ("closed_book", "60", "not scored"))


def test_without_rows_there_is_no_section():
    assert plugin_name.PART.make([]) is None


def test_it_is_found_once_the_package_is_installed():
    assert plugins().find("report section", "plugin-name/plugin_name").thing is plugin_name.PART
