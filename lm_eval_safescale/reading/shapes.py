"""The shapes in which a letter is chosen, one function each, in the order of docs/reading.md. It does not know what forbids a choice.

Each function looks at one letter and at what stands around it, and says where its choice begins, or None. `whole_output` looks at the
whole output, and labels have a module of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lm_eval_safescale.reading import languages, words
from lm_eval_safescale.reading.mentions import Mention, Output, ending

BARE, FIELD, FINAL, PHRASE, PRAISE, NAMED = (
    "bare letter",
    "answer field",
    "final answer",
    "phrase",
    "praise",
    "option with its letter",
)
_I = re.IGNORECASE
LONGEST_PHRASE = 160
"""Characters before a letter in which the phrase stands that chooses it."""


class Choice(NamedTuple):
    """A letter that is chosen, as far as the shape goes."""

    letter: str
    start: int
    """Where the phrase begins that chooses it."""
    end: int
    """Where the letter ends."""
    rule: str

    @property
    def final(self) -> bool:
        """Whether it goes before others."""
        return self.rule in (FIELD, FINAL)


Shape = Callable[[Output, Mention], Choice | None]

_BARE = re.compile(r"[^\w?≠¬✗❌✘]*(\w)(?:[^\w?≠¬✗❌✘]+\1)*[^\w?≠¬✗❌✘]*")


def whole_output(text: str, letters: str) -> str | None:
    """The letter of an output that is nothing else, in whatever format and however often."""
    bare = _BARE.fullmatch(text)
    return bare[1].upper() if bare and bare[1].upper() in letters else None


# --- fields -----------------------------------------------------------------------------------------------------------------

_KEY = re.compile(
    r"[\"']?(?<![A-Za-z_])(?:(?:final|correct|selected|predicted|chosen|best|my|model|your)[_ ]?)?"
    r"(?:answer|choice|option|selection|response|letter|prediction|pred|label)(?:[_ ]?(?:choice"
    r"|option|letter|key|idx|index|id))?[\"']\s*:\s*[\[{]?\s*[\"'(]?\Z",
    _I,
)
_VALUE = re.compile(r"\s*(?:[\"'\],}\n]|\Z)|[.):]\s|\s[-–]\s")


def field(output: Output, mention: Mention) -> Choice | None:
    """A field of JSON whose value is the letter, or begins with it as a label: `"answer": "C"`."""
    before = output.text[max(0, mention.start - 60) : mention.start]
    found = _KEY.search(before) if ":" in before[-8:] else None
    if found is None or not (_VALUE.match(output.text, mention.end) or ending(output, mention) == "own"):
        return None
    return Choice(mention.letter, mention.start - len(found[0]), mention.end, FIELD)


# --- phrases that end with the letter -----------------------------------------------------------------------------------------

_WRAP = "\"'([{<*=: \n\t-–—>→⇒"
_THING = (
    r"(?:questions?|q\d*|case|patient|problem|items?|scenario|vignette|options?|choices|ones?"
    r"|image|scan|film|radiograph|study|list|mcq|quiz|findings?"
    r"|presentation|picture|answers|\d+)"
)
_BEHIND_NOUN = (
    r"(?:,? (?:here|now|of choice)"
    r"|,? (?:to|for|in|of|from|among|on)(?: (?:the|this|that|your|our|these|all|my|both))?"
    rf"(?: (?:given|provided|above|presented|following|clinical|present|last|first"
    rf"|current))? {_THING}(?: (?:above|below|given|provided))?(?=\W|\Z)"
    r"|,? (?:based on|given|considering|as per|in light of|supported by)[^.;:!?\n]{0,80}?"
    r"|,? (?:that|which) (?:best |most |would |i |we |is |fits |matches |explains "
    r"|makes )[^.;:!?\n]{0,60}?"
    r"|, (?:in my (?:opinion|view)|in this case|therefore|then|of course|i think|i believe"
    r"|clearly|however),"
    r"| (?:i|we)(?:['’]d| would| will|['’]ll)? (?:choose|select|pick|give|chose|selected|picked"
    r"|go with|have chosen))"
)
_NOUN_PHRASE = re.compile(
    rf"(?<![\w'-])(?P<det>{words.DETERMINER}\s+)?(?P<qualifiers>(?:{words.QUALIFIER}[\s_]+)*){words.NOUN}{_BEHIND_NOUN}?"
    rf"[\"']?(?P<link>,?\s+{words.LINK})?\Z",
    _I,
)
_SUPERLATIVE = re.compile(
    rf"(?<![\w'-])(?:{words.DETERMINER}|as|is|are|appears?"
    rf"|seems?)\s+(?:single\s+)?{words.SUPERLATIVE}(?![\w-])(?P<more>[^.;:?!\n]{{0,120}}?)(?P<link>\s{words.LINK})?\Z",
    _I,
)
_CHOOSES = re.compile(
    rf"\b(?:i|we)(?:['’](?:d|ll|m|ve)| am| would| will| must| have to| can| have"
    rf"| do)?(?: (?:\w{{1,12}}ly|now|also|still|then|rather|instead|have to|like to))*"
    rf"\s(?:(?:{words.CHOOSES})|(?P<thinks>{words.THINKS}))(?: that)?(?: (?P<it>it['’]?s|it is"
    rf"|this is|that it['’]?s|that it is|it to be))?\Z"
    rf"|\b(?:i|we)\b[^.;!?\n]{{0,80}}\b(?:and|but|so|then|,)\s*(?:now|instead|finally|ultimately"
    rf"|then|will|would|have)?\s*(?:{words.CHOOSES})\Z"
    rf"|(?:^|[.!?:,\n]\s*)(?:please |let['’]?s |so |just |therefore,? "
    rf"|thus,? )*(?:{words.CHOOSES})\Z",
    _I,
)
_IT_IS = re.compile(
    r"\b(?:(?:it|that|this)(?:['’]s| is| would be| can only be)|(?:this|that"
    r"|which|it) (?:leaves|leaves us with|makes it)|leaving(?: only| us with)?)\Z",
    _I,
)
_SO = re.compile(rf"(?:^|[.!?\n:]\s*|,\s*)(?:and )?(?:{words.SO})[,:]?\Z", _I)
_FILLER = re.compile(rf"(?:(?<![\w-])(?:{words.FILLERS})[\"'([{{<* :=,]{{0,4}})+\Z", _I)
_LETTER_NAME = re.compile(rf"(?<![\w-])(?:{words.LETTER_NAMES})\Z", _I)
_BUT_RATHER = re.compile(
    r"\b(?:not|nicht|pas|no|non|não|не|ikke|inte|niet)\s(?:option |choice "
    r"|answer )?[\"'(]?[A-Z][\"')]?,? (?:but(?: rather| instead)?|rather|instead|sondern|mais"
    r"|sino|ma|bensì|mas(?: sim)?|а|men|maar)\Z"
    r"|不是 ?[A-Z] ?,? ?而是\Z",
    _I,
)
_KNOWN, _NOUNS, _OPTIONS = languages.one_of("known"), languages.one_of("nouns"), languages.one_of("options")
_NOUN_ABROAD = re.compile(
    rf"(?:^|[.!?:;,\n(*]\s*|[-–—]\s)(?P<before>(?:(?:{_KNOWN})[\s'’]+){{0,6}})(?:(?:{_NOUNS})"
    rf"|(?P<option>{_OPTIONS}))(?P<more>(?:\s+(?:{_KNOWN})['’]?){{0,5}})\s*\Z",
    _I,
)
_CHOOSES_ABROAD = re.compile(rf"(?<!\w)(?:{languages.one_of('chooses')})(?:\s+(?:{_KNOWN})['’]?){{0,3}}\Z", _I)
_IN_HAN = re.compile(rf"(?:{languages.HAN_NOUN}|{languages.HAN_VERB})[^,。;!?\n]{{0,12}}?(?:{languages.HAN_LINK})?\s*\Z")
_LAST = re.compile(r"([^\W\d_]+(?:['’][^\W\d_]+)?),?\Z")
_LINKS = re.compile(r"[:=>→⇒–—-]")
_LAST_WORDS = words.last_words(
    words.LINK_ENDS, words.FILLERS, words.LETTER_NAMES, words.CHOOSES, words.THINKS, words.SO,
    "ans|it's|that's|leaves|leaving|but|instead|rather|sondern|mais|sino|ma|bensì|mas|sim|men|maar",
) | languages.last_words("nouns", "options", "known", "chooses")  # fmt: skip
"""The last words of whatever chooses: a quick look, for long texts."""

_ONLY_NAMES = frozenset(words.LETTER_NAMES.split("|")) - {"answer"}


class _Lead(NamedTuple):
    text: str
    tail: str
    kind: str
    upper: bool
    named: bool


"""What stands before a letter in its sentence; what stands between that and the letter; what follows it (`ending`); how it is written;
and whether options are named by letters."""
_Found = tuple[int, str] | None


def phrase(output: Output, mention: Mention) -> Choice | None:
    """A phrase that ends with the letter: "the correct answer is C", "Answer: C", "I choose C", also in other languages."""
    near = output.text[max(0, mention.start - 40) : mention.start]
    stripped = near.rstrip(_WRAP)
    if not _may_choose(near, stripped):
        return None
    kind = ending(output, mention)
    if not kind:
        return None
    end = mention.start - len(near) + len(stripped)
    tail = output.text[end : mention.start]
    if mention.said == "a" and not re.search(r"[:=(\[\"'*]", tail[-2:]) and not output.text[mention.end :].strip(" \n"):
        return None  # "the answer is a", and then the tokens were spent
    return _ends_phrase(output, mention, end, tail, kind)


def _may_choose(near: str, stripped: str) -> bool:
    """Whether what stands before a letter can end a phrase that chooses: a quick look at the last word, for long texts."""
    if _LINKS.search(near, len(stripped)):
        return True
    last = _LAST.search(stripped)
    if last is not None and last[1].lower() in _ONLY_NAMES:
        return _may_choose(stripped[: last.start()], stripped[: last.start()].rstrip(_WRAP))
    return last is not None and (not last[1].isascii() or last[1].lower() in _LAST_WORDS)


def _ends_phrase(output: Output, mention: Mention, end: int, tail: str, kind: str) -> Choice | None:
    """Whether a letter, or an option's text with its letter, ends a phrase that chooses; `end` is where what stands before it ends."""
    sentence = output.sentence_before(end)[-LONGEST_PHRASE:]
    for lead in _without_fillers(sentence):
        looked_at = _Lead(lead, sentence[len(lead) :] + tail, kind, mention.said.isupper(), output.options.named)
        for shape in (_by_noun, _by_verb, _by_superlative, _by_words_abroad, _by_connective):
            if found := shape(looked_at):
                start, rule = found
                return Choice(mention.letter, end - len(sentence) + start, mention.end, rule)
    return None


