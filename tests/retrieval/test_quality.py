"""Recall, reciprocal rank and coverage, by hand; what is not known is not scored, which is
never 0.
"""

from __future__ import annotations

import json

import pytest

from lm_eval_safescale.datasets.problems import DataError
from lm_eval_safescale.records import PassageRef
from lm_eval_safescale.retrieval import (
    coverage,
    load_settling,
    position_in_text,
    recall,
    reciprocal_rank,
)
from lm_eval_safescale.retrieval.quality import content_words

FOUND = [PassageRef(f"{article}#1", article, 1.0, rank) for rank, article in enumerate("xabax", 1)]


@pytest.mark.parametrize(
    ("settling", "k", "expected"),
    [
        ("a", 1, 0),
        ("a", 2, 1),
        ("ab", 2, 0.5),
        ("ab", 3, 1),
        ("ab", None, 1),
        ("abc", None, 2 / 3),
        ("c", None, 0),
        ("aa", 2, 1),
    ],
)
def test_recall_by_hand(settling, k, expected):
    assert recall(FOUND, list(settling), k) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settling", "expected"), [("x", 1), ("a", 1 / 2), ("b", 1 / 3), ("ba", 1 / 2), ("c", 0)]
)
def test_reciprocal_rank_by_hand(settling, expected):
    assert reciprocal_rank(FOUND, list(settling)) == pytest.approx(expected)


@pytest.mark.parametrize("settling", ["x", "a", "b", "ba"])
def test_the_order_in_the_text_changes_no_figure_of_the_retriever_and_is_one_of_its_own(settling):
    best_last = FOUND[::-1]  # x a b a x: ranks 5 4 3 2 1
    for k in (None, 1, 2, 3):
        assert recall(best_last, settling, k) == recall(FOUND, settling, k)
    assert reciprocal_rank(best_last, settling) == reciprocal_rank(FOUND, settling)
    assert position_in_text(best_last, "b") == position_in_text(FOUND, "b") == 3
    assert (position_in_text(FOUND[1:], "x"), position_in_text(FOUND[1::-1], "x")) == (4, 2)


def test_the_best_passage_put_last_is_still_the_retrievers_first():
    ten = [PassageRef(f"{rank}#1", str(rank), 1.0 / rank, rank) for rank in range(10, 0, -1)]
    assert (reciprocal_rank(ten, "1"), position_in_text(ten, "1")) == (1.0, 10)
    assert (recall(ten, "1", 1), recall(ten, "1", 5)) == (1.0, 1.0)
    assert (position_in_text(ten, "c"), position_in_text(ten, None)) == (None, None)


@pytest.mark.parametrize("settling", [None, [], ()])
def test_without_a_settling_article_nothing_is_scored(settling):
    assert recall(FOUND, settling) is None
    assert reciprocal_rank(FOUND, settling) is None


def test_nothing_retrieved_is_0_and_not_unscored():
    assert recall([], ["a"]) == 0
    assert reciprocal_rank([], ["a"]) == 0


def test_content_words_are_lower_case_without_stop_words_and_single_letters():
    assert content_words("The Infarct is in the T2 image, a B") == {"infarct", "t2", "image"}


def test_coverage_by_hand():
    # infarct, bright, diffusion, dark, flair
    evidence = "Infarct bright on diffusion, dark on FLAIR."
    assert coverage(evidence, ["An INFARCT, bright.", "Diffusion of the infarct"]) == (3 / 5, 2 / 5)
    assert coverage(evidence, [evidence]) == (1, 1)
    assert coverage(evidence, ["nothing of it"]) == coverage(evidence, []) == (0, 0)


def test_only_what_is_shown_of_the_texts_is_covered():
    evidence = "Infarct bright on diffusion, dark on FLAIR."
    texts = ["infarct, bright on diffusion", "dark, on FLAIR"]
    assert coverage(evidence, texts, "\n".join(texts)) == coverage(evidence, texts) == (1, 3 / 5)
    assert coverage(evidence, texts, "infarct, bri") == (1 / 5, 1 / 5)
    assert coverage(evidence, texts, "FLAIR. An added word: bright") == (2 / 5, 1 / 5)


def test_one_word_in_two_unicode_forms_is_one_word():
    assert (
        coverage("na\u00efve dissection", ["nai\u0308ve"])
        == coverage("nai\u0308ve dissection", ["na\u00efve"])
        == (1 / 2, 1 / 2)
    )


@pytest.mark.parametrize("evidence", [None, "", "the of and", "?"])
def test_coverage_of_no_evidence_is_not_scored(evidence):
    assert coverage(evidence, ["text"]) == (None, None)


def written(tmp_path, *records):
    path = tmp_path / "settling.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_settling_articles_are_read_by_question(tmp_path):
    path = written(
        tmp_path,
        {"question_id": "q1", "settling": ["a", "b", "a"], "more": 1},
        {"question_id": 2, "settling": ["7"]},
    )
    assert load_settling(path, ["a", "b", "7"]) == {"q1": ("a", "b"), "2": ("7",)}


def test_whole_numbers_are_article_ids_here_as_in_a_corpus(tmp_path):
    assert load_settling(written(tmp_path, {"question_id": "q", "settling": [7]}), ["7"]) == {
        "q": ("7",)
    }


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"settling": ["a"]}, ":2: question_id: expected a text or a whole number"),
        ({"question_id": True, "settling": ["a"]}, ":2: question_id: expected"),
        ({"question_id": "q"}, ":2: item q: settling: expected a list of article ids"),
        ({"question_id": "q", "settling": "a"}, ":2: item q: settling: expected a list"),
        ({"question_id": "q", "settling": []}, ":2: item q: settling: expected a list"),
        ({"question_id": "q", "settling": [True]}, ":2: item q: settling: expected a list"),
        (
            {"question_id": "q", "settling": ["a", "z", "y"]},
            ":2: item q: settling: no article z, y in the corpus",
        ),
        ({"question_id": "q1", "settling": ["a"]}, ":2: item q1: the question stands twice"),
    ],
)
def test_a_settling_file_that_is_wrong_is_refused_by_line_and_question(record, said, tmp_path):
    path = written(tmp_path, {"question_id": "q1", "settling": ["a"]}, record)
    with pytest.raises(DataError) as error:
        load_settling(path, ["a"])
    assert f"{path}{said}" in str(error.value)
