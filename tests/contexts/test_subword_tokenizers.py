"""The builders counted by subword tokenizers, whose tokens merge across borders and do not stand
for words.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_safescale import assembly
from lm_eval_safescale.contexts import CONTEXT_BUILDERS, RESERVED_TOKENS, RULE, make_contexts
from lm_eval_safescale.records import Choice, Passage
from lm_eval_safescale.retrieval import HubTokenizer, load_tokenizer
from lm_eval_safescale.settings import Settings

BUILDERS = {each.name: each for each in CONTEXT_BUILDERS}
ITEM = Choice("q0", "Which vessel?", {"A": "artery", "B": "vein"}, "A")
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


@functools.cache
def article_texts():
    return [article.whole for article in assembly.load_settings_corpus(Settings(corpus="demo"))]


@functools.cache
def tokenizer_of(kind):
    """A subword tokenizer trained on the demo articles; `model`: the small model's own, out of its
    GGUF file."""
    if kind == "model":
        folder = os.environ.get("SMALL_MODEL_DIR")
        if not folder or not (Path(folder) / MODEL_FILE).exists():
            pytest.skip(
                "SMALL_MODEL_DIR does not hold the small model; scripts/small-model.sh DIR puts it "
                "there"
            )
        return load_tokenizer(str(Path(folder) / MODEL_FILE))
    tokenizers, transformers = (
        pytest.importorskip("tokenizers"),
        pytest.importorskip("transformers"),
    )
    raw = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    pre = tokenizers.pre_tokenizers
    raw.pre_tokenizer = (
        pre.ByteLevel(add_prefix_space=False)
        if kind == "bytes"
        else pre.Metaspace(split=kind == "words")
    )
    alphabet = pre.ByteLevel.alphabet() if kind == "bytes" else []
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=1500, special_tokens=["<unk>"], initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(article_texts()[:30], trainer)
    return HubTokenizer(
        transformers.PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>"), kind
    )


class StubTools:
    """A stub of the workbench: the same ranking for every query."""

    def __init__(self, texts, tokenizer, window=None):
        self.tokenizer, self.window = tokenizer, window
        self.ranking = [
            Passage(f"p{n}#1", f"p{n}", "", text, -float(n), n + 1) for n, text in enumerate(texts)
        ]

    def search(self, queries, k):
        return [self.ranking[:k] for _ in queries]

    def count(self, passages):
        return self.tokenizer.count([passage.text for passage in passages])


def joined(tools, number):
    return RULE.join(passage.text for passage in tools.ranking[:number])


each_tokenizer = pytest.mark.parametrize(
    "kind", ["bytes", "words", "pieces", pytest.param("model", marks=pytest.mark.model)]
)
pieces = st.lists(
    st.tuples(st.integers(0, 119), st.integers(0, 1500), st.integers(20, 400)),
    min_size=1,
    max_size=8,
    unique=True,
)
marks = st.lists(
    st.sampled_from(["T2", "µ", "\n\n", "...", "é", "\U0001fac1", "--", " "]), max_size=3
).map("".join)


def texts_of(drawn, mark):
    texts = (
        article_texts()[number][start:][:length].strip() + mark.rstrip()
        for number, start, length in drawn
    )
    return [text or "x" for text in texts]


@each_tokenizer
@settings(max_examples=40)
@given(drawn=pieces, mark=marks, room=st.integers(150, 900))
def test_max_context_is_the_longest_beginning_of_the_ranking_that_fits(kind, drawn, mark, room):
    tools = StubTools(texts_of(drawn, mark), tokenizer_of(kind), RESERVED_TOKENS + room)
    fits = [
        tools.tokenizer.count([joined(tools, n)])[0] <= room
        for n in range(1, len(tools.ranking) + 1)
    ]
    expected = fits.index(False) if False in fits else len(fits)
    if not expected:
        return  # refused: tests/contexts/test_builders.py
    context = make_contexts(
        BUILDERS["max_context"], [ITEM], tools, settings={"context_tokens": None}
    ).contexts["q0"]
    assert [ref.id for ref in context.passages] == [
        passage.id for passage in tools.ranking[:expected]
    ]
    assert context.text == joined(tools, expected)
    assert context.tokens == tools.tokenizer.count([context.text])[0] <= room
    assert context.notes["all_found"] == all(fits)


@each_tokenizer
@settings(max_examples=40)
@given(drawn=pieces, mark=marks)
def test_padded_is_never_longer_than_the_top_k_and_has_one_passage_s_content(kind, drawn, mark):
    tools = StubTools(texts_of(drawn, mark), tokenizer_of(kind))
    (goal,) = tools.tokenizer.count([joined(tools, 10)])
    context = make_contexts(BUILDERS["padded"], [ITEM], tools, settings={"top_k": 10}).contexts[
        "q0"
    ]
    endless = RULE.join([tools.ranking[0].text] * 200)
    assert endless.startswith(context.text)
    assert context.notes == {"tokens_of_top_k": goal}
    assert context.tokens <= goal


@each_tokenizer
def test_padded_has_the_tokens_of_the_top_k_on_the_demo_articles_or_once_one_fewer(kind):
    texts = [text[:1200].strip() for text in article_texts()[:10]]
    fewer = []
    for first in range(10):
        tools = StubTools(texts[first:] + texts[:first], tokenizer_of(kind))
        context = make_contexts(BUILDERS["padded"], [ITEM], tools, settings={"top_k": 10}).contexts[
            "q0"
        ]
        fewer.append(tools.tokenizer.count([joined(tools, 10)])[0] - context.tokens)
    assert sorted(fewer) in ([0] * 10, [0] * 9 + [1])
