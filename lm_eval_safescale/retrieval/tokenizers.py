"""Tokenizers, by which passages are cut and contexts measured. They know texts only: no corpus, no
model, no retriever.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.retrieval.scripts import UNSPACED, is_plain, marks

WORDS, CL100K = "words", "cl100k"
_WORD = r"\w{1,32}|[^\w\s]"
_BATCH = 256


class Tokenizer(Protocol):
    """What cuts and counts."""

    name: str
    fingerprint: str
    """Changes when the tokenizer would cut any text otherwise."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        ...

    def blocks(self, text: str, size: int) -> list[tuple[int, int]]:
        """Character spans `(start, end)` of each run of `size` tokens, from the first token to the
        last; the last run may be shorter."""
        ...


class WordTokenizer:
    """Words (of at most 32 characters; a longer one counts as several) and single punctuation
    marks. Needs nothing.

    Where a script does without spaces between words, each character is a token, as it is to most
    models.
    """

    name = WORDS
    fingerprint = f"{WORDS} 2: {_WORD}, single characters where words have no spaces"

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [len(_compiled(_token_of(text)).findall(text)) for text in texts]

    def blocks(self, text: str, size: int) -> list[tuple[int, int]]:
        """Character spans of each run of `size` tokens."""
        # possessive: a run never gives tokens back
        run = _compiled(rf"(?:(?:{_token_of(text)})\s*){{1,{size}}}+")
        return [match.span() for match in run.finditer(text)]


def _token_of(text: str) -> str:
    """A pattern of one token: the plain one where it does, since it is faster."""
    return _WORD if is_plain(text) else _word_of_any_script()


@functools.cache
def _word_of_any_script() -> str:
    letter, mark = rf"[^\W{UNSPACED}]", f"[{marks()}]"
    return rf"[{UNSPACED}]{mark}*|{letter}(?:{letter}|{mark}){{0,31}}|[^\w\s]"


_compiled = functools.cache(re.compile)


class HubTokenizer:
    """A Hugging Face tokenizer object, for example a model's own. Special tokens are not added."""

    def __init__(self, tokenizer: Any, name: str) -> None:
        self.name = name
        self._tokenizer = tokenizer
        state = (
            tokenizer.backend_tokenizer.to_str()
            if getattr(tokenizer, "is_fast", False)
            else str(tokenizer.get_vocab())
        )
        self.fingerprint = hashlib.sha256(state.encode()).hexdigest()

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        counts: list[int] = []
        # a batch at a time: ids of a hundred thousand tokens a text add up
        for start in range(0, len(texts), _BATCH):
            encoded = self._tokenizer(
                list(texts[start : start + _BATCH]),
                add_special_tokens=False,
                return_attention_mask=False,
                verbose=False,
            )
            counts += [len(ids) for ids in encoded["input_ids"]]
        return counts

    def blocks(self, text: str, size: int) -> list[tuple[int, int]]:
        """Character spans of each run of `size` tokens."""
        if not getattr(self._tokenizer, "is_fast", False):
            raise SafescaleError(
                f"the tokenizer {self.name} does not say where its tokens stand in the text (it is "
                f"not a 'fast' one); choose another chunk_tokenizer, for example {WORDS}"
            )
        offsets = self._tokenizer(
            text,
            add_special_tokens=False,
            return_attention_mask=False,
            return_offsets_mapping=True,
            verbose=False,
        )["offset_mapping"]
        return _runs([start for start, _ in offsets], [end for _, end in offsets], size)


class Cl100kTokenizer:
    """The tokenizer of GPT-4, by which the paper cut its passages (PROTOCOL §2)."""

    name = CL100K
    fingerprint = CL100K

    def __init__(self) -> None:
        try:
            import tiktoken
        except ImportError:
            raise SafescaleError(
                f"the tokenizer {CL100K} needs tiktoken: pip install tiktoken"
            ) from None
        try:
            self._encoding = tiktoken.get_encoding("cl100k_base")
        except Exception as error:  # requests' errors, OS errors, a wrong hash of the cached file
            raise SafescaleError(
                f"the tokenizer {CL100K} is neither cached nor reachable ({reason_of(error)}); "
                "point TIKTOKEN_CACHE_DIR at a copy of its file, or choose another tokenizer, for "
                f"example {WORDS}"
            ) from None

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [len(self._encoding.encode_ordinary(text)) for text in texts]

    def blocks(self, text: str, size: int) -> list[tuple[int, int]]:
        """Character spans of each run of `size` tokens."""
        _, starts = self._encoding.decode_with_offsets(self._encoding.encode_ordinary(text))
        return _runs(starts, [*starts[1:], len(text)], size)


def _runs(starts: Sequence[int], ends: Sequence[int], size: int) -> list[tuple[int, int]]:
    last = len(starts) - 1
    return [(starts[i], ends[min(i + size - 1, last)]) for i in range(0, len(starts), size)]


def load_tokenizer(name: str) -> Tokenizer:
    """The tokenizer of that name: `words`, `cl100k`, a GGUF file, or the folder or hub id of a
    Hugging Face tokenizer.

    Raises
    ------
    SafescaleError
        If it cannot be had here.
    """
    if name == WORDS:
        return WordTokenizer()
    if name == CL100K:
        return Cl100kTokenizer()
    try:
        return HubTokenizer(load_hub_tokenizer(name), name)
    except ImportError as error:
        raise SafescaleError(
            f"tokenizer {name!r}: {reason_of(error)}; pip install 'lm-eval-safescale[hf]'"
        ) from None
    except Exception as error:  # the hub's, the tokenizer library's, and OS errors alike
        raise SafescaleError(
            f"there is no tokenizer {name!r}: {reason_of(error)}; expected {WORDS}, {CL100K}, a "
            "GGUF file, or the folder or hub id of a Hugging Face tokenizer"
        ) from None


def load_hub_tokenizer(name: str, **options: Any) -> Any:
    """A Hugging Face tokenizer object; `name` may also be a GGUF file. Raises whatever transformers
    raises."""
    import transformers

    path = Path(name).expanduser()
    if path.suffix.lower() == ".gguf" and path.is_file():
        name, options = str(path.parent), options | {"gguf_file": path.name}
    return transformers.AutoTokenizer.from_pretrained(name, **options)
