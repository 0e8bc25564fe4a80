"""Reads which letter a text explicitly chooses, strictly and by rules, in the order of
docs/reading.md (PROTOCOL §5). In doubt: none.

A text is cleaned, then searched for the shapes in which a letter is chosen. A veto strikes a choice
out; what is left must be one letter, except that a final answer goes before others; and nothing
that follows may take it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lm_eval_safescale.reading import doubts
from lm_eval_safescale.reading.choices import BARE, FIELD, Choice
from lm_eval_safescale.reading.cleaning import clean, without_next_question
from lm_eval_safescale.reading.denials import denied_after, denied_next
from lm_eval_safescale.reading.labels import labels
from lm_eval_safescale.reading.mentions import REACH, Output, find_mentions, prepared
from lm_eval_safescale.reading.others import first_of_lists, names_another, said_of_other
from lm_eval_safescale.reading.shapes import SHAPES, whole_output
from lm_eval_safescale.reading.vetoes import OF_CONTEXT, VETOES

NO_CHOICE, TWO_LETTERS, TAKEN_BACK, DENIED = "no choice", "two letters", "correction", "denial"
VETO_RULES = tuple(name for name, _ in VETOES)
OTHER_RULES = (NO_CHOICE, TWO_LETTERS, TAKEN_BACK)
"""The names of the vetoes, and of the other rules by which none is read, in the order of
docs/reading.md."""
SHORT = 20
_BARE = re.compile(r"[\s\"'(*]*([A-Z])[\s\"')*.:]*")
_HESITATES = re.compile(doubts.HESITATES, re.IGNORECASE | re.MULTILINE)
_CALLS_WRONG = re.compile(doubts.CALLS_WRONG, re.IGNORECASE)
_NOT_CHOSEN = re.compile(
    r"[\"'](?:is_?)?(?:correct|selected|chosen|right|valid|plausible|possible|likely)[\"']\s*:\s*"
    r"(?:false|0\b|[\"'](?:no|false))"
    r"|[\"'](?:excluded|rejected|ruled_out)[\"']\s*:\s*(?:true|1\b|[\"'](?:yes|true))"
    r"|[\"'](?:option|letter|label|choice)[\"']\s*:\s*[\"'][a-z][\"'][^{}]{0,200}?"
    r"[\"'](?:verdict|status|likelihood|probability|plausibility|score)[\"']\s*:\s*"
    r"(?:0?\.[0-4]|0(?![.\d])|[\"']"
    r"(?:reject|exclude|rule|wrong|incorrect|false|low|unlikely|no\b))"
    r"|[\"'](?:option|letter|label)[\"']\s*:\s*[\"'][a-z][\"']\s*,"
    r"\s*[\"']reason[\"']\s*:\s*[\"'][^\"']*\b(?:excluded|ruled out|rejected)\b",
    re.IGNORECASE,
)


class Found(NamedTuple):
    """A letter, or None, and the name of the rule that read it so."""

    letter: str | None
    rule: str


def read_letter(text: str, options: Mapping[str, str]) -> str | None:
    """The one letter of `options` that a text explicitly chooses, or None.

    Parameters
    ----------
    text
        An output without its reasoning.
    options
        Option text by upper-case letter. The texts help to tell a label ("C Pulmonary embolism", if
        that is C) from an article or an abbreviation ("B cell lymphoma"); a diagnosis without its
        letter never counts.
    """
    return read_by_rules(text, options).letter


def read_by_rules(text: str, options: Mapping[str, str]) -> Found:
    """The one letter that a text explicitly chooses, or None, and by which rule; see
    `read_letter`."""
    bare = _BARE.fullmatch(text) if len(text) < SHORT else None
    if bare and bare[1] in options:  # most outputs: nothing is to be cleaned
        return Found(bare[1], BARE)
    known = prepared(tuple(options.items()))
    text = without_next_question(clean(text), known.own)
    if letter := whole_output(text, known.letters):
        return Found(letter, BARE)
    output = Output(text, known, find_mentions(text, known))
    if not output.mentions:
        return Found(None, NO_CHOICE)
    if _NOT_CHOSEN.search(text):
        return Found(None, DENIED)
    vetoed: list[str] = []
    decisive = _decisive(output, vetoed)
    if not decisive:
        return Found(None, vetoed[0] if vetoed else NO_CHOICE)
    if len({choice.letter for choice in decisive}) > 1:
        return Found(None, TWO_LETTERS)
    last = max(decisive, key=lambda choice: choice.end)
    return (
        Found(None, TAKEN_BACK) if _is_taken_back(output, last) else Found(last.letter, last.rule)
    )


def _decisive(output: Output, vetoed: list[str]) -> list[Choice]:
    """The choices that no veto strikes out, of the first kind of which there are some: final
    answers; others; a label further down."""
    chosen = list(_chosen(output))
    finals = [choice for choice in chosen if choice.final]
    if standing := _standing(output, finals, vetoed):
        return standing
    # what was said before it does not come into force again
    struck_out = max((choice.end for choice in finals), default=0)
    leading, fallback = labels(output)
    others = [choice for choice in chosen if not choice.final and choice.end > struck_out]
    return _standing(output, others + leading, vetoed) or _standing(output, fallback, vetoed)


def _chosen(output: Output) -> Iterator[Choice]:
    """At each letter the first shape in which it is chosen there."""
    for mention in output.mentions:
        if found := next(filter(None, (shape(output, mention) for shape in SHAPES)), None):
            yield found


def _standing(output: Output, choices: list[Choice], vetoed: list[str]) -> list[Choice]:
    """Of each letter the last choice that no veto strikes out; `vetoed` gets the names of the
    vetoes."""
    standing: dict[str, Choice] = {}
    for choice in sorted(choices, key=lambda choice: -choice.end):
        if choice.letter in standing:
            continue
        whole = choice._replace(behind=output.after_own_text(choice.letter, choice.end))
        # as in most outputs: nobody else can have said it
        alone = choice.start == 0 and _is_all(output, whole.behind)
        veto = next(
            (
                name
                for name, veto in VETOES
                if not (alone and name in OF_CONTEXT) and veto(output, whole)
            ),
            None,
        )
        if veto is None:
            standing[choice.letter] = whole
        else:
            vetoed.append(veto)
    return list(standing.values())


def _is_all(output: Output, end: int) -> bool:
    """Whether nothing follows a place."""
    return not output.text[end:].strip(" .)\"'")


def _is_taken_back(output: Output, choice: Choice) -> bool:
    """Whether what follows corrects a choice: a hesitation, a denial, or another letter that
    something speaks for."""
    end = choice.behind
    if choice.rule == FIELD:
        end = max(end, output.text.rfind("}"))  # other fields are no corrections
    if _is_all(output, end):
        return False
    own_begins = end == choice.end and output.is_own_text(
        re.sub(r"^\W+", "", output.text[end : end + REACH]), choice.letter
    )
    if (
        (not own_begins and denied_next(output.text, end))
        or _HESITATES.search(output.text, end)
        or _is_called_wrong(output, choice, end)
    ):
        return True
    if names_another(output.text[end : end + REACH], output.options, choice.letter):
        return True
    others: dict[str, set[str]] = {"listed": set(), "described": set()}
    for mention in first_of_lists(output, end, choice.letter):
        if mention.letter == choice.letter:
            if output.is_option(mention) and denied_after(output.text, mention.end):
                return True
        elif (said := said_of_other(output, mention)) == "chosen":
            return True
        elif said:
            others[said].add(mention.letter)
    return bool(others["described"]) and len(others["described"] | others["listed"]) == 1


def _is_called_wrong(output: Output, choice: Choice, end: int) -> bool:
    """Whether "this is wrong", or "(incorrect)", follows further down, and the last letter before
    is the chosen one."""
    for found in _CALLS_WRONG.finditer(output.text, end):
        last = output.previous_mention(found.start() + 1)
        while last is not None and not output.is_option(last):
            last = output.previous_mention(last.start)
        if last is not None and last.letter == choice.letter:
            return True
    return False