def _without_fillers(lead: str) -> Iterator[str]:
    """What stands before a letter, without what may stand between: as it is, then more and more taken away."""
    lead = lead.rstrip(_WRAP)
    if lead:
        yield lead
    for filler in (_FILLER, _LETTER_NAME, _FILLER, _BUT_RATHER, _FILLER):
        if found := filler.search(lead):
            lead = lead[: found.start()].rstrip(_WRAP)
            if lead:
                yield lead


def _by_noun(lead: _Lead) -> _Found:
    found = _NOUN_PHRASE.search(lead.text)
    if found is None:
        return None
    final = "final" in found["qualifiers"].lower()
    if not (found["link"] or _LINKS.search(lead.tail) or final):
        is_answer = lead.text.lower().endswith("answer") and lead.upper and "\n" not in lead.tail
        if not is_answer or lead.kind == "goes":
            return None
    if found["det"] is None and not _may_precede(lead.text[: found.start()]):
        return None
    return found.start(), FINAL if final else PHRASE


def _may_precede(before: str) -> bool:
    """Whether a noun without a determiner may follow: at the beginning of a clause, but not behind a word that may qualify it."""
    word = re.search(r"([\w'’-]+)\s*\Z", before)
    return word is None or word[1].lower() in words.CONNECTIVES


