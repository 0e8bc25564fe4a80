"""Letters that label a line: alone on it, with their option's text, or with a noun phrase. A label
that describes chooses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from lm_eval_safescale.reading import languages, words
from lm_eval_safescale.reading.choices import LABEL, LINE, Choice
from lm_eval_safescale.reading.denials import denies, lacks
from lm_eval_safescale.reading.mentions import Mention, Output
from lm_eval_safescale.reading.phrases import NOUNS, OPTIONS, phrase

LONGEST_LINE = 2000
"""Characters of a line that are looked at."""
_I = re.IGNORECASE
_BEFORE = re.compile(
    r"[\"'(\[{<*\s→⇒➡✅👉☑✔=>|-]{0,8}(?:(?:sure|certainly|okay|ok|yes|of course)[!.,:] )?"
    rf"(?P<spelled>(?:option|choice|answer|letter|letra|{NOUNS}|{OPTIONS}"
    r"|选项|選項|选|選択肢)\s*)?[\"'(\[*]{0,3}",
    _I,
)
_MARK = re.compile(r"[\"')\].:,;!*、/]*(?:\s?[-–—](?=\s))?")
_BEHIND = re.compile(
    r"\s+(?:of|in|on|at|to|for|from|with|affecting|involving|immediately|now|first|today"
    r"|right away|as soon as)\b",
    _I,
)
"""What may follow an option's own text without a stop, where no list of options begins."""
_ENDS = re.compile(rf"\W*(?:(?:{languages.IT_IS_BEHIND})\W*)?")
_NAMES_ANSWER = re.compile(rf"{words.NOUN}\W*:\Z", _I)
_LISTS_OPTIONS = re.compile(r"\b(?:options|choices|possibilities|candidates)\b[^\n]{0,40}\Z", _I)
_REASON = re.compile(
    r"(?:because|since|due to|given|for (?:the|this|these)|weil|da|car|porque|parce que|perché"
    r"|as (?:the|there|it|this|these|an?|shown|seen|evidenced"
    r"|\w+ (?:is|are|was|were|can|cannot|does|has)))\b",
    _I,
)
_SURE = re.compile(
    r"\(?(?:definitely|clearly|certainly|surely|for sure|sure|without (?:a|any) doubt|no doubt"
    r"|no question|i (?:think|believe|guess|would say)|most likely|probably|likely|obviously"
    r"|of course|final answer|in my (?:opinion|view)"
    r"|hands down|correct|best answer|(?:that is )?(?:the|my) (?:correct|best|right|final)? ?"
    r"(?:answer|one|option|choice))[\s.!)]*\Z"
    r"|\((?:[^()]{0,40}\b(?:confiden\w+|certain\w*|sure|correct|best|most likely|final)"
    r"\b[^()]{0,40}|\d{1,3} ?%)\)[\s.]*\Z"
    r"|(?:with )?(?:\w+ )?confidence\b|\d{1,3} ?% (?:confiden|sure|certain)\w*\W*\Z",
    _I,
)
_POLITE = re.compile(
    r"(?:would you like|do you (?:want|have)|let me know|is there anything|please|i hope"
    r"|hope this|note|disclaimer)\b",
    _I,
)
_THE_REST = re.compile(r"(?:all )?(?:of )?(?:the )?(?:others?\b|rest\b|remaining)", _I)
_GOES_ON = re.compile(
    r"[\"')\]]*\s*(?:[.,;:!(–—]|\Z|-\s|(?:because|since|as|due)\b"
    r"|(?:is|was|would be) (?:\w{1,12}ly )?(?:the )?(?:single )?"
    r"(?:most (?:likely|probable|appropriate|accurate|suitable)|best|correct|right|answer"
    r"|preferred|recommended)\b)"
)
"""What may follow an option's own text behind its label, so that it is chosen and not described."""
_CASE = re.compile(
    r"(?:the|this|these)\s+(?:\w+\s+){0,3}?(?:images?|films?|ct|cta|mri|scans?|radiographs?"
    r"|x-?rays?|ultrasound|patient|findings?|presentation|history|picture|angiogram"
    r"|case|clinical|appearance|features|symptoms|signs)\b",
    _I,
)
"""What begins a sentence about the case, which gives a reason, and not about the option."""
_NO_NOUN_PHRASE = re.compile(rf"\b(?:{words.NO_NOUN_PHRASE})\b|[?;:✗❌✘×]", _I)
_NOUN_ENDS = re.compile(rf"{words.NOUN_ENDINGS}\W*\Z", _I)
_REMARK = re.compile(rf"(?<!\w){words.REMARKS}\W*\Z", _I)
_ENUMERATES = re.compile(words.ENUMERATES, _I)


class _Label(NamedTuple):
    mention: Mention
    kind: str
    """`bare` (alone on its line), `choice` (with a text that may be its choice) or `mention` (with
    one that describes)."""
    line_start: int
    line_end: int


