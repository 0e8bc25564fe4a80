"""Places in a written report that give the answer away: a condition whose reports do so measures
reading, not reasoning.

The rule: a text leaks where it commits to an option *as the answer*, by its letter ("Therefore, B
is correct"), by its text together with a word such as answer, option, choice or correct
("pneumothorax is the correct answer"), by speaking of the option under study ("this option is
right"), or by answering in the question's own terms ("The most likely diagnosis is pneumothorax."
as a sentence of its own). Evidence is none, however strong ("supports option B", "in tall young men
the most likely diagnosis is pneumothorax"), nor are open questions ("whether option B is correct")
and what is ruled out ("the answer is not B").
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from itertools import islice

LEAK = "leak"
"""What the measure is called, and the kind of its flags."""
EXCERPT = 120
MOST = 5

_CHOICE = r"(?:answer|option|choice|response|alternative)"
_BEST = r"(?:correct|right|best|final|most\s+(?:likely|appropriate|accurate))"
_BE = r"(?:is|was|would\s+be|should\s+be|must\s+be|seems|appears\s+to\s+be|remains)"
_NOT = r"(?!\s+(?:not|never|in|un)\b)(?!\s+(?:incorrect|wrong|unlikely|false))"
_IS = rf"\s+{_BE}{_NOT}"
_DEGREE = (
    r"(?:\s+(?:the|an?|clearly|likely|most|indeed|therefore|thus|probably|single|only|definitely))*"
)
_VERDICT_ENDS = (
    r"(?=\s*(?:[.,;:!?)\]*\"'\[]|$)"
    rf"|\s+(?:{_CHOICE}|one|diagnosis|explanation|because|since|as|and|but|given|here"
    r"|(?:in|for)\s+this)\b)"
)
"""What follows a word that is a verdict: "right." and "best here", not "right-sided" and "best for
soft tissue"."""
_RIGHT = (
    rf"{_DEGREE}\s+(?:correct\b(?!\s+(?:if|when|only)\b)"
    rf"|(?:right|best|true|appropriate|accurate)\b{_VERDICT_ENDS}"
    r"|(?<=the\s)answer\b|most\s+(?:likely|probable)\b)"
)
_OF_CHOICE = r"(?:most\s+(?:likely|probable|appropriate|suitable)|likeliest|best|correct|right)"
_WITHOUT_IF = r"(?!\s+(?:for|in|when|if)\b(?!\s+this\b))"
"""Not "the best choice for children", which is evidence."""
_OPEN = re.compile(
    r"(?:\b(?:whether|if|unless)\s+(?:\w+\s+){0,2}"
    r"|(?:\b(?:not|never|cannot)|n['’]t)\s+(?:\w+\s+){0,2})$",
    re.IGNORECASE,
)
"""What may stand before a verdict that is none."""
_BEFORE = 40


def find_leaks(text: str, options: Mapping[str, str]) -> list[str]:
    """Excerpts in which a text commits to an option, in order; at most `MOST`."""
    return (
        [
            excerpt.strip()[:EXCERPT]
            for excerpt in islice(_found(text, _patterns(tuple(options.items()))), MOST)
        ]
        if options
        else []
    )


def _found(text: str, patterns: tuple[re.Pattern[str], ...]) -> Iterator[str]:
    spans = [match.span("at") for each in patterns for match in each.finditer(text)]
    end = 0
    for start, stop in sorted(spans):
        if start >= end and not _OPEN.search(text[max(0, start - _BEFORE) : start]):
            yield text[start:stop]
            end = stop


