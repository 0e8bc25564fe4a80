"""A list of words and phrases that is looked for in a clause: quick, for it is done at every
choice.
"""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[^\s.,;:!?()\[\]\"/|<>=*`।،。、！？؟—–-]+")


class Vocabulary:
    """Words and phrases of languages that put spaces between words.

    Parameters
    ----------
    lists
        Words and phrases with `|` between them. A final `*` stands for any ending, a first one for
        any beginning.
    """

    def __init__(self, *lists: str) -> None:
        entries = {
            unicodedata.normalize("NFKC", entry)
            for each in lists
            for entry in each.split("|")
            if entry
        }
        self._prefixes = tuple(
            entry[:-1] for entry in entries if entry.endswith("*") and " " not in entry
        )
        self._suffixes = tuple(entry[1:] for entry in entries if entry.startswith("*"))
        self._words = frozenset(entry for entry in entries if " " not in entry and "*" not in entry)
        phrases = sorted((entry for entry in entries if " " in entry), key=len, reverse=True)
        self._firsts = frozenset(phrase.split()[0] for phrase in phrases)
        either = "|".join(phrases).replace("*", r"\w*") or "(?!)"
        self._phrases = re.compile(rf"(?<!\w)(?:{either})(?!\w)")

    def stands_in(self, clause: str) -> bool:
        """Whether one of the words, or of the phrases, stands in a clause."""
        clause = clause.lower().replace("’", "'")
        words = [word.strip("'") for word in _WORD.findall(clause)]
        if not self._words.isdisjoint(words):
            return True
        if any(word.startswith(self._prefixes) or word.endswith(self._suffixes) for word in words):
            return True
        return not self._firsts.isdisjoint(words) and self._phrases.search(clause) is not None
