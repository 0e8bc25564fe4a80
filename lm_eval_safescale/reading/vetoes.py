"""What forbids a choice, one function each, in the order of docs/reading.md. In doubt a veto holds.

A veto looks at the clause or the sentence in which the choice stands, and at what follows it. It does not know what chooses.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lm_eval_safescale.reading import languages, words
from lm_eval_safescale.reading.mentions import Mention, Output, after_last
from lm_eval_safescale.reading.shapes import FIELD, NAMED, PRAISE, Choice

_I = re.IGNORECASE
ABROAD_DENIES = rf"(?<!\w)(?:{languages.one_of('denies')})(?!\w)|\bn['’][aeéèêiouyh]|{languages.HAN_DENIES}"
_ABROAD = re.compile(ABROAD_DENIES, _I)
_DENIES = re.compile(rf"{words.DENIES}|{words.NO_ALONE}|{ABROAD_DENIES}", _I)
_LACKS = re.compile(words.LACKS, _I)
_NO_DENIAL = re.compile(words.NO_DENIAL, _I)
_ASKS = re.compile(rf"[?؟]|{languages.HAN_ASKS}\W*$")
_SUPPOSES = re.compile(words.SUPPOSES, _I)
_SUPPOSES_AFTER = re.compile(words.SUPPOSES_AFTER, _I)
_REASON = re.compile(rf"\b(?:because|since|as)\b|{languages.REASONS}", _I)

_PRONOUN = r"(?:which|that|this|it)(?: (?:answer|choice|option|one))?"
_ADVERB = r"(?:(?:\w{1,12}ly|also|still|in fact|just|of course) )?"
_PREDICATE = (
    r"(?:not\b(?! only| because)|n['’]t\b|no longer|incorrect|wrong|false|unlikely|improbable"
    r"|impossible|implausible|excluded|ruled out"
    r"|rejected|eliminated|a mistake|an error|mistaken|untrue|invalid|erroneous|unsupported|(?:a"
    r"|the) (?:distractor|trap|decoy)|inconsistent|doubtful"
    r"|questionable|out|less (?:likely|probable|plausible)|the (?:wrong|incorrect"
    r"|exception))\b(?!\s+(?:options?|answers?|choices?)\s*:)"
)
_OTHER_LETTER = r"(?: (?:the )?(?:option|choice|answer))?[ \"'(]{1,3}[A-Z]\b"
_COPULA = r"(?:is|was|are|would be|seems|appears|looks|can|could|does|do|cannot|['’]s|(?:is|does|can|could|would|was)n['’]t)"
_DENIED_AFTER = re.compile(
    rf"[\"')\]]{{0,2}}\s*(?:{_COPULA}\s*{_ADVERB}|[(–—:-]\s*(?:(?:this|that|it"
    rf"|which) is )?{_ADVERB}|[,;]?\s?\(?(?:and |but |although |though "
    rf"|however,? )?{_PRONOUN}\s?{_COPULA}\s*{_ADVERB})"
    rf"(?!not{_OTHER_LETTER})(?:{_PREDICATE})",
    _I,
)
_UNDERMINED = re.compile(r"[^.;!?\n]{0,80}?[,;–—-]?\s*\b(?:but|yet|although|though)\b([^.!?\n]{0,120})", _I)
_CAVEAT = re.compile(
    r"\b(?:i|we|sure|certain|definitive|images?|confirm\w*|correlat\w*|further|consult|doctor"
    r"|professional|advice)\b|(?<!\w)[A-Z](?!\w)"
)
_WRONG_NEXT = re.compile(
    rf"[\"')\]]{{0,2}}\s*[.!;,–—-]{{0,3}}\s*(?:(?:however|but|actually|no|hmm|yet"
    rf"|oh),?\s*)?(?:{_PRONOUN}\s?{_COPULA}\s*{_ADVERB}(?!not{_OTHER_LETTER}){_PREDICATE}"
    r"|(?:incorrect|wrong|false|not (?:correct|right|quite|really|so)|nope|no|never ?mind"
    r"|just kidding|oops)\s*(?:[.!,;:)\n]|\Z))",
    _I,
)
_OTHERS_REPORT = re.compile(rf"{words.OTHERS}(?:['’]|[^.;:!?\n]{{0,60}}?{words.REPORTS})|{words.THOUGHT_ONCE}", _I)
_REPORTS = re.compile(r"(?<!\w)(?:says?|claims?|argues?|insists?|believes|thinks|alleges?)\b", _I)
_BY_US = re.compile(r"\b(?:i|we)\b|['’]d\b", _I)
_AT_FIRST = re.compile(words.AT_FIRST, _I)
_TURN = re.compile(r"\b(?:but|however|yet|now|so|therefore|thus|hence|finally|ultimately|then|after)\b|[.!?;\n]", _I)
_ALTERNATIVE = re.compile(
    r"[\"')\]}.]{0,3}\s*\(?(?:[,/&+;、~]|或|和|与|または|また|또는|그리고|및|\b(?:or|and|and/or|as well as|also"
    r"|plus|oder|und|ou|et|e|o|y|vs|versus|или|и|veya|ve|hoặc|và|atau|dan"
    r"|of|en|lub|nebo|eller|tai|sau|vagy|أو|و|या|और|বা)\b)\s*(?:or |and |also )?(?:the |die |la "
    r"|el )?(?:option |choice |answer |letter |possibly |maybe |perhaps |probably "
    r"|even )*[\"'(\[]{0,2}\Z",
    _I,
)

Veto = Callable[[Output, Choice], bool]


def asked(output: Output, choice: Choice) -> bool:
    """A question: "Is it C?"."""
    return bool(_ASKS.search(output.sentence_after(after(output, choice))))


def supposed(output: Output, choice: Choice) -> bool:
    """A condition, before or behind: "if there is fluid, the answer is C", "C only if ..."."""
    before = output.sentence_before(choice.start) + output.text[choice.start : choice.end]
    return bool(_SUPPOSES.search(before) or _SUPPOSES_AFTER.match(output.text, after(output, choice)))


def denied(output: Output, choice: Choice) -> bool:
    """A denial in the clause that chooses, or as its predicate: "not C", "C is wrong", "C, which does not fit"."""
    if choice.rule != FIELD and denies(_clause(output, choice)):
        return True
    end = after(output, choice)
    rest = output.text[end : end + 200]
    if choice.rule in (PRAISE, NAMED) and (lacks(_clause(output, choice)) or denies(output.clause_after(end))):
        return True
    return bool(_DENIED_AFTER.match(rest) or _ABROAD.search(_REASON.split(output.clause_after(end))[0])) or _undermined(rest)


def reported(output: Output, choice: Choice) -> bool:
    """Somebody else's answer, or an earlier one: "the student says ...", "at first glance ..."."""
    clause = _clause(output, choice)
    says = _REPORTS.search(clause)
    if _OTHERS_REPORT.search(clause) or (says and not _BY_US.search(clause[: says.start()])):
        return True
    sentence = output.sentence_before(choice.start) + output.text[choice.start : choice.end - 1]
    behind = output.clause_after(choice.end) if choice.rule == PRAISE else ""
    return bool(_AT_FIRST.search(after_last(_TURN, sentence) + behind))


