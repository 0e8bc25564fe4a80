"""Every tokenizer: what it counts, where its runs of tokens stand, and what it says when it cannot
be had.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import unicodedata
from math import ceil
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.retrieval import WORDS, HubTokenizer, WordTokenizer, load_tokenizer
from lm_eval_safescale.retrieval.scripts import UNSPACED
from lm_eval_safescale.retrieval.tokenizers import CL100K, Cl100kTokenizer

words = WordTokenizer()
TEXT = st.text(
    st.sampled_from("ab é\u0301界か\u3099น้폐हि\u200d🙂.,-_ \n\t0")
    | st.characters(exclude_categories=["Cs"]),
    max_size=80,
)
SAMPLE = "A 54-year-old man; naïve T2-FLAIR 🙂🙂 mismatch.\n\n界面活性剤 — 3.5 mm\t(axial)."


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        (" \n\t\u3000", 0),
        ("a", 1),
        ("two words", 2),
        ("T2-FLAIR, then.", 6),  # T2 - FLAIR , then .
        ("snake_case 12", 2),
        ("x" * 32, 1),
        ("x" * 33, 2),
        ("x" * 65, 3),
        ("界面活性剤", 5),  # without spaces between words, each character counts
        ("界" * 64, 64),
        ("CT显示气胸。", 6),
        ("น้ำในปอด", 7),  # a letter counts with its marks
        ("폐렴은 CT에서", 2),  # Korean has spaces
        ("हिन्दी में", 2),
        ("🙂🙂", 2),
        ("e\u0301", 1),  # a combining mark belongs to its letter
        (" \u0301", 1),
        ("x" + "\u0301" * 31, 1),
        ("\u00e9", 1),
        ("a\u200bb", 3),
    ],
)
def test_words_and_punctuation_marks_count_one_each_and_a_long_word_one_for_every_32_characters(
    text, tokens
):
    assert words.count([text]) == [tokens]
    assert len(words.blocks(text, 1)) == tokens


def by_hand(text: str) -> list[tuple[int, int]]:
    """Spans of the tokens, character by character."""
    spans: list[tuple[int, int]] = []
    kind = ""  # of the token before, where a mark or a letter may belong to it
    for i, c in enumerate(text):
        is_mark = (
            unicodedata.category(c)[0] == "M" and not "\uffff" < c < "\U000e0000"
        ) or c in "\u200c\u200d"
        if (kind == "alone" and is_mark) or (
            kind == "word" and (is_mark or is_spaced(c)) and i - spans[-1][0] < 32
        ):
            spans[-1] = (spans[-1][0], i + 1)
        else:
            kind = "alone" if is_unspaced(c) else "word" if is_spaced(c) else ""
            if not c.isspace():
                spans.append((i, i + 1))
    return spans


def is_unspaced(c: str) -> bool:
    return bool(re.match(f"[{UNSPACED}]", c))


def is_spaced(c: str) -> bool:
    return (c.isalnum() or c == "_") and not is_unspaced(c)


@given(TEXT | st.text("ab.🙂 ", min_size=60, max_size=200), st.integers(1, 7))
@example("x" * 100, 3)
def test_runs_of_words_are_those_of_a_tokenizer_written_by_hand(text, size):
    tokens = by_hand(text)
    assert words.count([text]) == [len(tokens)]
    blocks = words.blocks(text, size)
    assert len(blocks) == ceil(len(tokens) / size)
    for number, (start, end) in enumerate(blocks):
        run = tokens[number * size : (number + 1) * size]
        assert start == run[0][0]
        assert text[start:end].rstrip() == text[run[0][0] : run[-1][1]]


def test_a_text_of_a_hundred_thousand_words_is_one_run_where_the_size_allows_it():
    text = "word, " * 50_000
    assert words.blocks(text, 100_000) == [(0, len(text))]
    assert words.count([text]) == [100_000]


# --- Hugging Face ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def byte_pairs(tmp_path_factory) -> Path:
    """The folder of a small byte-level tokenizer, trained here."""
    pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<s>"]
    )
    tokenizer.train_from_iterator(["the patient and the scan of the patient"] * 3, trainer)
    folder = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>").save_pretrained(folder)
    return folder


def check_runs_cover_the_text(tokenizer, text: str, size: int) -> None:
    blocks = tokenizer.blocks(text, size)
    assert len(blocks) == ceil(tokenizer.count([text])[0] / size)
    assert {i for start, end in blocks for i in range(start, end)} == set(range(len(text)))
    assert blocks == sorted(blocks)
    if text.isascii():  # where a token is never part of a character, runs touch and do not overlap
        assert [start for start, _ in blocks[1:]] == [end for _, end in blocks[:-1]]


@given(text=st.text(st.sampled_from("the patin.🙂é \n"), max_size=40), size=st.integers(1, 9))
def test_runs_of_a_hugging_face_tokenizer_cover_the_text(byte_pairs, text, size):
    check_runs_cover_the_text(_loaded(byte_pairs), text, size)


_cache: dict[Path, HubTokenizer] = {}


def _loaded(folder: Path) -> HubTokenizer:
    if folder not in _cache:
        tokenizer = load_tokenizer(str(folder))
        assert isinstance(tokenizer, HubTokenizer)
        _cache[folder] = tokenizer
    return _cache[folder]


def test_a_hugging_face_tokenizer_counts_without_special_tokens(byte_pairs):
    import transformers

    hub = transformers.AutoTokenizer.from_pretrained(byte_pairs)
    texts = ["", "the patient", "🙂", SAMPLE]
    plain = [
        len(hub.backend_tokenizer.encode(text, add_special_tokens=False).ids) for text in texts
    ]
    assert _loaded(byte_pairs).count(texts) == plain
    assert _loaded(byte_pairs).count(texts * 200) == plain * 200  # in batches


def test_the_fingerprint_of_a_tokenizer_is_its_content(byte_pairs, tmp_path):
    tokenizer = _loaded(byte_pairs)
    for file in byte_pairs.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert load_tokenizer(str(tmp_path)).fingerprint == tokenizer.fingerprint
    content = (tmp_path / "tokenizer.json").read_text(encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text(
        content.replace('"ByteLevel"', '"ByteLevel" ').replace('"<s>"', '"<t>"')
    )
    (tmp_path / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast"}'
    )
    assert load_tokenizer(str(tmp_path)).fingerprint != tokenizer.fingerprint


def test_a_tokenizer_that_does_not_say_where_its_tokens_stand_counts_but_cannot_cut():
    class StubSlow:
        is_fast = False

        def get_vocab(self):
            return {"a": 0}

        def __call__(self, texts, **_):
            return {"input_ids": [[0] * len(text) for text in texts]}

    tokenizer = HubTokenizer(StubSlow(), "slow")
    assert tokenizer.count(["aaa"]) == [3]
    with pytest.raises(
        SafescaleError, match=r"tokenizer slow .*chunk_tokenizer, for example words"
    ):
        tokenizer.blocks("aaa", 1)


@pytest.mark.model
def test_the_tokenizer_inside_a_gguf_file_counts_and_cuts_as_the_models_own(small_model_gguf):
    import transformers

    tokenizer = load_tokenizer(str(small_model_gguf))
    own = transformers.AutoTokenizer.from_pretrained(
        small_model_gguf.parent, gguf_file=small_model_gguf.name
    )
    for text in ("", "Answer: B", SAMPLE, SAMPLE * 50):
        assert tokenizer.count([text]) == [len(own(text, add_special_tokens=False)["input_ids"])]
        for size in (1, 7, 300):
            check_runs_cover_the_text(tokenizer, text, size)
    assert tokenizer.count(["Answer: B"])[0] < len("Answer: B")


# --- cl100k ---------------------------------------------------------------------------------------


def test_cl100k_without_its_file_says_both_ways_on(monkeypatch, tmp_path):
    pytest.importorskip("tiktoken")
    import tiktoken.load
    import tiktoken.registry

    def no_network(path):
        raise ConnectionError("no route to host\nand more")

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    monkeypatch.setattr(tiktoken.load, "read_file", no_network)
    with pytest.raises(SafescaleError) as raised:
        load_tokenizer(CL100K)
    assert str(raised.value) == (
        "the tokenizer cl100k is neither cached nor reachable (no route to host); point "
        "TIKTOKEN_CACHE_DIR at a copy of its file, or choose another tokenizer, for example words"
    )


def test_cl100k_without_its_library_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with pytest.raises(SafescaleError, match="needs tiktoken: pip install tiktoken"):
        load_tokenizer(CL100K)


@given(text=st.text(st.sampled_from("thean .🙂é界\n"), max_size=40), size=st.integers(1, 9))
@example("🙂" * 5, 3)
def test_runs_of_cl100k_cover_the_text_though_a_character_may_be_several_tokens(text, size):
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {bytes([byte]): byte for byte in range(256)} | {
        b"th": 256,
        b"the": 257,
        b" the": 258,
        b"an": 259,
    }
    encoding = tiktoken.Encoding(
        "stub", pat_str=r" ?\w+|[^\w\s]+|\s+", mergeable_ranks=ranks, special_tokens={}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiktoken, "get_encoding", {"cl100k_base": encoding}.__getitem__)
        tokenizer = load_tokenizer(CL100K)
    assert isinstance(tokenizer, Cl100kTokenizer)
    assert tokenizer.count([text, ""]) == [len(encoding.encode_ordinary(text)), 0]
    blocks = tokenizer.blocks(text, size)
    assert len(blocks) == ceil(tokenizer.count([text])[0] / size)
    assert "".join(text[start:end] for start, end in blocks) == text


# --- names ----------------------------------------------------------------------------------------


def test_words_is_found_by_name_and_needs_nothing():
    assert isinstance(load_tokenizer(WORDS), WordTokenizer)


@pytest.mark.skipif(not has("transformers"), reason="the error is then another one")
@pytest.mark.parametrize("name", ["word", "no such tokenizer", "/nowhere/model.gguf", ".", ""])
def test_an_unknown_tokenizer_is_named_with_what_was_expected(name, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    expected = (
        f"there is no tokenizer {name!r}: .*; expected words, cl100k, a GGUF file, or the folder "
        "or hub id"
    )
    with pytest.raises(SafescaleError, match=re.compile(expected.replace("'/", "'/"), re.DOTALL)):
        load_tokenizer(name)


@pytest.mark.skipif(not has("transformers"), reason="the error is then another one")
def test_a_file_that_only_says_it_is_a_gguf_file_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUFnot")
    with pytest.raises(SafescaleError, match=re.escape(f"there is no tokenizer {str(path)!r}")):
        load_tokenizer(str(path))


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        SafescaleError, match=r"tokenizer 'some/model': .*pip install 'lm-eval-safescale\[hf\]'"
    ):
        load_tokenizer("some/model")
