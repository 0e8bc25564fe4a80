"""Reads which letter a text explicitly chooses, strictly and by rules (PROTOCOL §5). In doubt: none.

A text is cleaned of formatting, then searched for *commitments*, places where a letter is chosen in so many words. One letter
in all commitments is the answer; two are none, except that a final answer (`\\boxed{}`, "Final answer:") goes before others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from lm_eval_safescale.reading.cleaning import clean

LONGEST_SENTENCE = 2000
"""Characters up to which the end of a sentence is looked for: a reply that repeats itself to its limit has none."""
_WRAP = r"[\s\"'(\[{<:=]{0,6}"
_FILL = (
    r"(?:(?:most likely|likely|probably|clearly|definitely|therefore|thus|still|indeed|the|la|der|die|das|il|le|"
    rf"option|choice|answer|letter|opción|opção)\b{_WRAP}){{0,3}}"
)
_IS = r"(?:is|was|be|would be|should be|must be|will be|remains|becomes)\b"
_LINK = rf"(?:{_IS}|[:=]|->|=>|→|⇒|[-–—](?=\s))"
_NOUN = (
    r"(?<![A-Za-z_])(?<!each )(?<!every )(?<!other )(?<!an )(?:(?:final|correct|selected|predicted|chosen|best|my)_)?"
    r"(?:answer|ans|choice|option|selection|response|letter|prediction)"
    r"(?:[ _](?:choice|option|letter|key|idx|index))?(?: (?:to|for|of|in|here)(?: (?:this|the|your) \w{1,20})?)?[\"']?"
)
_WORDS_ABROAD = (
    "正确答案|正確答案|答案|正确选项|选项|选择|選擇|应选|选|選|回答|正解|答え|解答|정답|답변|답|réponse|respuesta|antwort|risposta|"
    "resposta|ответ|الجواب|الإجابة|उत्तर|svar|antwoord|odpowiedź|cevap"
)
_SUPERLATIVE = r"\b(?:most|best|correct|appropriate|preferred|recommended|next)\b[^.\n?!:]{0,120}?(?:\bis\b|\bwould be\b|:)"
_PRAISE = (
    r"is (?:\w{1,12}ly )?(?:correct|right|(?:the|my|our) (?:\w{1,20} ){0,2}?"
    r"(?:correct|right|best|answer|preferred|final|most (?:likely|appropriate|accurate|suitable))"
    r"|most (?:likely|appropriate)(?=(?: to be)?(?: the)? (?:correct|right|answer)|\s*(?:[.!\n]|$)))\b"
)


@dataclass(frozen=True, slots=True)
class _Cue:
    """A phrase that chooses the letter in group `l`."""

    pattern: re.Pattern[str]
    final: bool = False
    needs_stop: bool = False
    """The letter must end the clause, or be followed by its own option's text: the phrase alone is not enough."""
    letter_first: bool = False
    """The phrase stands after the letter."""