def _by_verb(lead: _Lead) -> _Found:
    if found := _CHOOSES.search(lead.text):
        weak = found["thinks"] and (lead.kind == "goes" or not lead.upper or (lead.named and not found["it"]))
        return None if weak else (found.start(), PHRASE)
    found = _IT_IS.search(lead.text)
    return (found.start(), PHRASE) if found and lead.kind != "goes" and lead.upper and not lead.named else None


def _by_superlative(lead: _Lead) -> _Found:
    found = _SUPERLATIVE.search(lead.text)
    if found is None or lead.kind == "goes" or not lead.upper or lead.named:
        return None
    suits = lead.kind == "own" and re.fullmatch(
        r"\s*(?:with|of|to be|to|for)?\s*(?:an? |the )?", found["more"]
    )  # "is most consistent with"
    return (found.start(), PHRASE) if found["link"] or ":" in lead.tail or suits else None


def _by_words_abroad(lead: _Lead) -> _Found:
    if found := _NOUN_ABROAD.search(lead.text):
        linked = bool(found["more"]) or bool(_LINKS.search(lead.tail))
        if linked or (lead.kind != "goes" and lead.upper and (found["option"] is None or found["before"])):
            return found.start(), PHRASE
    found = _CHOOSES_ABROAD.search(lead.text) or _IN_HAN.search(lead.text)
    return (found.start(), PHRASE) if found else None


