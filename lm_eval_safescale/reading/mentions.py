"""Where option letters stand in a text: tokens of their own, told from articles, abbreviations and
parts of names.

It does not know what a choice is.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from lm_eval_safescale.reading import languages, words
from lm_eval_safescale.reading.cleaning import CJK, clean, folded

REACH = 300
"""Characters to either side of a letter that are looked at: a reply that repeats itself to its
limit has no sentences."""
MOST_LETTERS = 1000
"""Letters of an output that are looked at: of one with more, the first and the last half of that
many."""

_SENTENCE_END = re.compile(r"[.!?](?=[\s\"')\]]|\Z)|[。！？؟।\n;]")
_CLAUSE_END = re.compile(
    r"[.!?](?=[\s\"')\]]|\Z)|[;,\n:—。！？，、؟।]|\s[–-]\s"
    r"|\b(?:so|therefore|thus|hence|but|and|sondern|mais|sino|bensì|aber|pero|mas|но|ama|لكن|بل"
    r"|लेकिन)\b|而是|但|所以|因此",
    re.IGNORECASE,
)
_ABBREVIATES = re.compile(
    r"['’&+/–‐-]\w|:[A-Z]\b|\s?[&+/]\s?\w|\s?[–-]\s?\w\b(?![.)])|\. ?[A-Z]\.(?! ?[A-Z]\w)"
)
_EPITHET = re.compile(words.EPITHETS, re.IGNORECASE)
_STOP = re.compile(
    r"\s*(?:[.,;:!)\]}\"'*>—?。,、،।]|\Z|\n|[✅✓✔☑👍🎯])|\s+[(\[–={|<>-]|\s*\.\.\.|\s+(?:है|हैं|হল|ہے"
    rf"|şıkkı\w*|seçeneği\w*)|\((?=[{CJK}])"
)
_EAST_ASIAN = re.compile(rf"\s*{languages.HAN_TAIL}")
_SUFFIXES = r"(?i:d[iıuü]r|t[iıuü]r|y[iıuü]|[iıuü])\b"
_SUFFIX = re.compile(rf"['’]{_SUFFIXES}")
_EXPLAINED = re.compile(
    r"\s+(?:explanation|rationale|reason(?:ing)?|justification|confidence|note)\s*:", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]+")
_GLUED = re.compile(r"['’&+–‐-]\w|\.\w|\s?&\s?\w|/(?![A-Z]\b)\w")
_IS_SUBJECT = re.compile(
    r"\s*(?:[.,;:!?)\]}\"'*>—]|\Z|\n|[–-] )|\s+(?:is|was|would|fits|seems|looks|could|should|may"
    r"|might|or|and)\b"
)
_MARKS = re.compile(r"\A[ .)/–:\"'*\](\[-]+")
_START = attrgetter("start")
_LAST_WORD = re.compile(r"([^\W\d_]+)[\s-]{1,2}\Z")


class Mention(NamedTuple):
    """An option letter that stands alone."""

    letter: str
    """Upper-case."""
    start: int
    end: int
    said: str
    """As it is written."""


@dataclass(frozen=True, slots=True)
class Options:
    """An item's options, ready to be looked for."""

    letters: str
    own: Mapping[str, str]
    """The cleaned, case-folded text by letter."""
    initials: Mapping[str, str]
    """Of its words, upper-case, where there are two to five ("PE")."""
    following: Mapping[str, re.Pattern[str]]
    """By letter, finds its text right behind it."""
    preceding: Mapping[str, re.Pattern[str]]
    """By letter, finds its text at the end of what stands before it."""
    mention: re.Pattern[str]
    named: bool
    """Whether an option's text holds an option letter ("Type A")."""
    stems: frozenset[str]
    """How their words begin."""

    def is_one(self, text: str) -> bool:
        """Whether a text is an option's text, of whichever letter."""
        return folded(text).rstrip(".") in self.own.values()

    def names_one(self, text: str) -> bool:
        """Whether a word of an option stands in a text, or the beginning of one in a word
        ("Lungenembolie")."""
        same_case = text.casefold()
        return any(stem in same_case for stem in self.stems)