@lru_cache(maxsize=64)
def _cues(letters: str) -> tuple[_Cue, ...]:
    either, upper = f"(?P<l>[{letters}{letters.lower()}])", f"(?-i:(?P<l>[{letters}]))"
    token = r"(?<![\w-])(?<!\w')"

    def cue(pattern: str, **options: bool) -> _Cue:
        return _Cue(re.compile(pattern, re.IGNORECASE | re.MULTILINE), **options)

    return (
        cue(
            rf"\bfinal[ _](?:answer|choice|selection|decision|response)[\"']?\s*(?:{_LINK})?{_WRAP}{_FILL}{token}{either}",
            final=True,
        ),
        cue(rf"{_NOUN}\s*{_LINK}{_WRAP}{_FILL}{token}{either}"),
        cue(rf"\banswer\s+{token}{upper}", needs_stop=True),
        cue(
            rf"\b(?:think|believe|say|so|therefore|thus|hence),? (?:it'?s |it is )?(?:option|choice)\s+{token}{upper}",
            needs_stop=True,
        ),
        cue(rf"^correct\s*[:=]{_WRAP}{token}{either}"),
        cue(rf"(?:^|[.!]\s+)(?:so|therefore|thus|hence),? {token}{upper}(?=[.!]|$)", needs_stop=True),
        cue(
            rf"(?<![不非没沒])(?:{_WORDS_ABROAD})(?: (?:correcte?a?|richtige?|corretta|correta))?\s*"
            rf"(?:是|为|為|は|은|는|est|es|ist|è|é|:|=)?{_WRAP}{_FILL}{token}{either}"
        ),
        cue(
            rf"\b(?:i|we)(?:'d|'ll| would| will| must| have to)?(?: \w{{1,12}}ly)? "
            rf"(?:choose|select|pick|answer|go with|opt for|chose|selected|picked){_WRAP}{_FILL}{token}{either}"
        ),
        cue(rf"^(?:choose|select|pick|choosing|selecting|going with|go with)\b{_WRAP}{_FILL}{token}{upper}"),
        cue(
            r"(?:^|[.!?,;:(]\s*|"
            r"\b(?:option|choice|answer|letter|so|that|therefore|thus|and|but|think|believe|hence|probably) [(\"']?)"
            rf"{token}{upper}[\"')]{{0,2}} {_PRAISE}",
            letter_first=True,
        ),
        cue(rf"{_SUPERLATIVE}{_WRAP}{_FILL}{token}{upper}", needs_stop=True),
        cue(rf"\b(?:it|that|this)(?:'s| is){_WRAP}{_FILL}{token}{upper}", needs_stop=True),
    )


_CLAUSE_STOPS = re.compile(
    r"\s*(?:[.,;!)\]}\"'>:—?。]|$)|\s*\n|\s+[(–=&+/-]|\s*(?:です|입니다|选项|選項|项|項)"
    r"|\s+(?:explanation|rationale|reason|reasoning|justification|confidence)\s*:",
    re.IGNORECASE,
)
_FUNCTION_WORDS = {"because", "since", "as", "due", "given", "which", "based", "though", "although", "but"}
_FUNCTION_WORDS |= {"is", "was", "in", "for", "here", "therefore", "so", "not"}
_ALTERNATIVE = (
    r"[\"')\]}}.]{{0,2}}\s*\(?(?:[,/&+;或和、]|\b(?i:or|and|and/or|as well as|also|plus|oder|und|ou|et|vs|versus)\b)\s*(?:or |and )?"
    r"(?:option |choice |answer |letter |possibly |maybe |perhaps |also |even )?[\"'(\[]{{0,2}}(?P<l>[{letters}])(?![\w'-])"
)
_SUPPOSED = re.compile(
    r"\b(?:if|whether|unless|suppose|supposing|assuming|provided that|when|in case|had there|were there)\b"
    r"|^\s*(?:with|without)\b.*\bwould\b",
    re.IGNORECASE,
)
_BLOCKED = re.compile(
    r"\b(?:least|second|alternative|mistake|misconception|tempting|student|trainee|might think|may think|would think"
    r"|doubt|unlikely|eliminate|rule out|ruled out|exclude|excluded|reject|rejected|consider|considering"
    r"|why|not|never|cannot|incorrect|wrong|worst|false|neither|nor|rather than"
    r"|instead of|other than|different|previous|distractor)\b|n't\b",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[.!?;,\n:—]|\b(?:so|therefore|thus|hence|but|and)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?\n]")
_DENIED_AFTER = re.compile(
    r"[\"')\]]{0,2}\s*(?:is|was|would be|seems|[:–-])\s+(?:\w{1,12}ly )?(?:not|incorrect|wrong|false|unlikely|excluded|ruled out)\b",
    re.IGNORECASE,
)
_NOT_CHOSEN = re.compile(r"[\"'](?:is_)?(?:correct|selected|chosen)[\"']\s*:\s*(?:false|0|[\"']no)", re.IGNORECASE)
_WAVERS = r"\b(?:wait|actually|correction|on second thought|scratch that|no,)\b[^\n]{{0,120}}?(?<![\w'-])[{others}](?![\w'-])"
_EPITHETS = re.compile(
    r"(?:coli|difficile|fumigatus|albicans|cereus|fragilis|burgdorferi|henselae|abortus|anthracis|botulinum|perfringens|tetani"
    r"|diphtheriae|trachomatis|pneumoniae|jejuni|neoformans|immitis|histolytica|granulosus|multilocularis|canis|lumbricoides)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:incorrect|wrong|not|false|unlikely|less likely|ruled out|excluded|contraindicated)\b", re.IGNORECASE
)


