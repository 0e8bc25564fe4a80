"""There is one type of answer: table columns, journal lines and importers follow from it."""

from __future__ import annotations

from dataclasses import fields

from lm_eval_safescale.records import OF_DRAW, OF_REQUEST, Answer
from lm_eval_safescale.runs.lines import Draw, Line
from lm_eval_safescale.runs.table import ANSWERS, OLD_RESPONSE

NAMES = [each.name for each in fields(Answer)]


def test_the_columns_of_answer_tables_are_its_fields():
    assert list(ANSWERS) == NAMES


def test_a_line_holds_them_those_of_a_request_once_and_those_of_a_draw_each():
    assert set(Draw.__struct_fields__) - {OLD_RESPONSE} == set(OF_DRAW)
    assert set(Line.__struct_fields__) - {"draws", "failed", "error", "seed"} == set(OF_REQUEST)
    assert {*OF_DRAW, *OF_REQUEST, "model", "seed"} == set(NAMES)
    assert len(NAMES) == len(OF_DRAW) + len(OF_REQUEST) + 2