def labels(output: Output) -> tuple[list[Choice], list[Choice]]:
    """Letters that label a line and are chosen by it.

    Returns
    -------
    leading
        A choice in itself: the first line's label or bare letter, or a bare letter on a line of its
        own further down, where no other letter labels a line. (A bare first line may be followed by
        a discussion of the options.)
    fallback
        The only label of the text, where it stands last, is not where a list of options begins, and
        nothing above says that options are gone through.
    """
    found = list(_labels(output))
    if not found:
        return [], []
    first = found[0]
    is_first = not output.text[: first.line_start].strip()
    if is_first and first.kind == "bare":
        return [_choice(label, LINE) for label in found if label.kind == "bare"], []
    if is_first and first.kind == "choice" and _stands_apart(output, first, found[1:]):
        return [_choice(first, LABEL)], []
    if len({label.mention.letter for label in found}) != 1:
        return [], []
    if bare := [label for label in found if label.kind == "bare"]:
        heading = _heading_above(output, bare[-1])
        return [_choice(bare[-1], LINE, heading)] if heading is not None else [], []
    last = found[-1]
    ends = last.kind == "choice" and not output.text[last.line_end :].strip()
    return [], [_choice(last, LABEL)] if ends and not is_first and not _begins_list(
        output, last
    ) else []


def _choice(label: _Label, rule: str, start: int | None = None) -> Choice:
    return Choice(
        label.mention.letter, label.line_start if start is None else start, label.mention.end, rule
    )


def _heading_above(output: Output, label: _Label) -> int | None:
    """Where the line begins that announces the letter, or the letter's own; None where it announces
    no choice ("Trap answer:")."""
    above = output.text[max(0, label.line_start - LONGEST_LINE) : label.line_start].rstrip()
    if label.mention.letter == output.options.letters[0] and _LISTS_OPTIONS.search(above):
        return None
    if not above.endswith(":"):
        return label.line_start
    if _NAMES_ANSWER.search(above) and phrase(output, label.mention) is None:
        return None
    return max(0, label.line_start - LONGEST_LINE) + above.rfind("\n") + 1


def _begins_list(output: Output, label: _Label) -> bool:
    above = output.text[max(0, label.line_start - LONGEST_LINE) : label.line_start]
    return label.mention.letter == output.options.letters[0] or bool(_ENUMERATES.search(above))


def _stands_apart(output: Output, first: _Label, later: list[_Label]) -> bool:
    """Whether a first line is apart from the labels below it: these explain the options, and do not
    go on with its list."""
    others = {label.mention.letter for label in later} - {first.mention.letter}
    if not others:
        return True
    apart = re.match(r"\s*\n\s*\n", output.text[first.line_end :][:20])
    explains = len(others) > 1 and all(label.kind != "bare" for label in later)
    return bool(apart) and explains and first.mention.letter != output.options.letters[0]


def _labels(output: Output) -> Iterator[_Label]:
    text = output.text
    for mention in output.mentions:
        start = text.rfind("\n", max(0, mention.start - 30), mention.start) + 1
        if (start == 0 and mention.start > 30) or (
            before := _BEFORE.fullmatch(text, start, mention.start)
        ) is None:
            continue
        end = text.find("\n", mention.end, mention.end + LONGEST_LINE)
        line_end = end if end >= 0 else min(len(text), mention.end + LONGEST_LINE)
        if kind := _kind(
            output, mention, text[mention.end : line_end], spelled=before["spelled"] is not None
        ):
            yield _Label(mention, kind, start, line_end)


def _kind(output: Output, mention: Mention, rest: str, *, spelled: bool) -> str | None:
    """Of a label by what follows it on its line; None where the letter is no label but an article,
    a pronoun or part of a name."""
    if _ENDS.fullmatch(rest):
        return (
            "mention"
            if re.search(r"[?✗❌✘×°~+#=]|\A-", rest) or (spelled and ":" in rest)
            else "bare"
        )
    found = _MARK.match(rest)
    mark = found[0].strip() if found else ""
    text = re.sub(r"^[^\w(]+", "", rest)
    own = output.is_own_text(text.lstrip("("), mention.letter)
    if not _is_label(output, mention, mark, rest, text, own=own, spelled=spelled):
        return None
    if own:
        chosen = _own_is_chosen(output, mention, text.lstrip("("), spelled=spelled)
    else:
        chosen = _gives_reason(output, mention, mark, text) or (
            mark[:1] != "," and _is_noun_phrase(output, mention, mark, text)
        )
    return "choice" if chosen else "mention"