@lru_cache(maxsize=1024)
def prepared(options: tuple[tuple[str, str], ...]) -> Options:
    """Options as they are looked for; made once for each item."""
    letters = "".join(letter for letter, _ in options)
    texts = {letter: clean(text) for letter, text in options}
    found = {
        letter: r"\s+".join(map(re.escape, text.split())) for letter, text in texts.items() if text
    }
    lower = letters.lower()
    own = {letter: folded(text) for letter, text in texts.items()}
    return Options(
        letters,
        own,
        {letter: _initials(text) for letter, text in texts.items()},
        {
            letter: re.compile(
                rf"[.):\]\"'*]{{0,3}}\s*(?:[-–—=]\s?)?[\"'(\[]?(?:an? |the )?{text}(?!\w)[)\"'\]]?",
                re.IGNORECASE,
            )
            for letter, text in found.items()
        },
        {
            letter: re.compile(
                rf"(?<!\w){text}[\"']?(?:,? ?[-–—:]? ?)[(\[]?(?:option |choice |answer )?\Z",
                re.IGNORECASE,
            )
            for letter, text in found.items()
        },
        re.compile(
            rf"(?<!\w)(?<!\w['’&+/.-])(?![A-Za-z]['’](?!{_SUFFIXES})\w)(?:[{letters}]"
            rf"|[{lower}](?=[)\].:;,\"'}}>!?*—]|\s*\Z|\s*\n| [-–—(]))(?!\w)"
        ),
        any(re.search(rf"(?<![\w-])[{letters}](?![\w'’-])", text) for text in texts.values()),
        frozenset(word[:5] for text in own.values() for word in re.findall(r"\w{4,}", text)),
    )


def _initials(text: str) -> str:
    found = "".join(word[0] for word in re.findall(r"[A-Za-z][\w'-]*", text)).upper()
    return found if 2 <= len(found) <= 5 else ""


@dataclass(frozen=True, slots=True)
class Output:
    """A cleaned text with the letters in it."""

    text: str
    options: Options
    mentions: tuple[Mention, ...]

    def sentence_before(self, at: int) -> str:
        """What stands between the end of the sentence before and a place."""
        return after_last(_SENTENCE_END, self.text[max(0, at - REACH) : at])

    def clause_before(self, at: int) -> str:
        """What stands between the end of the clause before and a place."""
        return after_last(_CLAUSE_END, self.text[max(0, at - REACH) : at])

    def sentence_after(self, at: int) -> str:
        """What stands between a place and the end of its sentence, that end included."""
        after = self.text[at : at + REACH]
        end = _SENTENCE_END.search(after)
        return after[: end.end()] if end else after

    def clause_after(self, at: int) -> str:
        """What stands between a place and the end of its clause."""
        after = self.text[at : at + REACH]
        end = _CLAUSE_END.search(after)
        return after[: end.start()] if end else after

    def after_own_text(self, letter: str, end: int) -> int:
        """Where an option's own text ends, if it follows its letter, which ends at `end`; else
        `end`."""
        pattern = self.options.following.get(letter)
        found = pattern.match(self.text, end) if pattern else None
        return found.end() if found else end

    def own_text_before(self, letter: str, lead: str) -> int | None:
        """Where the option's own text begins that ends what stands before its letter; None where it
        does not."""
        pattern = self.options.preceding.get(letter)
        found = pattern.search(lead) if pattern else None
        return found.start() if found else None

    def next_mention(self, at: int) -> Mention | None:
        """The first letter at or behind a place."""
        number = bisect_left(self.mentions, at, key=_START)
        return self.mentions[number] if number < len(self.mentions) else None

    def previous_mention(self, at: int) -> Mention | None:
        """The last letter before a place."""
        number = bisect_left(self.mentions, at, key=_START)
        return self.mentions[number - 1] if number else None

    def mention_at(self, at: int) -> Mention | None:
        """The letter that begins at a place."""
        found = self.next_mention(at)
        return found if found is not None and found.start == at else None

    def is_option(self, mention: Mention) -> bool:
        """Whether a letter in running text can mean an option at all: no article, no part of a name
        ("type B", "B cell")."""
        text, start = self.text, mention.start
        before = _LAST_WORD.search(text, max(0, start - 25), start)
        word = before[1].lower() if before else ""
        if word in words.CLASSIFIERS or (
            word
            and any(f"{word} {mention.letter.lower()}" in own for own in self.options.own.values())
        ):
            return False
        rest = text[mention.end : mention.end + 40]
        if _GLUED.match(rest):
            return False
        # an article, or cut off behind one
        if mention.letter in "AI" and word not in ("option", "choice", "answer", "letter"):
            return bool(rest) and bool(_IS_SUBJECT.match(rest))
        return True

    def is_own_text(self, text: str, letter: str) -> bool:
        """Whether `text` begins with the option's own text, or is the beginning of it that a token
        limit left over."""
        own = self.options.own[letter]
        if (initials := self.options.initials[letter]) and re.match(rf"{initials}(?![\w-])", text):
            return True
        said = folded(text[: 2 * len(own) + 20])
        if not own or not said:
            return False
        return (said.startswith(own) and not said[len(own) : len(own) + 1].isalnum()) or (
            len(said) >= 4 and own.startswith(said.rstrip("."))
        )