def alternative(output: Output, choice: Choice) -> bool:
    """One of several: "B or C", "C and D", the first of a list of options."""
    end = after(output, choice)
    following = output.next_mention(end)
    if following is not None and following.letter != choice.letter and following.start - end < 60:
        between = output.text[end : following.start]
        if _lists_on(output, choice, end, following):
            return True
        if _ALTERNATIVE.fullmatch(between) and said_of_other(output, following) != "":
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
    ("alternative", alternative),
)


def after(output: Output, choice: Choice) -> int:
    """Where a choice ends, the option's own text behind the letter included."""
    return output.after_own_text(Mention(choice.letter, choice.end - 1, choice.end, choice.letter))


def denies(clause: str) -> bool:
    """Whether a clause denies what it says, in any language."""
    return bool(_DENIES.search(_NO_DENIAL.sub(" ", clause)))


def lacks(clause: str) -> bool:
    """Whether a clause says that something is absent or less: that denies a finding, but no answer."""
    return bool(_LACKS.search(_NO_DENIAL.sub(" ", clause)))


def supposes(sentence: str) -> bool:
    """Whether a sentence states a condition."""
    return bool(_SUPPOSES.search(sentence))


def denied_next(output: Output, choice: Choice) -> bool:
    """Whether the next clause takes a choice back: "C. That is wrong."."""
    return bool(_WRONG_NEXT.match(output.text, after(output, choice)))


def denied_here(output: Output, mention: Mention) -> bool:
    """Whether a letter is denied where it stands: "C is wrong"."""
    return bool(_DENIED_AFTER.match(output.text, mention.end))