def _is_label(
    output: Output, mention: Mention, mark: str, rest: str, text: str, *, own: bool, spelled: bool
) -> bool:
    if not mark:
        if not mention.said.isupper() or mention.letter == "I" or not rest.startswith(" "):
            return False
        if _REASON.match(text):
            return not (mention.letter == "A" and re.match(r"as\b|for\b", text))
        return (
            (own and (mention.letter != "A" or spelled or rest.startswith(" (")))
            or bool(_SURE.match(text))
            or _denies_others(output, mention, text)
        )
    if mark[0] in "-–—":
        return mention.said.isupper() and mention.letter != "I"
    name = (
        "." in mark and not own and (text[0].islower() or re.match(words.EPITHETS, text, _I))
    )  # "E. coli", "C. Difficile colitis"
    glued = not re.match(r"[^\w\s]+\s", rest) and not own and text[0].islower()
    listed = mark == "," and (
        mention.letter == "I" or not (own or _gives_reason(output, mention, mark, text))
    )
    return not (name or glued or listed)


def _own_is_chosen(output: Output, mention: Mention, text: str, *, spelled: bool) -> bool:
    """Whether what follows the option's own text leaves it a choice: neither denied, nor described,
    nor compared, nor one of a list."""
    own = output.options.own[mention.letter]
    tail = text[len(own) :]
    begins_list = mention.letter == output.options.letters[0]
    if re.match(r"[)\]]?\s*:\s*\w" if spelled else r"\s*(?:[:–—]|-\s)\s*\w", tail) and (
        begins_list or spelled
    ):
        return False
    clause = re.split(r"[.;](?:\s|$)|,? (?:because|since|as)\b", tail)[0]
    if (
        denies(clause)
        or lacks(clause)
        or re.match(r"\W*(?:would|could|may|might)\b", tail)
        or _mentions_other(tail, mention.letter, output)
    ):
        return False
    behind = _BEHIND.match(tail) and not begins_list and not _NO_NOUN_PHRASE.search(clause)
    return bool(_GOES_ON.match(tail) or behind or re.match(rf"\s+{mention.letter}[.):]", tail))


def _gives_reason(output: Output, mention: Mention, mark: str, text: str) -> bool:
    """Whether what follows the label says why it is chosen, how surely, or what the others lack."""
    begins_list = mention.letter == output.options.letters[0]
    if (
        _SURE.match(text)
        or (mark[:1] in ",-–—" and re.fullmatch(r"\d{1,3} ?%\W*", text))
        or _THE_REST.match(text)
        or _POLITE.match(text)
        or _denies_others(output, mention, text, listed=mark[:1] == ",")
    ):
        return True
    if _mentions_other(text, mention.letter, output):
        return False
    if _REASON.match(text):
        return True
    if begins_list:
        return False
    sentence = re.split(r"[.!?](?:\s|$)", text)[0]
    about_the_case = mark[:1] == ";" or (
        _CASE.match(text) is not None and not {*mark}.isdisjoint(".);!-–—")
    )
    return about_the_case and not (
        denies(sentence) or lacks(sentence) or re.search(r"\bwould\b|\?", sentence)
    )


def _denies_others(output: Output, mention: Mention, text: str, *, listed: bool = False) -> bool:
    """Whether a text begins by setting the label off from other options: "C, not B", "C. B is
    wrong"; but not "A, B and D are wrong"."""
    others = output.options.letters.replace(mention.letter, "")
    if not others:
        return False
    if (
        re.match(
            rf"\(?(?:and |rather than |but )?(?:[Nn]ot )?(?:option )?[{others}]\)?(?:\W|\Z)", text
        )
        is None
    ):
        return False
    return bool(re.match(r"\(?(?:and |but )?[Nn]ot |\(?rather than ", text)) or (
        not listed and denies(re.split(r"[.;](?:\s|$)", text)[0])
    )


def _is_noun_phrase(output: Output, mention: Mention, mark: str, text: str) -> bool:
    """Whether a text is a bare noun phrase: with a word of an option, or, where it cannot well
    describe, of medicine."""
    said = re.split(r"[.!](?:\s|$)|\s[-–—(]", text)[0].strip()
    if (
        len(said) < 2
        or len(said.split()) > 7
        or text.rstrip().endswith("?")
        or _mentions_other(text, mention.letter, output)
    ):
        return False
    if output.options.is_one(said):
        return True
    if _NO_NOUN_PHRASE.search(said) or denies(said) or lacks(said) or _REMARK.search(said):
        return False
    if output.options.names_one(said):
        return True
    may_describe = ":" in mark or mention.letter == output.options.letters[0]
    return (
        not may_describe
        and not re.search(r"\d", said)
        and (not said.isascii() or bool(_NOUN_ENDS.search(said)))
    )


def _mentions_other(text: str, letter: str, output: Output) -> bool:
    """Whether another option's letter stands in the text as a label, in parentheses, or as an
    alternative."""
    others = output.options.letters.replace(letter, "")
    return bool(
        others
        and re.search(
            rf"(?<!\w)(?:[{others}][.):](?:\s|$)|\([{others}]\)"
            rf"|(?:than|or|and|vs|versus) [{others}]\b)",
            text,
        )
    )
