"""The shapes in which a letter is chosen, one function each, in the order of docs/reading.md. It
does not know what forbids a choice.

Each function looks at one letter and at what stands around it, and says where its choice begins, or
None. Phrases and labels have modules of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lm_eval_safescale.reading import languages, words
from lm_eval_safescale.reading.choices import FIELD, FINAL, NAMED, PRAISE, Choice
from lm_eval_safescale.reading.mentions import Mention, Output, ending
from lm_eval_safescale.reading.phrases import (
    CLAUSE_START,
    KNOWN,
    NOUNS,
    OPTIONS,
    WRAP,
    ends_phrase,
    phrase,
)

Shape = Callable[[Output, Mention], Choice | None]
_I = re.IGNORECASE

_BEFORE, _BEHIND = r"[^\w?≠¬✗❌✘×°~+#=!]", r"[^\w?≠¬✗❌✘×°~+#=]"
_NUMBER = re.compile(r"(?:question|q)? ?\d{1,2}[.):] ", _I)
_PART = re.compile(
    rf"{_BEFORE}*(?:([A-Z])(?!-){_BEHIND}*)?(?:(?:{languages.IT_IS_BEHIND}){_BEHIND}*)?", _I
)


def whole_output(text: str, letters: str) -> str | None:
    """The letter of an output that is nothing else, in whatever format and however often."""
    number = _NUMBER.match(text)
    letter = None
    for part in text[number.end() if number else 0 :].split():
        bare = _PART.fullmatch(part)
        if bare is None or (bare[1] and letter not in (None, bare[1].upper())):
            return None
        letter = bare[1].upper() if bare[1] else letter
    return letter if letter and letter in letters else None


# --- a field --------------------------------------------------------------------------------------

_KEY = re.compile(
    r"[\"']?(?<![A-Za-z_])(?:(?:final|correct|selected|predicted|chosen|best|my|model|your)[_ ]?)?"
    r"(?:answer|choice|option|selection|response|letter|prediction|pred|label|result|final|output"
    r"|verdict|pick)"
    r"(?:[_ ]?(?:choice|option|letter|key|idx|index|id))?[\"']\s*:\s*[\[{]?\s*[\"'(]?\Z",
    _I,
)
_VALUE = re.compile(r"(?!\s*[\"']\s*:)\s*(?:[\"'\],}\n]|\Z)|[.):]\s|\s[-–]\s")


def field(output: Output, mention: Mention) -> Choice | None:
    """A field of JSON whose value is the letter, or begins with it as a label: `"answer": "C"`."""
    before = output.text[max(0, mention.start - 60) : mention.start]
    found = _KEY.search(before) if ":" in before[-8:] else None
    if found is None or not (
        _VALUE.match(output.text, mention.end) or ending(output, mention) == "own"
    ):
        return None
    return Choice(mention.letter, mention.start - len(found[0]), mention.end, FIELD)


# --- praise ---------------------------------------------------------------------------------------

_CLOSED = r"[\"')\]]{0,2}"
_COPULA = (
    r"(?:is|was|would be|must be|should be|seems|appears|remains|looks|looks like|makes?)"
    rf"(?: to be)?(?: (?:{words.SURELY}))?"
)
_PRAISED = re.compile(
    rf"{_CLOSED},?\s*(?:{_COPULA}\s+{words.CORRECT}(?![\w-])"
    rf"(?!\s+(?:side|lung|upper|lower|heart|ventric|atri|hem))|{words.FITS}\b)",
    _I,
)
_MADE = re.compile(r"(?:makes?|making)\s(?:option |choice |answer )?[\"'(]?\Z", _I)
_MADE_CORRECT = re.compile(rf"{_CLOSED}\s{words.CORRECT}(?![\w-])", _I)
_ONLY = re.compile(r"\bonly (?:option |choice |answer )?[\"'(]?\Z", _I)
_ONLY_FITS = re.compile(
    rf"{_CLOSED}\s(?:fits|remains|matches|explains|works"
    r"|is (?:left|possible|plausible|consistent|compatible))\b",
    _I,
)
_COPULA_ABROAD = r"(?:ist|est|es|é|è|está|это|là|is|är|er|jest|to|on|je|este|هو|هي|είναι|ay|adalah)"
_PRAISED_ABROAD = re.compile(
    rf"{_CLOSED},?\s*(?:[-–—]\s*)?(?:{_COPULA_ABROAD}\s+)?(?:(?:{KNOWN})[\s'’]+){{0,3}}"
    rf"(?:{languages.one_of('correct')}|{NOUNS})(?!\w)"
    rf"(?:\s+(?:{KNOWN})(?!\w)){{0,3}}(?=\s*(?:[^\w\s]|\Z)|\s+(?:{languages.REASON_WORDS})(?!\w))"
    rf"|\s?(?:项|項|选项|選項|번)?\s?{languages.HAN_CORRECT}",
    _I,
)
_HAS_COPULA = re.compile(
    rf"{_CLOSED},?\s*(?:{_COPULA}|{_COPULA_ABROAD}|{words.FITS}|[^\x00-\u024f])(?!\w)", _I
)
_SPELLED = re.compile(r"\b(?:option|choice|answer|letter)\s+[(\[\"']{0,2}\Z", _I)
_SUBJECT = re.compile(
    rf"{CLAUSE_START}(?:the )?(?:(?:option|choice|answer|letter)\s+)?[(\[\"']{{0,2}}\Z"
    rf"|(?:^|[\s(])(?:{NOUNS}|{OPTIONS}|{languages.HAN_NOUN})\s*[\"'(]?\Z",
    _I,
)


def praise(output: Output, mention: Mention) -> Choice | None:
    """A letter that is called correct: "C is correct", "Option C is the best answer", "Pulmonary
    embolism (C) is the most likely"."""
    if mention.said.islower():
        return None
    end = output.after_own_text(mention.letter, mention.end)
    rest = output.text[end : end + 120]
    lead = output.text[max(0, mention.start - 80) : mention.start]
    near = lead[-30:]
    if (_MADE_CORRECT.match(rest) and _MADE.search(near)) or (
        _ONLY_FITS.match(rest) and _ONLY.search(near)
    ):
        return Choice(mention.letter, mention.start, mention.end, PRAISE)
    if not (_PRAISED.match(rest) or _PRAISED_ABROAD.match(rest)):
        return None
    if mention.letter == "A" and not _HAS_COPULA.match(rest):  # "A resposta correta"
        return None
    named = output.own_text_before(mention.letter, lead)
    if named is None:
        if not _SUBJECT.search(lead):
            return None
        named = len(_SPELLED.sub("", lead))
    return Choice(mention.letter, mention.start - len(lead) + named, mention.end, PRAISE)


