"""Reads the replies of models that keep to a form more or less. What cannot be read is `Unusable`,
with what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from itertools import pairwise

from lm_eval_safescale.chat.asks import Unusable

_BULLET = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.):](?!\d))\s*")
_QUOTES = " \t\"'`*_“”"
_CITATION = re.compile(
    r"\s?[\[【]\s*(?:(?:passages?|sources?)\s+)?\^?(\d+(?:\s*(?:[,;–-]|and)\s*\^?\d+)*)\s*[\]】]",
    re.IGNORECASE,
)
"""[1], [1, 2], [1-3], [Passage 1], 【1】."""
_RANGE = re.compile(r"(\d+)(?:\s*[–-]\s*(\d+))?")
LONGEST_RANGE = 20
_OPEN, _CLOSE = "\ue000", "\ue001"
_LINE_END = re.compile(r"\n\s*(?=[^\Wa-z_])")
"""Where another line begins that is not the rest of a wrapped one."""
_SENTENCE_END = re.compile(r"[.!?](?:[\"')\]*_”]|\s?\[\d[\d,; ]*\])*(?=\s|$)")
_LABEL = (
    r"(?:^|(?<=[.!?\])]\s))[ \t*_#>-]*(?:evidence\s+)?{}(?:\s+(?:it|(?:the|this)\s+option))?"
    r"[ \t*_]*(?::|[-–]\s|$)[ \t*_]*"
)
_ERROR = re.compile(
    r"^\W*(?:error|exception|traceback"
    r"|(?:http\s*)?(?:[45]\d\d\s+)?(?:internal server error|bad gateway|service unavailable)"
    r"|http\s*[45]\d\d|html|!doctype|(?:i['’]?\s*a?m\s+)?(?:very\s+|so\s+)?sorry"
    r"|i['’]?\s*a?m\s+(?:unable|not\s+able)|i\s+apologi[sz]e"
    r"|(?:unfortunately,?\s+)?i\s+(?:cannot|can\s*not|can['’]?t|could\s+not)"
    r"|as\s+an?\s+(?:ai|(?:large\s+)?language))\b",
    re.IGNORECASE,
)
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+", re.MULTILINE)
_SOURCES = re.compile(
    r"^[ \t*_#]*(?:sources|references|bibliography)[ \t*_]*(?::|$).*",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)


def lines_of(text: str, *, most: int, longest: int) -> list[str]:
    """Up to `most` different lines without their bullets, each of at most `longest` words.

    Lines without a bullet count only where none has one; a line that ends in a colon announces, and
    does not count.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    marked = [line for line in lines if _BULLET.match(line)] or lines
    found = dict.fromkeys(
        _BULLET.sub("", line).strip(_QUOTES)
        for line in marked
        if not line.rstrip(_QUOTES).endswith(":")
    )
    fitting = [
        line
        for line in found
        if any(each.isalnum() for each in line) and len(line.split()) <= longest
    ]
    if not fitting:
        raise Unusable(f'Expected lines that start with "- ", each of at most {longest} words.')
    return fitting[:most]


def by_letter(text: str, letters: Collection[str]) -> dict[str, str]:
    """What stands behind each letter at the start of a line; a letter that stands twice counts
    once. Unusable if any lacks."""
    found: dict[str, str] = {}
    form = re.compile(
        r"^\s*(?:[-*•>#]+\s*)?[*_(\[`]*(?:option\s+)?([a-z])[*_`]*(?:\s*[.):\]]+|\s+[-–—]|[-–—]\s)"
        r"[*_`:]*\s*(\S.*)$",
        re.IGNORECASE,
    )
    for line in text.splitlines():
        match = form.match(line)
        if match and match[1].upper() in letters:
            found.setdefault(match[1].upper(), match[2].strip(_QUOTES))
    if lacking := [letter for letter in letters if not found.get(letter)]:
        raise Unusable(f"Expected a line for each option; {', '.join(lacking)} lacks one.")
    return found


def for_and_against(text: str) -> tuple[str, str]:
    """The two parts of a section, each perhaps empty but not both."""
    text = prose(text)
    start = {
        name: re.search(_LABEL.format(name), text, re.IGNORECASE | re.MULTILINE)
        for name in ("for", "against")
    }
    if (
        start["for"] is None
        or start["against"] is None
        or start["for"].end() > start["against"].start()
    ):
        raise Unusable(
            'Expected a part that starts with "For:", and after it a part that starts with '
            '"Against:".'
        )
    supporting = text[start["for"].end() : start["against"].start()].strip()
    opposing = text[start["against"].end() :].strip()
    if not any(each.isalnum() for each in supporting + opposing):
        raise Unusable("Both parts are empty.")
    return " ".join(supporting.split()), " ".join(opposing.split())


def prose(text: str) -> str:
    """A text that says something: not empty, not sources alone, no error message. Its headings
    become lines: those of a report are ours."""
    kept = _HEADING.sub("", _SOURCES.sub("", text)).strip()
    if not any(each.isalnum() for each in _CITATION.sub("", kept)):
        raise Unusable("It was empty." if not text.strip() else "It said nothing besides sources.")
    if _ERROR.match(kept):
        raise Unusable("It was an error message or an apology, no text on the question.")
    return kept


def whole_sentences(text: str) -> tuple[str, bool]:
    """A text up to the end of its last sentence, and whether anything was cut off; whole where no
    sentence ends."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    whole = text[: ends[-1]] if ends else text
    return whole, len(whole) < len(text.rstrip())


def nearest_sentence(text: str, about: str) -> str:
    """The sentence of a text that shares most words with `about`; the first of equals."""
    wanted = set(re.findall(r"\w{4,}", about.casefold()))
    ends = {
        match.end() for pattern in (_SENTENCE_END, _LINE_END) for match in pattern.finditer(text)
    }
    sentences = [
        " ".join(text[start:end].split()) for start, end in pairwise(sorted({0, len(text)} | ends))
    ]
    return max(
        filter(None, sentences),
        key=lambda each: len(wanted & set(re.findall(r"\w{4,}", each.casefold()))),
        default="",
    )


def cite(text: str, number_of: Callable[[int], int | None]) -> tuple[str, list[int], int]:
    """A text with its citations renumbered, the new numbers in order, and how many were removed
    because they name nothing."""
    cited: dict[int, None] = {}
    removed = 0

    def renumbered(match: re.Match[str]) -> str:
        nonlocal removed
        named = [number_of(number) for number in _numbers(match[1])]
        known = dict.fromkeys(number for number in named if number is not None)
        removed += named.count(None)
        cited.update(known)
        return f" {_OPEN}{', '.join(map(str, known))}{_CLOSE}" if known else ""

    text = text.replace(_OPEN, "").replace(_CLOSE, "")
    found = 1
    while found:  # what is removed may leave another behind: [[9]1]
        text, found = _CITATION.subn(renumbered, text)
    return text.replace(_OPEN, "[").replace(_CLOSE, "]").strip(), list(cited), removed


def _numbers(named: str) -> list[int]:
    numbers: list[int] = []
    for first, last in _RANGE.findall(named):
        ends = [int(each[:9]) for each in (first, last) if each]
        numbers += range(ends[0], ends[-1] + 1) if 0 <= ends[-1] - ends[0] < LONGEST_RANGE else ends
    return numbers
