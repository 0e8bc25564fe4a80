"""Reads which letter a text explicitly chooses, strictly and by rules (PROTOCOL §5). In doubt: none.

A text is cleaned of formatting, then searched for *commitments*, places where a letter is chosen in so many words. One letter
in all commitments is the answer; two are none, except that a final answer (`\\boxed{}`, "Final answer:") goes before others.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

# --- cleaning -----------------------------------------------------------------------------------------------------------

_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_CLEANING = tuple(
    (re.compile(pattern, re.IGNORECASE | re.MULTILINE), replacement)
    for pattern, replacement in (
        (r"<\|[^|<>\n]{1,40}\|>|</?s>|<(?:end|start)_of_turn>|<(?:eos|bos|pad|unk)>|\[/?INST\]", " "),
        (r"[\u200b-\u200f\u2060\ufeff\u00ad]", ""),
        (r"</?(?:b|i|em|strong|p|br|div|span|code)\s*/?>", " "),
        (r"<(?:final_?)?answer>", "\nfinal answer: "),
        (r"</(?:final_?)?answer>", "\n"),
        (r"\\(?:text|textbf|mathrm|mathbf|mathit|textit|rm|bf)\s*\{([^{}]{0,200})\}", r"\1"),
        (r"\\boxed\s*\{([^{}]{0,200})\}", r"\nfinal answer: \1\n"),
        (r"\\[()\[\]]|\$|\\[,;]", " "),
        (r"```\w*", "\n"),
        (r"\*\*|__|`|~~", ""),
        (r"(?<!\w)[*_](?=\w)|(?<=[\w.)])[*_](?!\w)", ""),
        (r"^[ \t]*(?:#{1,6}|>|[-*•+])[ \t]+", ""),
        (rf"(?<=[{_CJK}])(?=[A-Za-z])|(?<=[A-Za-z])(?=[{_CJK}])", " "),
        (r"[“”„«»「」『』【】]", '"'),
        (r"[‘’]", "'"),
        (r"[ \t\u00a0]+", " "),
    )
)


def clean(text: str) -> str:
    """The text in NFKC form, without special tokens and without its Markdown, LaTeX and HTML dress."""
    text = unicodedata.normalize("NFKC", text)
    for pattern, replacement in _CLEANING:
        text = pattern.sub(replacement, text)
    return text.strip()


# --- where letters are chosen -------------------------------------------------------------------------------------------

_WRAP = r"[\s\"'(\[{<:=]{0,6}"
_FILL = (
    r"(?:(?:most likely|likely|probably|clearly|definitely|therefore|thus|still|indeed|the|la|der|die|das|il|le|"
    rf"option|choice|answer|letter|opción|opção)\b{_WRAP}){{0,3}}"
)
_IS = r"(?:is|was|be|would be|should be|must be|will be|remains|becomes)\b"
_LINK = rf"(?:{_IS}|[:=]|->|=>|→|⇒|[-–—](?=\s))"
_NOUN = (
    r"(?<![A-Za-z])(?<!each )(?<!every )(?<!other )(?<!an )(?:answer|ans|choice|option|selection|response|letter|prediction)"
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
    r"|most (?:likely|appropriate)(?= (?:to be )?(?:the )?(?:correct|right|answer)))\b"
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
        cue(
            rf"(?:{_WORDS_ABROAD})(?: (?:correcte?a?|richtige?|corretta|correta))?\s*"
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
    r"[\"')\]}}.]{{0,2}}\s*(?:[,/&+;或和、]|\b(?:or|and|and/or|oder|und|ou|et|vs|versus)\b)\s*(?:or |and )?"
    r"(?:option |choice |answer |letter |possibly |maybe |perhaps |also |even )?[\"'(\[]{{0,2}}(?P<l>[{letters}])(?![\w'-])"
)
_SUPPOSED = re.compile(r"\b(?:if|whether|unless|suppose|supposing|assuming|provided that)\b", re.IGNORECASE)
_BLOCKED = re.compile(
    r"\b(?:why|not|never|cannot|incorrect|wrong|worst|false|neither|nor|rather than"
    r"|instead of|other than|different|previous|distractor)\b|n't\b",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[.!?;,\n:—]|\b(?:so|therefore|thus|hence|but|and)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?\n]")
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
    bare = re.fullmatch(r"[^\w?≠¬✗❌]*(\w)(?:[^\w?]+\1)*[^\w?]*", text)
    if bare:
        return bare[1].upper() if bare[1].upper() in options else None
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
    return commitments.pop() if len(commitments) == 1 else None


def _cued(text: str, letters: str, options: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Letters after (or before) a phrase that chooses; both letters of an alternative ("B or C"), which settles nothing."""
    alternative = re.compile(_ALTERNATIVE.format(letters=letters))
    for cue in _cues(letters):
        for match in cue.pattern.finditer(text):
            end = match.end("l")
            start = match.start("l") if cue.letter_first else match.start()
            if _is_blocked(text, start, end) or not _stands_alone(text, end, match["l"], options, cue.needs_stop):
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


