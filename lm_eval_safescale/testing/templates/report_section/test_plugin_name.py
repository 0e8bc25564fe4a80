"""The section says what the rows say, in its table and in its figure."""

import plugin_name

from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.sections import ResultRow
from lm_eval_safescale.testing import check_report_section


def row(condition, **values):
    return ResultRow("model", condition, "demo 1", True, 60, 60, {}, "", values)


def test_it_keeps_the_contract_of_a_report_section():
    assert check_report_section(plugin_name.PART).title == "What was asked"


def test_the_section_shows_each_condition_and_draws_those_with_a_value():
    section = plugin_name.PART.make([row("a", unanswered=(0.25, 0.05)), row("b", unanswered=None)])
    assert section.data.rows == [("a", 60, 0.25, 0.15, 0.35), ("b", 60, None, None, None)]
    (figure,) = section.figures
    assert [strip.label for strip in figure.rows] == ["a"]
    assert "under a: 25.0" in figure.title


def test_without_rows_there_is_no_section():
    assert plugin_name.PART.make([]) is None


def test_it_is_found_once_the_package_is_installed():
    assert plugins().find("report section", "plugin-name/plugin_name").thing is plugin_name.PART
