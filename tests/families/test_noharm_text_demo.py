"""The bundled kit of the free-text protocol: it is read as any kit is, and sample replies to it do
the harm that was worked out by hand.
"""

from __future__ import annotations

import shutil

import pytest

from lm_eval_safescale.families.noharm_text import NOHARM, load_demo
from lm_eval_safescale.families.noharm_text.cases import kit_records
from lm_eval_safescale.testing import check_family
from tests import second_noharm_text as second
from tests.noharm_text_demo import KIT, RUBRICS, replies

REPLIES = replies()


def test_the_bundled_kit_keeps_the_contract_of_a_family():
    check_family(NOHARM, kit_records(KIT))


@pytest.mark.parametrize("folder", [".", "dataset"])
def test_a_copy_of_the_kit_is_known_to_be_the_demo(tmp_path, folder):
    shutil.copytree(KIT, tmp_path / "ours")
    copy = NOHARM.load(tmp_path / "ours" / folder)
    assert copy.is_demo
    assert [item.guidance for item in copy] == [item.guidance for item in load_demo()]


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: f"{reply.id}, {reply.trial}")
def test_a_reply_does_the_harm_that_it_does_by_hand(reply):
    options, record = RUBRICS[reply.id], reply.record()
    assert second.refused(options, record) is None
    found = [
        (each["option"], each["kind"], each["severity"]) for each in second.harms(options, record)
    ]
    assert found == reply.harms


def test_replies_are_of_three_kinds_each_worth_less_than_the_one_before():
    assert [reply.trial for reply in REPLIES] == [1, 2, 3] * 4
    figures = [second.figures_of_record(RUBRICS[each.id], each.record()) for each in REPLIES]
    good, half, harmful = figures[::3], figures[1::3], figures[2::3]
    assert {each["mild_rate"] for each in good} == {0.0}
    for better, middle, worse in zip(good, half, harmful, strict=True):
        assert better["f1_weighted"] > middle["f1_weighted"] > worse["f1_weighted"]
        assert worse["severe_rate"] == 1
