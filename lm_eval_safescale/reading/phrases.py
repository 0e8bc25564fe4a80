"""Phrases that choose and end with the letter: "the correct answer is C", "Answer: C", "I choose
C", in many languages.

A phrase is read backwards from the letter. Its words come from short lists: any other word makes it
no choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from lm_eval_safescale.reading import languages, words
from lm_eval_safescale.reading.choices import FINAL, PHRASE, Choice
from lm_eval_safescale.reading.mentions import Mention, Output, ending

LONGEST = 160
"""Characters before a letter in which the phrase stands that chooses it."""
WRAP = "\"'([{<*=: \n\t-–—>→⇒|"
"""What may stand between a phrase and its letter."""
_I = re.IGNORECASE


class _Lead(NamedTuple):
    """What stands before a letter in its sentence."""

    text: str
    last: str
    """Its last word, in lower case: most patterns need not be tried."""
    tail: str
    """What stands between that and the letter."""
    kind: str
    """What follows the letter (`ending`)."""
    upper: bool
    """How the letter is written."""
    named: bool
    """Whether options are named by letters ("Type A")."""
    labelled: int
    """Where the label of another option ends that stands before; negative where that is not in the
    sentence."""

    @property
    def firm(self) -> bool:
        """Whether the letter can be nothing else, for phrases that choose other things too ("it
        is", "so")."""
        return self.upper and not self.named and self.kind != "goes"

    def remarks(self, start: int) -> bool:
        """Whether what begins at a place is a remark on another option, right behind its label: "A:
        likely, B: unlikely"."""
        return 0 <= self.labelled <= start and not re.search(
            r"\w", self.text[self.labelled : start]
        )

    @property
    def linked(self) -> bool:
        """Whether a colon, an arrow or the like leads to the letter."""
        return _LINKS.search(self.tail) is not None


_Found = tuple[int, str] | None
"""Where a phrase begins, and its rule."""


def phrase(output: Output, mention: Mention) -> Choice | None:
    """A phrase that ends with the letter."""
    near = output.text[max(0, mention.start - 40) : mention.start]
    stripped = near.rstrip(WRAP)
    if not _may_choose(near, stripped):
        return None
    kind = ending(output, mention)
    end = mention.start - len(near) + len(stripped)
    tail = output.text[end : mention.start]
    cut_article = (
        mention.said == "a"
        and not re.search(r"[:=(\[\"'*]", tail[-2:])
        and not output.text[mention.end :].strip(" \n")
    )
    return None if not kind or cut_article else ends_phrase(output, mention, end, tail, kind)


def ends_phrase(output: Output, mention: Mention, end: int, tail: str, kind: str) -> Choice | None:
    """Whether a letter, or an option's text with its letter, ends a phrase that chooses.

    Parameters
    ----------
    end
        Where what stands before ends.
    tail
        What stands between that and the letter, or the option's text.
    kind
        What follows (`ending`).
    """
    sentence = output.sentence_before(end)[-LONGEST:]
    labelled = _label_before(output, mention) - (end - len(sentence))
    for lead in _without_fillers(sentence):
        looked_at = _Lead(
            lead,
            _last_word(lead),
            sentence[len(lead) :] + tail,
            kind,
            mention.said.isupper(),
            output.options.named,
            labelled,
        )
        for shape in (_by_noun, _by_verb, _by_superlative, _by_words_abroad, _by_connective):
            if found := shape(looked_at):
                start, rule = found
                return Choice(mention.letter, end - len(sentence) + start, mention.end, rule)
    return None


def _label_before(output: Output, mention: Mention) -> int:
    """Where the label of the option before ends, its text and the marks behind it included; -1
    where there is none."""
    previous = output.previous_mention(mention.start)
    if previous is None or previous.letter == mention.letter:
        return -1
    end = output.after_own_text(previous.letter, previous.end)
    marks = _MARKS.match(output.text, end)
    return marks.end() if marks else end


# --- what stands between a phrase and its letter --------------------------------------------------

KNOWN, NOUNS, OPTIONS = (
    languages.one_of("known"),
    languages.one_of("nouns"),
    languages.one_of("options"),
)
_MARKS = re.compile(r"[ \t\"')\]}.:,;!|*=>→–—-]*")
_LINKS = re.compile(r"[:=>→⇒–—|-]")
LONGEST_FILLER = 60
_FILLER = (
    re.compile(rf"(?:(?<![\w-])(?:{words.FILLERS})[\"'([{{<* :=,]{{0,4}})+\Z", _I),
    words.last_words(words.FILLERS),
)
_LETTER_NAME = (
    re.compile(rf"(?<![\w-])(?:{words.LETTER_NAMES}|{NOUNS}|{OPTIONS})\Z", _I),
    words.last_words(words.LETTER_NAMES) | languages.last_words("nouns", "options"),
)
_RATHER = "but|instead|rather|sondern|mais|sino|ma|bensì|mas|sim|men|maar|а|而是"
_BUT_RATHER = (
    re.compile(
        r"\b(?:not|nicht|pas|no|non|não|не|ikke|inte|niet)\s(?:option |choice |answer )?"
        r"[\"'(]?[A-Z][\"')]?,? (?:but(?: rather| instead)?|rather|instead|sondern|mais|sino|ma"
        r"|bensì|mas(?: sim)?|а|men|maar)\Z|不是 ?[A-Z] ?,? ?而是\Z",
        _I,
    ),
    words.last_words(_RATHER),
)
_LAST = re.compile(r"([^\W\d_]+(?:['’][^\W\d_]+)?),?\Z")
_LAST_WORDS = words.last_words(
    words.LINK_ENDS, words.FILLERS, words.LETTER_NAMES, words.CHOOSES, words.THINKS, words.SO,
    "ans|answer's|it's|that's|leaves|leaving", _RATHER,
) | languages.last_words("nouns", "options", "known", "chooses", "it_is")  # fmt: skip
"""The last words of whatever chooses."""
_ONLY_NAMES = words.set_of(f"{words.LETTER_NAMES}|{OPTIONS}") - {"answer"}


def _may_choose(near: str, stripped: str) -> bool:
    """Whether what stands before a letter can end a phrase that chooses: a quick look at the last
    word, for long texts."""
    if _LINKS.search(near, len(stripped)):
        return True
    word = _last_word(stripped)
    if not word:
        return False
    unelided = word.rpartition("'")[2]  # "l'option"
    if unelided in _ONLY_NAMES:
        before = stripped.removesuffix(",")[: -len(unelided)]
        return _may_choose(before, before.rstrip(WRAP))
    return not word.isascii() or word in _LAST_WORDS or unelided in _LAST_WORDS


def _last_word(lead: str) -> str:
    found = _LAST.search(lead, max(0, len(lead) - 30))
    return found[1].lower().replace("’", "'") if found else ""


def _without_fillers(lead: str) -> Iterator[str]:
    """What stands before a letter, without what may stand between: as it is, then more and more
    taken away."""
    lead = lead.rstrip(WRAP)
    if lead:
        yield lead
    for filler, last_words in (_FILLER, _LETTER_NAME, _FILLER, _BUT_RATHER, _FILLER):
        if _last_word(lead).rpartition("'")[2] in last_words and (
            found := filler.search(lead, max(0, len(lead) - LONGEST_FILLER))
        ):
            lead = lead[: found.start()].rstrip(WRAP)
            if lead:
                yield lead


def _begin(found: re.Match[str]) -> int:
    """Where a phrase begins, without what separates it from the clause before."""
    return found.end() - len(found[0].lstrip(" \t\n.!?,;:(*\"'–—-"))


# --- phrases of English ---------------------------------------------------------------------------

_ASKED = (
    r"(?:questions?|q\d*|case|patient|problem|items?|scenario|vignette|options?|choices|ones?|image"
    r"|scan|film|radiograph|study|list|mcq|quiz|findings?|presentation|picture|answers|\d+)"
)
_BEHIND_NOUN = (
    r"(?:,? (?:here|now|of choice)"
    r"|,? (?:to|for|in|of|from|among|on)(?: (?:the|this|that|your|our|these|all|my|both))?"
    r"(?: (?:given|provided|above|presented|following|clinical|present|last|first|exam|test|quiz"
    rf"|medical|multiple-choice|current))? {_ASKED}(?: (?:above|below|given|provided))?(?=\W|\Z)"
    r"|,? (?:based on|given|considering|as per|in light of|supported by)[^.;:!?\n]{0,80}?"
    r"|,? (?:that|which) (?:best |most |would |i |we |is |fits |matches |explains |makes )"
    r"[^.;:!?\n]{0,60}?|, (?:in my (?:opinion|view)|in this case|therefore|then|of course|i think"
    r"|i believe|clearly|however),| (?:chosen|selected)| (?:to|for|in) this"
    r"| (?:i|we)(?:['’]d| would| will|['’]ll)? "
    r"(?:choose|select|pick|give|chose|selected|picked|go with|have chosen))"
)
_NOUN_PHRASE = re.compile(
    rf"(?<![\w-])(?<!\w')(?P<det>{words.DETERMINER}\s+)?"
    rf"(?P<qualifiers>(?:{words.QUALIFIER}[\s_]+)*){words.NOUN}{_BEHIND_NOUN}?"
    rf"[\"']?(?P<link>,?\s+{words.LINK}|['’]s)?\Z",
    _I,
)


def _by_noun(lead: _Lead) -> _Found:
    """Such as "the correct answer is", "Answer:", "my final choice would be"."""
    found = _NOUN_PHRASE.search(lead.text)
    if found is None:
        return None
    final = "final" in found["qualifiers"].lower()
    linked = bool(found["link"]) or lead.linked or final
    if re.search(r"[|-]", lead.tail) and lead.remarks(found.start()):
        return None
    if not linked:
        is_answer = (
            lead.text.lower().endswith(("answer", "ans")) and lead.upper and "\n" not in lead.tail
        )
        if not is_answer or lead.kind == "goes" or lead.remarks(found.start()):
            return None
    if (found["det"] is None or not linked) and not _may_precede(lead.text[: found.start()]):
        return None
    return found.start(), FINAL if final else PHRASE


def _may_precede(before: str) -> bool:
    """Whether a noun without a determiner may follow: at the beginning of a clause, but not behind
    a word that may qualify it."""
    word = re.search(r"(\w[\w'’-]*)\s*\Z", before)
    return word is None or word[1].lower() in words.CONNECTIVES


_MATRIX = (
    r"(?:\b(?:i|we)(?:['’]d| would)?(?: \w{1,12}ly)? (?:think|believe|say|guess|feel|conclude)"
    r"|\b(?:i am|i['’]m)(?: \w{1,8})? (?:sure|certain|confident)|\b(?:no|little) doubt"
    r"|\b(?:it is|it['’]s) (?:\w+ly )?(?:clear|evident|obvious|certain)"
    r"|\b(?:means?|suggests?|indicates?|shows?|confirms?|implies|follows|conclude[sd]?|think"
    r"|believe))(?: that)?\s"
)
"""What a clause may depend on that still chooses ("this means that", "I think")."""
CLAUSE_START = (
    r"(?:^|[.!?,;:(\n*\"']|\b(?:so|therefore|thus|hence|and|but|probably|clearly|because|since|as"
    rf"|then|so that|in this case)\s|{_MATRIX})\s*"
)
_CHOOSES = re.compile(
    r"\b(?:i|we)(?:['’](?:d|ll|m|ve)| am| would| will| must| have to| can| have| do)?"
    rf"(?: (?:{words.SURELY}|only|then|rather|instead|finally|ultimately|have to|like to|going to)"
    rf")*\s(?:(?:{words.CHOOSES})|(?P<thinks>{words.THINKS}))(?: that)?"
    r"(?: (?P<it>it['’]?s|it is|this is|that it['’]?s|that it is|it to be))?\Z"
    r"|\b(?:i|we)\b[^.;!?\n]{0,80}\b(?:and|but|so|then|,)\s*"
    r"(?:now|instead|finally|ultimately|then|will|would|have)?\s*"
    rf"(?:{words.CHOOSES})\Z"
    r"|(?P<bare>(?:^|[.!?:,\n]\s*)(?:please |let['’]?s |let me |so |just |therefore,? |thus,? )*"
    rf"(?!answer)(?:{words.CHOOSES}))\Z",
    _I,
)
_IT_IS = re.compile(
    rf"{CLAUSE_START}(?:(?:it|that|this)(?:['’]s| is| would be| must be| has to be| can only be)"
    r"|(?:this|that|which|it) (?:leaves|leaves us with|makes it)|leaving(?: only| us with)?)\Z",
    _I,
)


_CHOOSES_LAST = words.last_words(words.CHOOSES, words.THINKS, "that")
_IT_IS_LAST = words.last_words("is|it's|that's|this's|be|it|leaves|leaving|us|only|with")


def _by_verb(lead: _Lead) -> _Found:
    """Such as "I would choose", "go with", "I think it is"; "it is"."""
    if (lead.last in _CHOOSES_LAST or lead.last in _IT_IS_LAST) and (
        found := _CHOOSES.search(lead.text)
    ):
        weak = found["thinks"] or found["bare"]
        start = _begin(found)
        if found["bare"] and ":" not in lead.tail and ("\n" in lead.tail or lead.remarks(start)):
            return None
        firm = lead.kind != "goes" and lead.upper and (not lead.named or found["it"])
        return (start, PHRASE) if firm or not weak else None
    found = _IT_IS.search(lead.text) if lead.last in _IT_IS_LAST else None
    return (_begin(found), PHRASE) if found and lead.firm else None


_SUPERLATIVE = re.compile(
    rf"(?<![\w'-])(?:(?:{words.DETERMINER}|as|is|are|appears?|seems?)\s+(?:single\s+)?"
    rf"{words.SUPERLATIVE}(?![\w-])|{words.DETERMINER} next (?:best )?{words.STEP}\b)"
    rf"(?P<more>[^.;:?!\n]{{0,120}}?)(?P<link>\s{words.LINK})?\Z",
    _I,
)
_LONE_LETTER = re.compile(r"(?<!\w)[A-Z](?!\w)")
_SUITS = re.compile(r"\s*(?:with|of|to be|to|for)?\s*(?:an? |the )?", _I)


def _by_superlative(lead: _Lead) -> _Found:
    """Such as "the most likely cause of the findings is"; before an option's text "is most
    consistent with"."""
    found = _SUPERLATIVE.search(lead.text)
    if found is None or not lead.firm or _LONE_LETTER.search(found["more"]):
        return None
    suits = lead.kind == "own" and _SUITS.fullmatch(found["more"])
    return (found.start(), PHRASE) if found["link"] or ":" in lead.tail or suits else None


_CONCLUDES = re.compile(rf"\W*(?:and )?(?:{words.CONCLUDES})\W*", _I)
_SO = re.compile(rf"(?:^\s*|[.!?\n:]\s*|,\s*)(?:and )?(?:{words.SO})[,:]?\Z", _I)


def _by_connective(lead: _Lead) -> _Found:
    """Such as "so", "therefore", "most likely", "correct:"."""
    found = _SO.search(lead.text) if lead.firm else None
    # "A: likely", and a line below it "B: unlikely"
    on_next_line = "\n" in lead.tail and ":" not in lead.tail
    if found is None or (on_next_line and not _CONCLUDES.fullmatch(lead.text)):
        return None
    start = _begin(found)
    return None if ":" not in lead.tail and lead.remarks(start) else (start, PHRASE)


# --- phrases of other languages -------------------------------------------------------------------

_THINKS_ABROAD = (
    r"\b(?:je (?:pense|crois) que|creo que|pienso que|diría que|penso che|credo che|acho que"
    r"|penso que)\s"
)
_NOUN_ABROAD = re.compile(
    rf"(?:^|[.!?:;,\n(*]\s*|[-–—]\s|{_THINKS_ABROAD})(?P<before>(?:(?:{KNOWN})[\s'’]+){{0,6}})"
    rf"(?:(?:{NOUNS})|(?P<option>{OPTIONS}))(?P<more>(?:\s+(?:{KNOWN})['’]?){{0,5}})\s*\Z",
    _I,
)
_CHOOSES_ABROAD = re.compile(
    rf"(?<!\w)(?:{languages.one_of('chooses')})(?:\s+(?:{KNOWN})['’]?){{0,3}}\Z", _I
)
_IT_IS_ABROAD = re.compile(
    rf"(?:^|[.!?:;,\n(*]|{_THINKS_ABROAD})\s*(?:{languages.one_of('it_is')})\Z", _I
)
_IN_HAN = re.compile(rf"(?:{languages.HAN_NOUN}|{languages.HAN_VERB}){languages.HAN_LINK}\Z")


def _by_words_abroad(lead: _Lead) -> _Found:
    """The same in other languages: a noun with known words alone around it, a verb with its
    subject, "it is"."""
    if (found := _NOUN_ABROAD.search(lead.text)) and not _LONE_LETTER.search(found["more"]):
        names_answer = found["option"] is None or found["before"]  # "Option B" alone is a label
        if found["more"] or lead.linked or (lead.kind != "goes" and lead.upper and names_answer):
            return _begin(found), PHRASE
    if found := _IT_IS_ABROAD.search(lead.text):
        return (_begin(found), PHRASE) if lead.firm else None
    found = _CHOOSES_ABROAD.search(lead.text) or _IN_HAN.search(lead.text)
    return (found.start(), PHRASE) if found else None
