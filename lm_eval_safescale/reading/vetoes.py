"""What forbids a choice, one function each, in the order of docs/reading.md. In doubt a veto holds.

A veto looks at the clause or the sentence in which the choice stands, and at what follows it. It
does not know what chooses.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lm_eval_safescale.reading import doubts, languages
from lm_eval_safescale.reading.choices import FIELD, LABEL, NAMED, PRAISE, Choice
from lm_eval_safescale.reading.cleaning import folded
from lm_eval_safescale.reading.denials import (
    denied_after,
    denies,
    denies_abroad,
    lacks,
    supposes,
    undermined,
)
from lm_eval_safescale.reading.mentions import REACH, Mention, Output, after_last
from lm_eval_safescale.reading.others import said_of_other
from lm_eval_safescale.reading.reports import FIRST_ABROAD, is_example, is_reported

_I = re.IGNORECASE
_ASKS = re.compile(rf"[?؟]|{languages.HAN_ASKS}\W*$")
_SUPPOSES_AFTER = re.compile(doubts.SUPPOSES_AFTER, _I)
_OTHERS_REPORT = re.compile(
    rf"{doubts.OTHERS}(?:['’]|[^.;:!?\n]{{0,60}}?{doubts.REPORTS})|{doubts.THOUGHT_ONCE}", _I
)
_REPORTS = re.compile(r"(?<!\w)(?:says?|claims?|argues?|insists?|believes|thinks|alleges?)\b", _I)
_BY_US = re.compile(r"\b(?:i|we)\b|['’]d\b", _I)
_SAYS = re.compile(doubts.SAYS, _I)
_AT_FIRST = re.compile(doubts.AT_FIRST, _I)
_TURN = re.compile(
    r"\b(?:but|however|yet|now|so|therefore|thus|hence|finally|ultimately|then|after|aber|mais"
    r"|pero|ma|mas|doch|jedoch)\b|[.!?;\n。;]|但|其实|所以|因此|しかし|が、",
    _I,
)
_THAT = re.compile(r"[^.;!?\n]{1,60}?\bthat\b", _I)
_RATHER = re.compile(
    r"\b\w{2,5}\W{1,3}(?:option )?[A-Z]\W{1,3}(?:but|rather|sondern|mais|sino|ma|bensì)\b"
    r"|不是 ?[A-Z],? ?而是"
)
_ALTERNATIVE = re.compile(
    r"[\"')\]}.]{0,3}\s*\(?(?:[,/&+;、~]|还是|還是|或|和|与|または|また|또는|그리고|및"
    r"|\b(?:or|and|and/or|as well as|also|plus|oder|und|ou|et|e|o|y|vs|versus|или|и|veya|ve|hoặc"
    r"|và|atau|dan|of|en|lub|nebo|eller|tai|sau|vagy|أو|و|या|और|বা)\b)"
    r"\s*(?:or |and |also )?(?:the |die |la |el )?(?:option |choice |answer |letter |possibly "
    r"|maybe |perhaps |probably |even )*[\"'(\[]{0,2}\Z",
    _I,
)

_COMPARED = re.compile(
    r"\s(?:rather than|instead of|as opposed to|and not)\s(?:an? |the )?(?=\w+ ?\w* ?[(\[\w])",
    re.IGNORECASE,
)
Veto = Callable[[Output, Choice], bool]


def asked(output: Output, choice: Choice) -> bool:
    """A question: "Is it C?"."""
    return bool(_ASKS.search(output.sentence_after(choice.behind)))


def supposed(output: Output, choice: Choice) -> bool:
    """A condition, before or behind: "if there is fluid, the answer is C", "C only if ..."."""
    end = choice.behind
    sentence = output.sentence_before(choice.start) + output.text[choice.start : choice.end]
    if choice.rule == PRAISE:
        sentence += output.sentence_after(end)
    return supposes(sentence) or bool(_SUPPOSES_AFTER.match(output.text, end))


def denied(output: Output, choice: Choice) -> bool:
    """A denial in the clause that chooses, or as its predicate: "not C", "C is wrong", "C, which
    does not fit"."""
    end, clause = choice.behind, _clause(output, choice)
    if choice.rule != FIELD and (denies(clause) or _is_not_that(output, choice)):
        return True
    # what lacks something is no such option ("no filling defect (C)"), but may well choose one:
    # "Without the image I can only guess: C"
    if choice.rule in (PRAISE, NAMED) and (
        lacks(clause) or denies(_COMPARED.split(output.clause_after(end))[0])
    ):
        return True
    return (
        denied_after(output.text, end)
        or denies_abroad(output.clause_after(end))
        or undermined(output.text, end)
    )