def _is_blocked(text: str, start: int, end: int) -> bool:
    """Whether the clause before `start` denies, or the sentence supposes or asks."""
    before = text[max(0, start - 300) : start]
    clause = max((found.end() for found in _CLAUSE_END.finditer(before)), default=0)
    sentence = max((found.end() for found in _SENTENCE_END.finditer(before)), default=0)
    stop = _SENTENCE_END.search(text, end)
    asks = stop is not None and stop[0] == "?"
    return asks or bool(_BLOCKED.search(before, clause)) or bool(_SUPPOSED.search(before, sentence))


def _stands_alone(text: str, end: int, letter: str, options: Mapping[str, str], needs_stop: bool = False) -> bool:
    """Whether the letter that ends at `end` is a token of its own and neither an article nor part of a name."""
    rest = text[end : end + 300]
    if not rest:
        return True
    if re.match(r"\w|['’/–-]\w|\.\w", rest):
        return (bool(re.match(r"[./–-]", rest)) and _is_own_text(rest[1:], letter, options)) or bool(
            re.match(r"/[A-Z]\b", rest)
        )
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
    return not needs_stop and _first_word(word) in _FUNCTION_WORDS


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
        Choices in themselves: bare letters on lines of their own, and the first line's label if no other label follows.
    fallback
        The only label of the text, where it stands further down.
    """
    bare: set[str] = set()
    labels: set[str] = set()
    leading: set[str] = set()
    above = ""
    for line in filter(None, map(str.strip, text.split("\n"))):
        letter, is_bare = _label_of(line, options)
        if letter is not None:
            labels.add(letter)
            bare |= {letter} if is_bare else set()
            leading |= {letter} if not above else set()
        above = above or line
    if len(labels) != 1:
        return bare, set()
    return bare | leading, labels if not _ENUMERATES.search(above) else set()


_ENUMERATES = re.compile(
    r"\b(?:options|choices|each|every|consider|analy[sz]e|evaluate|examine|review|go through|look at|one by one)\b",
    re.IGNORECASE,
)
_LABEL_LINE = re.compile(
    r"(?:(?:option|choice|answer|letter)\s+)?[\"'(\[]{0,2}(?P<l>[A-Za-z])(?![\w'])(?P<mark>[\"')\].:,;!]*)(?P<rest>.*)",
    re.IGNORECASE,
)


def _label_of(line: str, options: Mapping[str, str]) -> tuple[str | None, bool]:
    """The letter that labels a line, and whether it stands there alone."""
    match = _LABEL_LINE.match(line)
    if not match or match["l"].upper() not in options:
        return None, False
    letter, rest = match["l"], match["rest"].strip()
    if not rest:
        return letter.upper(), True
    others = "".join(set(options) - {letter.upper()})
    if rest.endswith("?") or _DENIED.search(rest) or re.fullmatch(r"\W*[A-Za-z]\W*", rest):
        return None, False
    if re.search(rf"(?<!\w)(?:[{others}][.):]\s|\([{others}]\))", rest):  # the options, echoed on one line
        return None, False
    spelled_out = match.start("l") > 0 and line[0].isalpha()
    own = _is_own_text(re.sub(r"^\W+", "", rest), letter, options)
    if match["mark"]:
        continues = re.match(r"[a-z]", rest) and "." in match["mark"] and not own  # "E. coli", "C. difficile colitis"
        glued = not match["rest"].startswith(" ") and not own and not rest[0].isupper()
        listed = match["mark"] == "," and not re.match(r"(?:because|since|as|due)\b", rest)
        return (None if continues or glued or listed else letter.upper()), False
    if not letter.isupper():
        return None, False
    reason = re.match(r"(?:because|since|due to)\b|[-–—] ", rest) and match["rest"].startswith(" ")
    return (letter if reason or (own and (letter != "A" or spelled_out)) else None), False


def _named_with_letter(text: str, options: Mapping[str, str]) -> set[str]:
    """Letters in parentheses right after their own option's text: "pulmonary embolism (C)"."""
    found = set()
    for letter, option in options.items():
        words = r"\s+".join(map(re.escape, clean(option).split()))
        match = re.search(rf"(?<!\w){words}\s*[(\[](?:option )?{letter}[)\]]", text, re.IGNORECASE) if words else None
        if match and not _is_blocked(text, match.start(), match.end()) and not _DENIED.match(text[match.end() :].lstrip(" is")):
            found.add(letter)
    return found