def _clause(output: Output, choice: Choice) -> str:
    """From the beginning of the clause to the letter, without what "not B but" denies of another one."""
    chosen = output.text[choice.start : choice.end]
    return output.clause_before(choice.start) + re.sub(
        r"\b\w{2,5}\W{1,3}(?:option )?[A-Z]\W{1,3}(?:but|rather|sondern|mais|sino|ma|bensì)\b|不是 ?[A-Z],? ?而是", "", chosen
    )


def _undermined(rest: str) -> bool:
    """Whether a "but" in the same sentence takes the choice back: "C, but there is no filling defect"."""
    found = _UNDERMINED.match(rest)
    return found is not None and (denies(found[1]) or lacks(found[1])) and not _CAVEAT.search(found[1])


def _lists_on(output: Output, choice: Choice, end: int, following: Mention) -> bool:
    """Whether the letter only begins a list of options: the next one follows, with its text or cut off."""
    if end == choice.end or re.search(r"\w", output.text[end : following.start]):
        return False
    rest = re.sub(r"^\W+", "", output.text[following.end : following.end + 200])
    return not rest or output.is_own_text(rest, following.letter)


# --- what is said of the other options --------------------------------------------------------------------------------------

_FAVOURS = re.compile(words.FAVOURS, _I)
_TURNS = re.compile(words.TURNS, _I)
_COMPARES = re.compile(rf"{words.COMPARES}\W*(?:the |an? )?(?:options? |choices? |answers? )?\W*\Z", _I)
_WOULD = re.compile(r"\b(?:would|were|had there)\b", _I)
_FLIPS = re.compile(r"\b(?:but|rather|sondern|mais|sino|instead|bensì)\W*\Z|而是\W*\Z", _I)
_LABEL_LINE = re.compile(r"(?:\A|\n)[\s\"'(\[*>|-]{0,8}(?:(?:option|choice|answer)s?\s+)?[\"'(\[*]{0,3}\Z", _I)
_LIST_JOIN = re.compile(
    r"[\"')\]]{0,2}(?:,? ?(?:and|or|&|nor|und|et|y|e|ou|o|и|или)? ?|\s?[,/、和或및]\s?)(?:options? "
    r"|choices? )?[\"'(\[]{0,2}"
)
_RELATIVE = re.compile(r", (?:which|who|that)\b[^,.;!?\n]{0,80},", _I)
_CLAUSE = re.compile(
    r"[.!?](?=[\s\"')\]]|\Z)|[;,\n—(]|\s[–-]\s|[。！？，、؟।]|\b(?:so|therefore|thus|hence|but|and"
    r"|because|since|as|while|whereas|making|sondern|mais|sino|ma)\b",
    _I,
)
_ALONE = re.compile(r"[\"')\]]{0,2}\s*(?:[.,;!?)\n]|\Z)")


def said_of_other(output: Output, mention: Mention) -> str:
    """What is said of another option after a choice.

    Returns
    -------
    "" where nothing speaks for it (it is denied, compared away or supposed); `listed` where it labels a line of its own; `described`; or
    `chosen`, where something speaks for it.
    """
    text, end = output.text, mention.end
    if not output.is_option(mention):
        return ""
    lead = text[max(0, mention.start - 120) : mention.start]
    while (joined := _LIST_JOIN.match(text, end)) and (again := output.mention_at(joined.end())):
        end = again.end
    own = output.options.following.get(mention.letter)
    own_text = own.match(text, end) if own else None
    rest = text[own_text.end() if own_text else end :][:200]
    rest = _RELATIVE.sub(" ", rest)
    before, clause_end = after_last(_CLAUSE, lead), _CLAUSE.search(rest)
    clause = f"{before} {rest[: clause_end.start()] if clause_end else rest}"
    if _COMPARES.search(lead) or ((denies(clause) or lacks(clause)) and not _FLIPS.search(before)):
        return ""
    sentence_before = output.sentence_before(mention.start)
    favoured = bool(_FAVOURS.search(clause))
    if supposes(f"{sentence_before} {output.sentence_after(end)}") or (_WOULD.search(clause) and not favoured):
        return ""
    if _LABEL_LINE.search(lead):
        line = text[end : end + 300].split("\n")[0]
        if not re.search(r"\w", line) or (favoured and not own_text):
            return "chosen"
        return "listed" if not own_text or re.search(r"\w", line[own_text.end() - end :]) else "described"
    if favoured or _TURNS.search(sentence_before):
        return "chosen"
    in_brackets = re.search(r"\w[\"']?\s*[(\[]\Z", lead)
    return "chosen" if _ALONE.match(rest) and not own_text and not in_brackets else "described"
