"""What is said of the other options behind a choice. One that something speaks for makes the choice
none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lm_eval_safescale.reading import doubts
from lm_eval_safescale.reading.cleaning import folded
from lm_eval_safescale.reading.denials import denied_after, denies, lacks, supposes
from lm_eval_safescale.reading.mentions import Mention, Options, Output, after_last

_I = re.IGNORECASE
_FAVOURS = re.compile(doubts.FAVOURS, _I)
_TURNS = re.compile(doubts.TURNS, _I)
_COMPARES = re.compile(
    rf"{doubts.COMPARES}\W*(?:the |an? )?(?:options? |choices? |answers? )?\W*\Z", _I
)
_DISMISSES = re.compile(doubts.DISMISSES, _I)
_WOULD = re.compile(r"\b(?:would|were|had there)\b", _I)
_FLIPS = re.compile(r"\b(?:but|rather|sondern|mais|sino|instead|bensì)\W*\Z|而是\W*\Z", _I)
_CONCEDES = re.compile(
    r"(?:^\s*|[;,.]\s*)(?:while|whilst|although|though|even though|even if|whereas)\b", _I
)
_LABEL_LINE = re.compile(
    r"(?:\A|\n)[\s\"'(\[*>|-]{0,8}(?:(?:option|choice|answer)s?\s+)?[\"'(\[*]{0,3}\Z", _I
)
_LIST_JOIN = re.compile(
    r"[\"')\]]{0,2}(?:,? ?(?:and|or|&|nor|und|et|y|e|ou|o|и|или)? ?|\s?[,/、和或및]\s?)(?:options? "
    r"|choices? )?[\"'(\[]{0,2}"
)
_RELATIVE = re.compile(r", (?:which|who|that)\b[^,.;!?\n]{0,80},", _I)
_CLAUSE = re.compile(
    r"[.!?](?=[\s\"')\]]|\Z)|[;,\n—(]|\s[–-]\s|[。！？，、؟।]"
    r"|\b(?:so|therefore|thus|hence|but|and|because|since|as|while|whereas|making|sondern|mais"
    r"|sino|ma)\b",
    _I,
)
_IN_BRACKETS = re.compile(r"\w[\"']?\s*[(\[]\Z")
_SAME_REASON = re.compile(r"\s(?:because|since|as|for|due to|on account of)\b", _I)
_ALONE = re.compile(r"[\"')\]]{0,2}\s*(?:[.,;!?)\n]|\Z)")


def first_of_lists(output: Output, start: int, chosen: str) -> Iterator[Mention]:
    """The letters behind a place; of a list of others than the chosen one ("A, B and D") the first
    alone, which stands for all."""
    joined = -1
    for mention in output.mentions:
        if mention.start >= start:
            if mention.start != joined:
                yield mention
            joined = -1 if mention.letter == chosen else _joined_to(output, mention.end)


_IS_INSTEAD = re.compile(
    r"\b(?:it|that|this|(?:correct |right |real |true |actual )?(?:diagnosis|answer))"
    r"(?: is|['’]s| was| must be| has to be| would be| should be)"
    r"(?: (?:really|actually|clearly|rather|probably|more likely|most likely|simply|instead"
    r"|in fact))? (?:an? |the )?(?:\w+ )??(?P<name>[^.,;:!?()\n]{4,80})",
    _I,
)


def names_another(text: str, options: Options, chosen: str) -> bool:
    """Whether a text behind a choice says that "it is" another option, by its text or the last word
    of it."""
    instead = list(_IS_INSTEAD.finditer(text))
    if not instead:
        return False
    own = options.own.get(chosen, "")
    names = {
        name
        for letter, each in options.own.items()
        if letter != chosen and each
        for name in (each, each.split()[-1])
    }
    names = {name for name in names if len(name) > 4 and name not in own}
    for found in instead:
        before = after_last(_CLAUSE, text[: found.start()])
        said = folded(found["name"])
        if any(re.match(rf"(?:\w+ )?{re.escape(name)}\Z", said) for name in names) and not (
            denies(f"{before} {said}") or supposes(before)
        ):
            return True
    return False


def said_of_other(output: Output, mention: Mention) -> str:
    """What is said of another option behind a choice.

    Returns
    -------
    "" where nothing speaks for it (it is denied, compared away or supposed); `listed` where it
    labels a line of its own; `described`; or `chosen`, where something speaks for it.
    """
    text, end = output.text, mention.end
    if not output.is_option(mention):
        return ""
    while (again := output.mention_at(_joined_to(output, end))) is not None:
        end = again.end
    lead = text[max(0, mention.start - 120) : mention.start]
    own_end = output.after_own_text(mention.letter, end)
    rest = _RELATIVE.sub(" ", text[own_end:][:200])
    stop = _CLAUSE.search(rest)
    in_brackets = _IN_BRACKETS.search(lead)
    before = after_last(_CLAUSE, lead[: in_brackets.start() + 1] if in_brackets else lead)
    clause = f"{before} {rest[: stop.start()] if stop else rest}"
    sentence_before, sentence_after = (
        output.sentence_before(mention.start),
        output.sentence_after(end),
    )
    if (
        _is_against(before, clause, lead)
        or denied_after(text, end)
        or _is_conceded(sentence_before, sentence_after)
    ):
        return ""
    # "A is wrong because ..., B because ..."
    if _SAME_REASON.match(rest) and denies(sentence_before):
        return ""
    favoured = bool(_FAVOURS.search(clause))
    if supposes(f"{sentence_before} {sentence_after}") or (_WOULD.search(clause) and not favoured):
        return ""
    if _LABEL_LINE.search(lead):
        return _said_of_line(
            text[end : end + 300].split("\n")[0],
            own_end - end if own_end > end else None,
            favoured=favoured,
        )
    if favoured or _TURNS.search(sentence_before):
        return "chosen"
    if in_brackets and output.own_text_before(mention.letter, lead) is not None:
        return "listed"
    return "chosen" if _ALONE.match(rest) and own_end == end and not in_brackets else "described"


def _is_against(before: str, clause: str, lead: str) -> bool:
    """Whether a clause denies or dismisses a letter or compares it away; "not B but D" does not
    deny D."""
    against = _COMPARES.search(lead) or denies(clause) or lacks(clause) or _DISMISSES.search(clause)
    return bool(against) and not _FLIPS.search(before)


def _is_conceded(before: str, behind: str) -> bool:
    """Whether a sentence concedes something to a letter and denies it then: "while D may cause
    fever, there is no fluid"."""
    _, comma, main = behind.partition(",")
    if not comma or not _CONCEDES.search(before):
        return False
    return bool(
        denies(main)
        or lacks(main)
        or _WOULD.search(main)
        or not (_FAVOURS.search(main) or re.search(r"\b[A-Z]\b", main))
    )


def _said_of_line(line: str, own_end: int | None, *, favoured: bool) -> str:
    """The same of a letter that labels a line; `own_end` is where its option's text ends there."""
    if not re.search(r"\w", line) or (favoured and own_end is None):
        return "chosen"
    return "described" if own_end is not None and not re.search(r"\w", line[own_end:]) else "listed"


def _joined_to(output: Output, end: int) -> int:
    """Where the next letter of a list stands, if one follows a letter that ends at `end`; else
    -1."""
    joined = _LIST_JOIN.match(output.text, end)
    return joined.end() if joined and joined.end() > end and output.mention_at(joined.end()) else -1