def reported(output: Output, choice: Choice) -> bool:
    """Somebody else's answer, or an earlier one: "the student says ...", "at first glance ..."."""
    clause = _clause(output, choice)
    says = _REPORTS.search(clause)
    if (
        _SAYS.search(output.text[max(0, choice.start - 80) : choice.start])
        or _OTHERS_REPORT.search(clause)
        or (says and not _BY_US.search(clause[: says.start()]))
    ):
        return True
    # only from the last turn on: "B seems right at first, but the answer is D" says D
    before, said = output.sentence_before(choice.start), output.text[choice.start : choice.end - 1]
    end = choice.behind
    if choice.rule != FIELD and is_reported(
        after_last(_TURN, before), said, output.text[end : end + REACH]
    ):
        return True
    behind = output.sentence_after(choice.end) if choice.rule == PRAISE else ""
    sentence = after_last(_TURN, before + said)
    return bool(_AT_FIRST.search(sentence + behind) or FIRST_ABROAD.search(sentence))


def exemplary(output: Output, choice: Choice) -> bool:
    """An example of the format, or how an answer must look: "Example: Answer: C"."""
    end = choice.behind
    return is_example(
        output.text[max(0, choice.start - 100) : choice.start], output.text[end : end + 40]
    )


def alternative(output: Output, choice: Choice) -> bool:
    """One of several: "B or C", "C and D", the first of a list of options."""
    end = choice.behind
    following = output.next_mention(end)
    if following is not None and following.letter != choice.letter and following.start - end < 60:
        between = output.text[end : following.start]
        if _lists_on(output, choice, end, following) or (
            _ALTERNATIVE.fullmatch(between) and said_of_other(output, following)
        ):
            return True
    previous = output.previous_mention(choice.end - 1)
    if previous is None or previous.letter == choice.letter or choice.end - previous.end > 40:
        return False
    between = output.text[previous.end : choice.end - 1]
    return bool(_ALTERNATIVE.fullmatch(between)) and not re.search(r"\n|[.;]\s", between)


VETOES: tuple[tuple[str, Veto], ...] = (
    ("question", asked),
    ("condition", supposed),
    ("denial", denied),
    ("report", reported),
    ("example", exemplary),
    ("alternative", alternative),
)
OF_CONTEXT = ("report", "example", "alternative")
"""Vetoes that have nothing to look at where an output is the choice and nothing else."""


def _clause(output: Output, choice: Choice) -> str:
    """From the beginning of the clause to the letter, without the option's own text and what "not B
    but" denies of another one."""
    chosen = output.text[choice.start : choice.end]
    if choice.rule in (PRAISE, NAMED):  # an option may be a denial itself: "None of the above (A)"
        chosen = folded(chosen).replace(output.options.own[choice.letter], "")
    return output.clause_before(choice.start) + _RATHER.sub("", chosen)


def _is_not_that(output: Output, choice: Choice) -> bool:
    """Whether the sentence begins with a denial of all that follows: "I do not think that, given
    the film, ..."."""
    begun = after_last(_TURN, output.sentence_before(choice.start))
    found = _THAT.search(begun)
    return found is not None and denies(found[0])


def _lists_on(output: Output, choice: Choice, end: int, following: Mention) -> bool:
    """Whether the letter only begins a list of options: the next one follows, with its text or cut
    off."""
    if end == choice.end or re.search(r"\w", output.text[end : following.start]):
        return False
    rest = re.sub(r"^\W+", "", output.text[following.end : following.end + 200])
    # an answer above notes on the other options is no list: "Answer: C. Pulmonary embolism\n\nA.
    # Pneumothorax: Air in the pleural space."
    if (
        choice.rule != LABEL
        and _is_explained(output, following)
        and "\n" in output.text[end : following.start]
    ):
        return False
    return not rest or output.is_own_text(rest, following.letter)


def _is_explained(output: Output, mention: Mention) -> bool:
    """Whether more than the option's own text stands on the line that a letter labels."""
    own_end = output.after_own_text(mention.letter, mention.end)
    return (
        own_end > mention.end
        and re.search(r"\w", output.text[own_end : own_end + 80].split("\n")[0]) is not None
    )