def read_letter(text: str, options: Mapping[str, str]) -> str | None:
    """The one letter of `options` that a text explicitly chooses, or None.

    Parameters
    ----------
    text
        An output, its reasoning already stripped.
    options
        Option text by upper-case letter. The texts only help to tell a label ("C Pulmonary embolism", if that is C) from an
        article or an abbreviation ("B cell lymphoma"); a diagnosis without its letter never counts.
    """
    letters = "".join(options)
    text = clean(text)
    bare = re.fullmatch(r"[^\w?≠¬✗❌]*(\w)(?:[^\w?≠¬✗❌]+\1)*[^\w?≠¬✗❌]*", text)
    if bare:
        return bare[1].upper() if bare[1].upper() in options else None
    if _NOT_CHOSEN.search(text):
        return None
    finals: set[str] = set()
    commitments: set[str] = set()
    for letter, final in _cued(text, letters, options):
        (finals if final else commitments).add(letter)
    if len(finals) == 1:
        return finals.pop()
    if finals:
        return None
    leading, fallback = _labelled(text, options)
    commitments |= leading
    if not commitments:
        commitments = fallback | _named_with_letter(text, options)
    if len(commitments) != 1:
        return None
    (letter,) = commitments
    others = letters.replace(letter, "")
    return None if re.search(_WAVERS.format(others=others), text, re.IGNORECASE) else letter


