"""Contexts built ahead are shown only where they are what the settings beside them ask for."""

from __future__ import annotations

import json

import pytest

from lm_eval_safescale import assembly
from lm_eval_safescale.assembly import context_checks
from lm_eval_safescale.contexts import write_contexts
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.settings import load_settings


@pytest.fixture
def contexts_of(tmp_path):
    """The contexts of a condition for the demo questions, under settings as a user gives them."""

    def contexts(condition="rag", **given):
        settings = load_settings(
            {"dataset": "demo", "index_dir": str(tmp_path / "indexes")} | given, environ={}
        )
        part = plugins().find("condition", condition)
        return assembly.contexts_of(part, assembly.load_dataset(settings), settings)

    return contexts


@pytest.fixture
def ahead(contexts_of, tmp_path):
    """Contexts of a condition from a file that was built under other settings."""

    def contexts(condition, built, **given):
        write_contexts(tmp_path / "ahead.jsonl", contexts_of(condition, **built))
        return contexts_of(condition, contexts=str(tmp_path / "ahead.jsonl"), **given)

    return contexts


@pytest.fixture
def corpus(tmp_path):
    """A corpus file of one text; its name is always the same, its folder never."""

    def write(folder, text):
        path = tmp_path / folder / "corpus.jsonl"
        path.parent.mkdir()
        path.write_text(json.dumps({"id": "a", "text": text}) + "\n", encoding="utf-8")
        return str(path)

    return write


DEMO = {"corpus": "demo", "top_k": 3}
OTHER = {
    "another k": {"top_k": 4},
    "another k of the builder": {"builder_args": {"top_k": 5}},
    "another builder": {"context_builder": "padded"},
    "another setting of the retriever": {"retriever_args": {"k1": 2}},
    "another retriever": {"retriever": "hybrid"},
    "a retriever of the same name": {"retriever": "acme/bm25"},
    "another size": {"chunk_tokens": 299},
    "another overlap": {"chunk_overlap": 49},
}


@pytest.mark.parametrize("other", OTHER)
def test_a_file_built_with_other_settings_is_refused_by_the_setting(other, ahead):
    (name,) = OTHER[other]
    with pytest.raises(
        SafescaleError,
        match=rf"built with {name} .* but {name} is set to .*; leave {name} out, or build it again",
    ):
        ahead("rag", DEMO, **OTHER[other])


@pytest.mark.parametrize(
    "same",
    [
        {}, DEMO, {"corpus": "Demo"}, {"retriever": "BM25"},
        {"retriever": "lm-eval-safescale/bm25"}, {"retriever_args": {"b": 0.75}},
        {"builder_args": {"top_k": 3}}, {"chunk_tokenizer": "words"}, {"chunk_tokens": 300},
        {"context_builder": "rag"},
    ],
    ids=str,
)  # fmt: skip
def test_the_settings_that_a_file_was_built_with_may_be_given_again(same, ahead, contexts_of):
    assert ahead("rag", DEMO, **same).contexts == contexts_of(**DEMO).contexts


def test_a_setting_that_the_condition_overrides_is_no_reason_to_refuse(ahead):
    assert ahead("rag_top1", DEMO, top_k=7, builder_args={"top_k": 5}).about["builder"][
        "settings"
    ] == {"top_k": 1}


def test_a_file_of_another_corpus_is_refused_though_its_name_is_the_same(ahead, corpus):
    one, same, other = corpus("one", "lung"), corpus("same", "lung"), corpus("other", "liver")
    ahead("rag", {"corpus_path": one}, corpus_path=same)
    for given in ({"corpus_path": other}, {"corpus": "demo"}):
        (name,) = given
        with pytest.raises(
            SafescaleError,
            match=rf"'corpus.jsonl', whose articles are not those of {name} .*; leave {name} out",
        ):
            ahead("rag", {"corpus_path": one}, **given)


def test_a_tokenizer_is_the_same_by_what_it_does_and_not_by_its_name(ahead, monkeypatch):
    class Renamed:
        name, fingerprint = "other/words", "cuts otherwise"

    load = context_checks.load_tokenizer
    monkeypatch.setattr(
        context_checks,
        "load_tokenizer",
        lambda name: Renamed() if name == Renamed.name else load(name),
    )
    with pytest.raises(
        SafescaleError, match=r"chunk_tokenizer 'words', which is not the tokenizer 'other/words'"
    ):
        ahead("rag", DEMO, chunk_tokenizer=Renamed.name)


def test_contexts_built_for_no_window_are_refused_where_the_model_s_does_not_hold_them(ahead):
    built = DEMO | {"context_tokenizer": "words"}
    assert ahead("context_32k", built, max_context_tokens=37_144).about["window"] is None
    with pytest.raises(
        SafescaleError,
        match=r"longest context has 29,\d\d\d tokens, .* window of 8,192 .* leaves 1,048",
    ):
        ahead("context_32k", built, max_context_tokens=8192)


def test_max_context_counted_by_another_tokenizer_is_refused(ahead):
    with pytest.raises(
        SafescaleError, match=r"built with context_tokenizer 'words', but .* 'cl100k'"
    ):
        ahead("context_32k", DEMO | {"context_tokenizer": "words"}, context_tokenizer="cl100k")


def test_what_is_left_out_of_a_corpus_is_said_in_one_line(contexts_of, tmp_path, caplog):
    for name in ("a.md", "b.pdf", "c.html"):
        (tmp_path / "texts" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "texts" / name).write_text("lung")
    contexts_of(corpus_path=str(tmp_path / "texts"))
    (said,) = [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("lm_eval_safescale")
    ]
    assert (
        "item b.pdf: left out: only .md, .markdown, .txt files are read (and 1 more like it)"
        in said
    )


def test_a_file_for_another_condition_is_named_where_it_would_have_spared_the_corpus(
    ahead, contexts_of, tmp_path
):
    assert ahead("rag", DEMO).condition == "rag"
    with pytest.raises(
        SafescaleError,
        match=(
            r"ahead\.jsonl was built for rag, not for rag_top1; so a corpus is needed: no corpus "
            r"to retrieve from"
        ),
    ):
        contexts_of("rag_top1", contexts=str(tmp_path / "ahead.jsonl"))


@pytest.mark.parametrize(("question", "warnings"), [("other-1", 1), ("demo-001", 0)])
def test_a_settling_file_of_another_data_set_is_named_in_a_warning(
    question, warnings, contexts_of, corpus, tmp_path, caplog
):
    path = tmp_path / "settling.jsonl"
    path.write_text(
        json.dumps({"question_id": question, "settling": ["a"]}) + "\n", encoding="utf-8"
    )
    made = contexts_of(corpus_path=corpus("one", "lung"), settling_path=str(path))
    said = [
        record.getMessage() for record in caplog.records if "settling.jsonl" in record.getMessage()
    ]
    assert len(said) == warnings
    assert all(
        "none of its questions is in the data set" in text and "'other-1'" in text for text in said
    )
    assert (made.summary()["measures"]["recall"] is None) == bool(warnings)
