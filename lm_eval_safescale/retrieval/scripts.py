"""Scripts that a rule for Latin text would cut wrongly: without spaces between words, or with
marks. It knows characters only.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain

HAN = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
"""Hiragana, Katakana and Bopomofo."""
THAI_AND_LAO = (
    "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd\u0ec0-\u0ec6"
    "\u0edc-\u0edf"
)
BURMESE = (
    "\u1000-\u102a\u103f\u1050-\u1055\u105a-\u105d\u1061\u1065\u1066\u106e-\u1070\u1075-\u1081"
    "\u108e\ua9e0-\ua9e4\ua9e6-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa76\uaa7a\uaa7e\uaa7f"
)
KHMER = "\u1780-\u17b3\u17d7\u17dc"
TAI = (
    "\u1950-\u196d\u1970-\u1974\u1980-\u19ab\u19b0-\u19c9\u1a20-\u1a54\u1aa7"
    "\uaa80-\uaaaf\uaab1\uaab5\uaab6\uaab9-\uaabd\uaac0\uaac2\uaadb-\uaadd"
)
UNSPACED = HAN + KANA + THAI_AND_LAO + BURMESE + KHMER + TAI
"""Letters written without spaces between words: Unicode breaks lines of them anywhere, or with a
dictionary (UAX 14, ID and SA)."""
HANGUL = "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7a3\ud7b0-\ud7fb"
"""Korean has spaces, but between phrases: particles stand at the noun, and compounds are written
with or without a space."""
JOINERS = "\u200c\u200d"
"""Invisible, within a word."""
WIDE = "\uff00-\uffef"
"""Letters and digits as wide as an ideograph, and Katakana and Hangul of half its width."""


def is_plain(text: str) -> bool:
    """Whether there is nothing of the above in a text, nor a mark: then `\\w+` finds its words."""
    return text.isascii() or not _special().search(text)


@functools.cache
def marks() -> str:
    """Marks (Unicode's category M) and `JOINERS`, as the inside of a character class.

    Those of the basic plane and the variation selectors: the marks of scripts beyond (few are in
    use, as Chakma and Adlam) would make the class ten times slower, and are cut at.
    """
    codes = chain(range(0x300, 0x10000), range(0xE0100, 0xE01F0))
    return (
        "".join(_ranges(code for code in codes if unicodedata.category(chr(code))[0] == "M"))
        + JOINERS
    )


@functools.cache
def _special() -> re.Pattern[str]:
    return re.compile(f"[{UNSPACED}{HANGUL}{WIDE}{marks()}]")


def _ranges(codes: Iterable[int]) -> Iterator[str]:
    first = last = None
    for code in codes:
        if first is not None and last is not None and code != last + 1:
            yield f"{chr(first)}-{chr(last)}"
            first = None
        first, last = code if first is None else first, code
    if first is not None and last is not None:
        yield f"{chr(first)}-{chr(last)}"
