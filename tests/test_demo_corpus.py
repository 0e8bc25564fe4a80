"""The demo corpus: enough articles, one that settles each question and others that nearly do, no
sentence of the evidence, and too hard a search for any retriever to find all.
"""

import json
import re

import pytest

from lm_eval_safescale import assembly
from lm_eval_safescale.datasets.sources import data_folder
from lm_eval_safescale.families.radsafe.data import load_demo
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.retrieval import load_corpus, load_settling
from lm_eval_safescale.settings import Settings


def rows(name):
    return [
        json.loads(line)
        for line in (data_folder() / "radsafe_demo" / name).read_text(encoding="utf-8").splitlines()
    ]


CORPUS = load_corpus(data_folder() / "radsafe_demo" / "corpus.jsonl")
QUESTIONS, SETTLING = rows("questions.jsonl"), rows("settling.jsonl")
IDS = {article.id for article in CORPUS}
IN_A_ROW = 9


def runs(text):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + IN_A_ROW]) for i in range(len(words) - IN_A_ROW + 1)}


def test_the_corpus_is_read_without_a_remark_and_large_enough():
    assert CORPUS.warnings == ()
    assert len(CORPUS) >= 176


def test_titles_and_texts_are_unique():
    assert (
        len({article.title.casefold() for article in CORPUS})
        == len({article.text for article in CORPUS})
        == len(CORPUS)
    )
    assert all(article.title for article in CORPUS)


def test_the_settling_file_is_read_as_it_stands():
    settling = load_settling(data_folder() / "radsafe_demo" / "settling.jsonl", IDS)
    assert settling == {row["question_id"]: tuple(row["settling"]) for row in SETTLING}


def test_every_question_has_its_line():
    assert sorted(row["question_id"] for row in SETTLING) == sorted(
        row["question_id"] for row in QUESTIONS
    )


@pytest.mark.parametrize("row", SETTLING, ids=lambda row: row["question_id"])
def test_a_question_has_a_settling_article_and_a_near_miss_and_none_is_both(row):
    settling, near = set(row["settling"]), set(row["near_miss"])
    assert settling
    assert near
    assert settling | near <= IDS
    assert not settling & near
    assert len(row["why_not"].split()) >= 5


def test_no_nine_words_in_a_row_are_shared_with_any_evidence():
    evidence = {
        run: (row["question_id"], name)
        for row in QUESTIONS
        for name in ("evidence_clean", "evidence_conflict")
        for run in runs(row[name])
    }
    shared = [
        (article.id, *evidence[run], " ".join(run))
        for article in CORPUS
        for run in runs(article.whole)
        if run in evidence
    ]
    assert shared == []


def test_every_article_has_exactly_one_part():
    parts = [article for row in SETTLING for article in (*row["settling"], *row["near_miss"])]
    assert sorted(parts) == sorted(IDS)


def test_bm25_misses_some_settling_articles_and_all_of_them_are_there_to_be_found(tmp_path):
    settings = Settings.model_validate(
        {"dataset": "demo", "corpus": "demo", "top_k": 30, "index_dir": tmp_path}
    )
    made = assembly.contexts_of(plugins().find("condition", "rag"), load_demo(), settings)
    found = made.summary()["measures"]
    assert 0.8 < found["recall_at_5"] < 0.9
    assert 0.9 < found["recall_at_10"] < 0.97
    assert found["recall"] == 1