def _by_connective(lead: _Lead) -> _Found:
    found = _SO.search(lead.text)
    return (found.start(), PHRASE) if found and lead.upper and not lead.named and lead.kind != "goes" else None


# --- what is said of a letter -------------------------------------------------------------------------------------------------

_COPULA = r"(?:is|was|would be|must be|should be|seems|appears|remains|looks|makes?)(?: to be)?(?: \w{1,12}ly)?"
_PRAISED = re.compile(
    rf"[\"')\]]{{0,2}},?\s*(?:{_COPULA}\s+{words.CORRECT}(?![\w-])(?!\s+(?:side|lung|upper|lower"
    rf"|heart|ventric|atri|hem))|{words.FITS}\b)",
    _I,
)
_MADE = re.compile(r"(?:makes?|making)\s(?:option |choice |answer )?[\"'(]?\Z", _I)
_MADE_CORRECT = re.compile(rf"[\"')\]]{{0,2}}\s{words.CORRECT}(?![\w-])", _I)
_ONLY = re.compile(r"\bonly (?:option |choice |answer )?[\"'(]?\Z", _I)
_ONLY_FITS = re.compile(
    r"[\"')\]]{0,2}\s(?:fits|remains|matches|explains|works|is (?:left|possible|plausible"
    r"|consistent|compatible))\b",
    _I,
)
_COPULA_ABROAD = r"(?:ist|est|es|é|è|está|это|là|is|är|er|jest|to|on|je|este|هو|هي|είναι|ay|adalah)"
_PRAISED_ABROAD = re.compile(
    rf"[\"')\]]{{0,2}},?\s*(?:[-–—]\s*)?(?:{_COPULA_ABROAD}\s+)?(?:(?:{_KNOWN})[\s'’]+){{0,3}}(?:{languages.one_of('correct')}"
    rf"|{_NOUNS})(?!\w)"
    rf"|\s?(?:项|項|选项|選項|번)?\s?{languages.HAN_CORRECT}",
    _I,
)
_HAS_COPULA = re.compile(rf"[\"')\]]{{0,2}},?\s*(?:{_COPULA}|{_COPULA_ABROAD}|{words.FITS}|[^\x00-\u024f])(?!\w)", _I)
_SUBJECT = re.compile(
    r"(?:^|[.!?,;:(\n*\"']\s*|\b(?:option|choice|answer|letter|so|that|therefore|thus|and|but"
    r"|think|believe|hence|probably|feel|say|clearly|case|means|because|since)\s+[(\[\"']{0,2})\Z"
    rf"|(?:^|[\s(])(?:{_NOUNS}|{_OPTIONS}|{languages.HAN_NOUN})\s*[\"'(]?\Z",
    _I,
)


