"""The family keeps its contract, and weighs answers as it says."""

import plugin_name
from plugin_name import PART, RECORDS

from lm_eval_safescale.datasets import Record
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.records import Answers, Reading, Status
from lm_eval_safescale.testing import check_family


def test_it_keeps_the_contract():
    check_family(PART, RECORDS)


def test_an_answer_within_the_tolerance_is_right():
    items, _ = PART.parse([Record(1, RECORDS[2])])
    given = PART.arrays([Answers(Reading("210", Status.OK))])
    assert PART.score(PART.table(items), given, {})["right"].tolist() == [1]
    given = PART.arrays([Answers(Reading("214", Status.OK))])
    assert PART.score(PART.table(items), given, {})["right"].tolist() == [0]


def test_it_is_found_once_the_package_is_installed():
    assert plugins().find("family", "plugin-name/plugin_name").thing is plugin_name.PART
    assert plugins().find("condition", "plugin-name/plugin_name").thing.family == "plugin_name"
