"""Texts that are kept in a file are the texts that were given, for whoever reads them, and however
an item is copied.
"""

from __future__ import annotations

import copy
import gc
import pickle

import pytest

from lm_eval_safescale.datasets import dataset_from_records, texts_on_disk
from lm_eval_safescale.errors import SafescaleError

NUMBER = 20


def data():
    records = [
        {
            "question_id": f"q{number:02}",
            "question": "Which?",
            "options": ["one", "two"],
            "answer": "A",
            "evidence": {
                "clean": f"é {number}\n" * 9,
                "conflict": f"no {number}",
                "other": "\U0001fac1",
            },
        }
        for number in range(NUMBER)
    ]
    return dataset_from_records(records, name="data")


@pytest.fixture(
    params=[0, 100, 500], ids=["all in the file", "the first in memory", "half in memory"]
)
def one_way(request, monkeypatch):
    plain = data()
    assert all(type(item.evidence) is dict for item in plain)
    monkeypatch.setattr(texts_on_disk, "IN_MEMORY", request.param)
    found = data()
    assert type(found.items[-1].evidence) is not dict
    return found, plain


def test_texts_in_a_file_are_those_that_were_given(one_way):
    found, plain = one_way
    assert found.items == plain.items
    assert plain.items == found.items
    assert found.fingerprint == plain.fingerprint
    assert [[*item.evidence.items()] for item in reversed(found.items)] == [
        [*item.evidence.items()] for item in reversed(plain.items)
    ]
    assert repr(found.items) == repr(plain.items)
    assert found.items[-1].evidence.get("none") is None
    assert found.has_evidence("other")


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda item: pickle.loads(pickle.dumps(item))]
)
def test_a_copied_item_has_its_texts(one_way, copied):
    found, plain = one_way
    assert copied(found.items[-1]) == plain.items[-1]


def test_an_item_keeps_the_file_of_its_texts(monkeypatch):
    monkeypatch.setattr(texts_on_disk, "IN_MEMORY", 0)
    *_, last = data()
    gc.collect()
    assert last.evidence["conflict"] == f"no {NUMBER - 1}"


def test_a_file_that_is_cut_off_is_said(monkeypatch):
    monkeypatch.setattr(texts_on_disk, "IN_MEMORY", 0)
    texts = texts_on_disk.KeptTexts()
    of_item = texts.add({"clean": "a" * 100})
    texts._file.truncate(50)
    with pytest.raises(SafescaleError, match="texts of the data set"):
        _ = of_item["clean"]
