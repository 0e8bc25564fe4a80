"""The terms of a text: what `bm25` matches, and what evidence coverage counts. One rule for both,
whatever the language.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from itertools import pairwise

from lm_eval_safescale.retrieval.scripts import HANGUL, UNSPACED, WIDE, is_plain, marks

RULE = (
    "terms 1: words of two characters or more, pairs of characters where spaces do not part words"
)
"""Changes when any text would have other terms: indexes are told apart by it."""
_WORD = re.compile(r"\w\w+")
_WIDE = re.compile(f"[{WIDE}]+")
_LEFT_OUT = re.compile(
    "[\u0300\u0301\u0307\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0640\u064b-\u065f\u0670"
    "\u06d6-\u06ed\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
"""What some write and most do not: stress, the dot of a Turkish i, vowels of Arabic and Hebrew,
joiners, variants of a glyph."""


def terms_of(text: str) -> list[str]:
    """The terms of a text in lower case, in order, each as often as it stands there.

    A term is a run of two or more letters, digits and underscores with their marks. Where a script
    does without spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese and others), and
    in Korean, it is each pair of neighbouring characters of a run, a character being a letter with
    its marks; of a run of one character, that character.
    """
    text = text.lower()
    if text.isascii():
        return _WORD.findall(text)
    text = unicodedata.normalize("NFC", text)
    return _WORD.findall(text) if is_plain(text) else _of_any_script(text)


def _of_any_script(text: str) -> list[str]:
    text = _WIDE.sub(
        lambda wide: unicodedata.normalize("NFKC", wide[0]).lower(), _LEFT_OUT.sub("", text)
    )
    run_or_word, character = _patterns()
    found: list[str] = []
    for match in run_or_word.finditer(text):
        if match[1] is None:
            found.append(match[0])
        else:
            characters = character.findall(match[0])
            found += map("".join, pairwise(characters)) if len(characters) > 1 else characters
    return found


@functools.cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A run of characters without spaces (as group 1) or a word; and one such character."""
    letter, mark = f"[{UNSPACED}{HANGUL}]", f"[{marks()}]"
    other = rf"[^\W{UNSPACED}{HANGUL}]"
    character = f"{letter}{mark}*"
    return re.compile(rf"((?:{character})+)|{other}(?:{other}|{mark})+"), re.compile(character)


@functools.cache
def stop_words() -> frozenset[str]:
    """English words that are not indexed: the 33 of Lucene."""
    from bm25s.stopwords import STOPWORDS_EN

    return frozenset(STOPWORDS_EN)


@functools.cache
def common_words() -> frozenset[str]:
    """English words that say nothing of what a text is about; more than `stop_words`."""
    from bm25s.stopwords import STOPWORDS_EN_PLUS

    return frozenset(STOPWORDS_EN_PLUS)