def praise(output: Output, mention: Mention) -> Choice | None:
    """A letter that is called correct: "C is correct", "Option C is the best answer", "Pulmonary embolism (C) is the most likely"."""
    if mention.said.islower():
        return None
    text = output.text
    end = output.after_own_text(mention)
    rest = text[end : end + 120]
    lead = text[max(0, mention.start - 80) : mention.start]
    near = lead[-30:]
    if (_MADE_CORRECT.match(rest) and _MADE.search(near)) or (_ONLY_FITS.match(rest) and _ONLY.search(near)):
        return Choice(mention.letter, mention.start, mention.end, PRAISE)
    if not (_PRAISED.match(rest) or _PRAISED_ABROAD.match(rest)) or (
        mention.letter == "A" and not _HAS_COPULA.match(rest)
    ):  # "A resposta correta"
        return None
    named = _own_text_before(output, mention, lead)
    if named is None and not _SUBJECT.search(lead):
        return None
    return Choice(mention.letter, mention.start if named is None else mention.start - len(lead) + named, mention.end, PRAISE)


# --- an option's text with its letter -----------------------------------------------------------------------------------------

_CLOSES = re.compile(r"[)\]\"']{0,2}\s*(?:[.!,;]|\Z|\n)")
_ENDS_PARAGRAPH = re.compile(r"[)\]\"']{0,2}\.?\s*(?:\Z|\n\s*\n)")
_ARTICLES = re.compile(r"(?:\b(?:an?|the|with|of|by)\s*)+\Z", _I)
_BEGINNING = re.compile(r"\W*(?:an? |the )?", _I)


def own_text_with_letter(output: Output, mention: Mention) -> Choice | None:
    """The option's own text with its letter behind it, where that is all of the first paragraph, or ends a phrase that chooses."""
    if not _CLOSES.match(output.text, mention.end):
        return None
    lead = output.text[max(0, mention.start - 250) : mention.start]
    named = _own_text_before(output, mention, lead)
    if named is None:
        return None
    start = mention.start - len(lead) + named
    if start < 20 and _BEGINNING.fullmatch(output.text, 0, start):
        return Choice(mention.letter, start, mention.end, NAMED) if _ENDS_PARAGRAPH.match(output.text, mention.end) else None
    before = _ARTICLES.sub("", lead[:named].rstrip(_WRAP)).rstrip(_WRAP)
    end = mention.start - len(lead) + len(before)
    found = _ends_phrase(output, mention._replace(said=mention.letter), end, output.text[end:start], "own")
    return found._replace(rule=FINAL if found.final else NAMED) if found else None


def _own_text_before(output: Output, mention: Mention, lead: str) -> int | None:
    """Where the option's own text begins that ends right before its letter."""
    before = output.options.preceding.get(mention.letter)
    found = before.search(lead) if before else None
    return found.start() if found else None


SHAPES: tuple[Shape, ...] = (field, phrase, praise, own_text_with_letter)