def find_mentions(text: str, options: Options) -> tuple[Mention, ...]:
    """The letters that stand alone in a cleaned text, in order."""
    found = [
        Mention(match[0].upper(), match.start(), match.end(), match[0])
        for match in options.mention.finditer(text)
    ]
    if len(found) > MOST_LETTERS:
        found = found[: MOST_LETTERS // 2] + found[-MOST_LETTERS // 2 :]
    return tuple(found)


def ending(output: Output, mention: Mention) -> str:
    """What follows a letter, so that it can be chosen there.

    Returns
    -------
    `stop` (a pause, or the end), `own` (the option's own text), `reason` (a word that says why),
    `goes` (another that goes on with the sentence); or nothing, where the letter is an article, an
    abbreviation, or a part of a name.
    """
    rest = output.text[mention.end : mention.end + REACH]
    if not rest.strip() or _SUFFIX.match(rest):
        return "stop"
    if _own_text_follows(output, mention, rest):
        return "own"
    if _is_part(output, mention, rest) or _is_article(mention, rest):
        return ""
    if _STOP.match(rest) or _EXPLAINED.match(rest) or _EAST_ASIAN.match(rest):
        return "stop"
    if mention.letter == "I" or mention.said == "a":
        return ""
    word = _WORD.match(rest.lstrip())
    if word is None:
        return ""
    if word[0].lower() in words.REASON_WORDS or word[0] in words.SENTENCE_STARTS:
        return "reason"
    return "goes" if word[0].lower() in words.FUNCTION_WORDS else ""


def _own_text_follows(output: Output, mention: Mention, rest: str) -> bool:
    if not output.is_own_text(_MARKS.sub("", rest), mention.letter):
        return False
    as_article = mention.letter == "A" and (
        re.match(r" \w", rest) or (mention.said == "a" and rest[0] in " \n")
    )
    return not as_article


def _is_part(output: Output, mention: Mention, rest: str) -> bool:
    """Whether a letter belongs to a name or an abbreviation: "C. difficile", "A/V", "B\ncell", "C'
    sign"."""
    if re.match(r"['’] ?\w", rest) and output.text[mention.start - 1 : mention.start] not in (
        "'",
        '"',
        "’",
        "‘",
        "`",
    ):
        return True
    if _ABBREVIATES.match(rest) or re.match(r"\.\w", rest):
        return True
    if re.match(r"\. ?[a-z]", rest, re.IGNORECASE):
        word = rest[1:].lstrip()
        is_lower = word[0].islower() and _first_word(word) not in words.FUNCTION_WORDS | {
            "it",
            "the",
            "this",
            "that",
        }
        return is_lower or _EPITHET.match(word) is not None
    return (
        re.match(r"\n[ \t]*[a-z]", rest) is not None
        and _first_word(rest) not in words.FUNCTION_WORDS
    )


def _is_article(mention: Mention, rest: str) -> bool:
    """Whether an A is the article of what follows: 'a "halo" sign', "a (small) effusion", a line
    wrapped after it."""
    if mention.letter != "A":
        return False
    if mention.said == "a":
        return rest[0] == " " or bool(re.match(r"\n[ \t]*[a-z(\"'\[]", rest))
    quoted = re.match(r" (?:\"[^\"]{0,80}\"|'[^']{0,80}'|\[[^\]]{0,80}\]|\([^)]{0,80}\))", rest)
    if quoted is None:
        return bool(re.match(r" [\"'(\[]", rest)) and not re.search(r"[)\]\"']", rest[2:80])
    return quoted[0][1] in "\"'" or bool(re.match(r"\s*\w", rest[quoted.end() :]))


def _first_word(text: str) -> str:
    return (re.match(r"\W*([^\W\d_]*)", text) or ["", ""])[1].lower()


def after_last(end: re.Pattern[str], text: str) -> str:
    """What stands behind the last match of a pattern, or the whole text."""
    last = 0
    for found in end.finditer(text):
        last = found.end()
    return text[last:]
