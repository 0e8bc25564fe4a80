"""Text in a case or an answer that speaks to whoever judges it: it is data, and flagged."""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST_SHOWN = 160
_SPEAKS = re.compile(
    r"""
    \b(?:mark|count|treat|score|grade|rate|label|consider|judge)\s+
        (?:all|every|each|any|these|the\s+following)\b[^.;\n]{0,60}?
        \b(?:match|matched|matching|met|correct|present|fulfilled|satisfied|yes|full)\b
    | \b(?:ignore|disregard|forget|override)\s+(?:\w+\s+){0,3}
        (?:instructions?|rules|rubric|guidelines?|prompt)\b
    | \b(?:dear|attention|note\s+(?:to|for)|instructions?\s+(?:to|for)|message\s+(?:to|for)|to)\s+
        (?:the\s+|any\s+|all\s+)?(?:judges?|graders?|evaluators?|raters?|scorers?|examiners?)\b
    | \b(?:as|you\s+are)\s+(?:the|a|an)\s+(?:\w+\s+)?(?:judge|grader|evaluator|rater|scorer)\b
    | \b(?:full|maximum|perfect)\s+(?:marks|score|credit)\b
    | ["']?\b(?:match|matched|verdict)["']?\s*[:=]\s*["']?(?:yes|true|full|all)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)


def flags_of(case: str, text: str) -> Iterator[str]:
    """What of a case and of an answer to it addresses the judge, the first of each."""
    for where, given in (("case", case), ("answer", text)):
        if found := _SPEAKS.search(given):
            start = max(0, found.start() - 20)
            said = " ".join(given[start : found.end() + 40].split())[:MOST_SHOWN]
            yield f'the {where} addresses the judge: "{said}"'