# --- an option's text with its letter -------------------------------------------------------------

_CLOSES = re.compile(rf"{_CLOSED}\s*(?:[.!,;]|\Z|\n)")
_GOES_ON = re.compile(
    rf"{_CLOSED}\s+(?:rather than|instead of|as opposed to|and not|because|since|as|given|due to"
    r"|based on)\b",
    _I,
)
_ENDS_PARAGRAPH = re.compile(rf"{_CLOSED}\.?\s*(?:\Z|\n\s*\n)")
_ARTICLE = re.compile(r"\b(?:an?|the)\Z", _I)
_PREPOSITION = re.compile(r"\b(?:with|of|by)\Z", _I)
_BEGINNING = re.compile(r"[^\w?]*(?:an? |the )?", _I)


def own_text_with_letter(output: Output, mention: Mention) -> Choice | None:
    """The option's own text with its letter behind it, where that is all of the first paragraph, or
    ends a phrase that chooses."""
    if not _CLOSES.match(output.text, mention.end) and not _GOES_ON.match(output.text, mention.end):
        return None
    lead = output.text[max(0, mention.start - 250) : mention.start]
    named = output.own_text_before(mention.letter, lead)
    if named is None:
        return None
    start = mention.start - len(lead) + named
    if start < 20 and _BEGINNING.fullmatch(output.text, 0, start):
        return (
            Choice(mention.letter, start, mention.end, NAMED)
            if _ENDS_PARAGRAPH.match(output.text, mention.end)
            else None
        )
    before = _ARTICLE.sub("", lead[:named].rstrip(WRAP)).rstrip(WRAP)
    for each in dict.fromkeys((before, _PREPOSITION.sub("", before).rstrip(WRAP))):
        end = mention.start - len(lead) + len(each)
        if found := ends_phrase(
            output, mention._replace(said=mention.letter), end, output.text[end:start], "own"
        ):
            return found._replace(rule=FINAL if found.final else NAMED)
    return None


SHAPES: tuple[Shape, ...] = (field, phrase, praise, own_text_with_letter)