def _cued(text: str, letters: str, options: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Letters after (or before) a phrase that chooses; both letters of an alternative ("B or C"), which settles nothing."""
    alternative = re.compile(_ALTERNATIVE.format(letters=letters))
    named = any(re.search(rf"\b[{letters}]\b", option) for option in options.values())  # options such as "Type A"
    for cue in _cues(letters):
        if cue.needs_stop and named:
            continue
        for match in cue.pattern.finditer(text):
            end = match.end("l")
            start = match.start("l") if cue.letter_first else match.start()
            if _is_blocked(text, start, end) or not _stands_alone(text, end, match["l"], options, cue.needs_stop):
                continue
            if _lists_on(text, end, match["l"].upper(), options) or _CUT_ARTICLE.match(text, end - 2):
                continue
            yield match["l"].upper(), cue.final
            after_text = _after_own_text(text, end, options[match["l"].upper()])
            if other := alternative.match(text, end) or alternative.match(text, after_text):
                yield other["l"], cue.final


def _after_own_text(text: str, end: int, option: str) -> int:
    """Where the option's own text ends, if it follows the letter that ends at `end`."""
    words = r"\s+".join(map(re.escape, clean(option).split()))
    match = re.compile(rf"[.):\]]{{0,2}}\s*[(]?{words}[)]?", re.IGNORECASE).match(text, end)
    return match.end() if match else end


def _lists_on(text: str, end: int, letter: str, options: Mapping[str, str]) -> bool:
    """Whether the letter that ends at `end` only begins a list of options: the next one follows, with its text or cut off."""
    start = _after_own_text(text, end, options[letter])
    if start == end:
        return False
    following = re.compile(r"[\s,;.*-]*[(]?(?P<l>[A-Z])(?:[).:]\s*(?P<text>[^\n]*)|\s*$)").match(text, start)
    if not following or following["l"] not in options or following["l"] == letter:
        return False
    said = following["text"]
    return not said or _is_own_text(said, following["l"], options)


def _is_blocked(text: str, start: int, end: int) -> bool:
    """Whether the clause before `start` denies, or the sentence supposes or asks."""
    before = text[max(0, start - 300) : start]
    clause = max((found.end() for found in _CLAUSE_END.finditer(before)), default=0)
    sentence = max((found.end() for found in _SENTENCE_END.finditer(before)), default=0)
    stop = _SENTENCE_END.search(text, end, end + LONGEST_SENTENCE)
    asks = stop is not None and stop[0] == "?"
    supposes = _SUPPOSED.search(before[sentence:] + text[start:end])
    denies = _BLOCKED.search(before[clause:] + text[start:end]) or _DENIED_AFTER.match(text, end)
    return asks or bool(supposes) or bool(denies)


def _stands_alone(text: str, end: int, letter: str, options: Mapping[str, str], needs_stop: bool = False) -> bool:
    """Whether the letter that ends at `end` is a token of its own and neither an article nor part of a name."""
    rest = text[end : end + 300]
    if not rest:
        return True
    if re.match(r"\w|['’/–-]\w|\.\w", rest):
        return (bool(re.match(r"[./–-]", rest)) and _is_own_text(rest[1:], letter, options)) or bool(
            re.match(r"/[A-Z]\b", rest)
        )
    if (
        re.match(r"\. ?[a-z]", rest, re.IGNORECASE)
        and _EPITHETS.match(rest[1:].lstrip())
        and not _is_own_text(rest[1:].lstrip(), letter, options)
    ):
        return False
    if re.match(r"\. [a-z]", rest):  # "C. difficile" is no choice of C
        word = re.sub(r"^\W+", "", rest)
        return _is_own_text(word, letter, options) or _first_word(word) in _FUNCTION_WORDS | {
            "it",
            "the",
            "this",
            "that",
        }
    if _CLAUSE_STOPS.match(rest):
        return True
    if letter == "a":
        return False
    word = rest.lstrip()
    if letter != "A" and _is_own_text(word, letter, options):
        return True
    return not needs_stop and letter.upper() != "I" and _first_word(word) in _FUNCTION_WORDS


def _first_word(text: str) -> str:
    return (re.match(r"[A-Za-z']*", text) or [""])[0].lower()


def _is_own_text(text: str, letter: str, options: Mapping[str, str]) -> bool:
    """Whether `text` begins with the option's own text, or is the beginning of it that a token limit left over."""
    own = " ".join(clean(options[letter.upper()]).casefold().split())
    said = " ".join(text.casefold().split())
    if not own or not said:
        return False
    return said.startswith(own) or (len(said) >= 4 and own.startswith(said.rstrip(".")))


def _labelled(text: str, options: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """Letters that label a line ("C. Pulmonary embolism", "Option C", a bare "C").

    Returns
    -------
    leading
        A choice in itself: the first line's label or bare letter, or a bare letter on a line of its own further down, where
        no other letter labels a line. (A bare first line may be followed by a discussion of the options.)
    fallback
        The only label of the text, where it stands last, is not where a list of options begins, and nothing above says that
        options are gone through.
    """
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    labels = [_label_of(line, options) for line in lines]
    if labels and labels[0] and labels[0].kind == "bare":
        later = {label.letter for label in labels[1:] if label and label.kind == "bare"}
        return {labels[0].letter} | later, set()
    seen = {label.letter for label in labels if label}
    chosen = [(number, label) for number, label in enumerate(labels) if label and label.kind != "mention"]
    if len(seen) != 1 or not chosen:
        return set(), set()
    number, label = chosen[0]
    if number == 0 or label.kind == "bare":
        return seen, set()
    last = chosen[-1][0] == len(lines) - 1
    goes_through = label.letter == next(iter(options)) or _ENUMERATES.search(" ".join(lines[:number]))
    return set(), seen if last and not goes_through else set()


_CUT_ARTICLE = re.compile(r"(?<![:=]) a\Z")  # "the answer is a", and then the tokens were spent
_ENUMERATES = re.compile(
    r"\b(?:options|choices|each|every|consider|analy[sz]e|evaluate|examine|review|go through|look at|one by one|wrong|incorrect"
    r"|others|rule|eliminate|exclude|unlikely|not)\b",
    re.IGNORECASE,
)
_LABEL_LINE = re.compile(
    r"(?:(?:option|choice|answer|letter)\s+)?[\"'(\[]{0,2}(?P<l>[A-Za-z])(?![\w'])(?P<mark>[\"')\].:,;!]*)(?P<rest>.*)",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"[\"')\]]*\s*(?:[.,;:!(–—]|$|-\s|(?:because|since|as|due)\b"
    r"|(?:is|was|would be) (?:\w{1,12}ly )?(?:the )?(?:single )?"
    r"(?:most (?:likely|probable|appropriate|accurate|suitable)|best|correct|right|answer|preferred|recommended)\b)"
)
"""What may follow an option's own text behind its label, so that it is chosen and not described."""


@dataclass(frozen=True, slots=True)
class _Label:
    """A letter that labels a line: alone on it (bare), with a text that may be its choice (choice), or only discussed (mention)."""

    letter: str
    kind: str


def _label_of(line: str, options: Mapping[str, str]) -> _Label | None:
    match = _LABEL_LINE.match(line)
    if not match or match["l"].upper() not in options:
        return None
    said, mark, rest = match["l"], match["mark"], match["rest"].strip()
    letter = said.upper()
    if not rest:
        return _Label(letter, "bare") if not re.search(r"[?✗❌]", line) else _Label(letter, "mention")
    text = re.sub(r"^\W+", "", rest)
    own = _is_own_text(text, letter, options)
    if not _labels_text(said, mark, match["rest"], own, spelled_out=match.start("l") > 0 and line[0].isalpha()):
        return None
    return _Label(letter, "choice" if _is_chosen(letter, mark, rest, text, own, options) else "mention")


def _labels_text(said: str, mark: str, rest: str, own: bool, *, spelled_out: bool) -> bool:
    """Whether the letter is a label of the text behind it at all, and no article, pronoun or part of a name."""
    text = rest.strip()
    if mark:
        name = "." in mark and not own and (text[0].islower() or _EPITHETS.match(text))  # "E. coli", "C. Difficile colitis"
        glued = not rest.startswith(" ") and not own and not text[0].isupper()
        listed = mark == "," and (said == "I" or not re.match(r"(?:because|since|as|due)\b", text))
        return not (name or glued or listed)
    if not said.isupper() or said == "I":
        return False
    reason = rest.startswith(" ") and re.match(r"(?:because|since|due to)\b|[-–—] ", text)
    return bool(reason) or (own and (said != "A" or spelled_out))


def _is_chosen(letter: str, mark: str, rest: str, text: str, own: bool, options: Mapping[str, str]) -> bool:
    """Whether the text behind a label leaves it a choice: neither denied, nor described, nor compared, nor one of a list."""
    if own:
        length = len(clean(options[letter]))
        tail = text[length:] if len(text) > length else ""
        described = _DENIED.search(tail.split(".")[0]) or re.match(r"\W*(?:no|without|lacks|absent|would)\b", tail)
        return bool(_GOES_ON.match(tail)) and not described and not _mentions_other(tail, letter, options)
    if mark == "," or re.match(r"(?:because|since|due to)\b", rest):
        return True
    if rest.endswith("?") or re.fullmatch(r"\W*[A-Za-z]\W*", rest) or _mentions_other(rest, letter, options):
        return False
    return not (_DENIED.match(text) if re.match(r"[-–—] ", rest) else _DENIED.search(rest))


def _mentions_other(text: str, letter: str, options: Mapping[str, str]) -> bool:
    """Whether another option's letter stands in the text as a label, in parentheses, or as an alternative."""
    others = "".join(options).replace(letter, "")
    return bool(re.search(rf"(?<!\w)(?:[{others}][.):](?:\s|$)|\([{others}]\)|(?:than|or|and|vs|versus) [{others}]\b)", text))


def _named_with_letter(text: str, options: Mapping[str, str]) -> set[str]:
    """Letters in parentheses right after their own option's text: "pulmonary embolism (C)"."""
    found = set()
    for letter, option in options.items():
        words = r"\s+".join(map(re.escape, clean(option).split()))
        match = re.search(rf"(?<!\w){words}\s*[(\[](?:option )?{letter}[)\]]", text, re.IGNORECASE) if words else None
        if match and not _is_blocked(text, match.start(), match.end()) and not _DENIED.match(text[match.end() :].lstrip(" is")):
            found.add(letter)
    return found