@functools.lru_cache(maxsize=1024)
def _patterns(options: tuple[tuple[str, str], ...]) -> tuple[re.Pattern[str], ...]:
    """Each with what it finds as the group `at`. Kept: every step of a report asks for those of its
    question again."""
    bare = (
        rf"[\"'(*\[“]{{0,3}}(?-i:[{''.join(re.escape(letter) for letter, _ in options)}])(?![\w-])"
        r"[\"')*\]”]{0,3}"
    )
    texts = sorted(
        filter(None, (each.strip().rstrip(". ") for _, each in options)), key=len, reverse=True
    )
    named = "|".join(r"\s+".join(map(re.escape, each.split())) for each in texts)
    quoted = rf"(?<!\w)[\"'*“]{{0,3}}(?:{named})(?!\w)[\"'*”]{{0,3}}" if named else r"(?!)"
    ending = (
        rf"(?=\s*(?:$|[,;:!?)\[(–—-]|\.(?!\s+(?-i:[a-z]))|\.\s+{quoted}"
        r"|\b(?:because|since|as|and|or|for|with|given|here|in\s+this)\b))"
    )
    letter = rf"(?:{_CHOICE}\s+)?{bare}{ending}"
    """As an answer: "B." and "B because", not "E. coli" or "A chest radiograph"."""
    either = rf"(?:{letter}|(?:{_CHOICE}\s+)?(?:(?:an?|the)\s+)?{quoted})"
    explained = rf"(?:\s*\([^()\n]{{0,100}}\)|\.?\s*[:,]?\s*{quoted},?)?"
    forms = (
        (
            rf"\b(?P<at>(?:{_BEST}\s+)?{_CHOICE}(?:\s+(?:here|to\s+this\s+question))?"
            r"(?:,\s+\w{1,20},)?[*_]{0,2}(?:\s+(?:is|would\s+be|must\s+be|should\s+be)|\s*[:=])"
            rf"[*_]{{0,2}}(?!\s+not\b){_DEGREE}[:\s]*{either})"
        ),
        rf"\b(?P<at>{_BEST}\s+{_CHOICE}\s*,?\s*\(\s*{bare})",
        rf"\b(?P<at>{_CHOICE}\s+{bare}{explained}{_IS}{_RIGHT})",
        (
            r"(?:^|[.:;!?,]\s+|[\"'(]|\b(?:so|hence|thus|therefore|that|only)\s+)"
            rf"(?P<at>{bare}{explained}{_IS}{_RIGHT})"
        ),
        (
            rf"\b(?P<at>(?:the|this)\s+{_CHOICE}{_IS}{_DEGREE}\s+"
            rf"(?:right\b{_VERDICT_ENDS}|correct\b(?!\s+(?:if|when|only)\b)|(?<=the\s)answer\b))"
        ),
        (
            r"(?:^|[.!?]\s+)"
            r"(?P<at>(?:(?:so|thus|hence|therefore|overall|in\s+(?:conclusion|summary)),?\s+)?"
            rf"the\s+{_OF_CHOICE}\s+(?:[\w-]+\s+){{1,5}}?(?:is|would\s+be|must\s+be)(?!\s+not\b)"
            rf"{_DEGREE}\s+{quoted}){ending}"
        ),
        (
            rf"\b(?P<at>(?:this|it)\s+is{_NOT}{_DEGREE}\s+(?:correct|right|best)\s+{_CHOICE}\b"
            rf"{_WITHOUT_IF})"
        ),
        rf"\b(?P<at>is\s*[:=]\s*(?:option\s+)?{bare}\.?[ \t]*$)",
        rf"^(?P<at>\W{{0,3}}{bare}\.?[ \t]*$)",
        (
            rf"(?P<at>{quoted}{_IS}{_DEGREE}\s+"
            rf"(?:(?:correct|right|best)\s+{_CHOICE}\b{_WITHOUT_IF}|correct\b(?!\s+\w)"
            r"|(?<=the\s)answer\b))"
        ),
        (
            r"\b(?P<at>(?:favou?rs?|points?\s+(?:clearly\s+)?to|supports?\s+choosing)\s+(?:the\s+)?"
            rf"{_CHOICE}\s+{bare})"
        ),
        rf"\b(?P<at>(?:choose|select|pick|answer\s+with)\s+(?:the\s+)?{either})",
    )
    return tuple(re.compile(form, re.IGNORECASE | re.MULTILINE) for form in forms)
