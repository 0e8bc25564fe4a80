"""Separates a model's reasoning from its answer, or says that the output stopped before the
reasoning did (PROTOCOL §5).

Marks are recognised by their shape, a pair that opens and closes, with a name from one table of
words for reasoning. It does not know what a letter or an answer is, but for one bare letter at the
end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from lm_eval_safescale.reading.cleaning import END_OF_TURN

Reasoning = Literal["auto", "on", "off", "separate"]

_SPACE = r"[ _▁-]"
_WORD = (
    r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|analy(?:sis|[sz]e)|reflections?|reflect"
    r"|scratch_?pad"
    r"|deliberations?|rationales?"
    rf"|monologue|cot|chain{_SPACE}of{_SPACE}thoughts?)"
)
NAME = (
    rf"(?:(?!final|end|stop|close|finish|of{_SPACE})[a-z]{{1,12}}{_SPACE}){{0,3}}{_WORD}"
    rf"(?:{_SPACE}(?:process|steps?|content|trace|block|section))?"
)
"""What a mark of reasoning is called, in a regular expression that ignores case."""
_HEADED = (
    r"(?:(?:inner|internal|my|our|the|step[- ]by[- ]step) ){0,2}"
    r"(?:think(?:ing)?|thoughts?|reasoning|chain[ -]of[ -]thoughts?|scratch ?pad|(?:inner"
    r"|internal) monologue)(?: (?:process|steps?))?"
)
"""The same of a heading. "Analysis" is none: what stands below it is meant to be read."""
_LEFT, _RIGHT = rf"(?:(?:begin|start){_SPACE}(?:of{_SPACE})?)?", rf"(?:{_SPACE}(?:start|begin))?"

_STEMMED = (
    r"(?!final|end|stop|close|finish|\w*[_-]end\b)\w{0,24}"
    r"(?:think|thought|reason|ponder|deliberat|brainstorm)\w{0,40}"
)
"""Any word of a tag that begins or ends otherwise ("antThinking", "think_more")."""
_FAMILIES = {
    # name: (opens, closes); a family's own end closes it alone
    "tag": (
        rf"<(?:[\w.-]{{1,20}}:)?(?:{_LEFT}{NAME}{_RIGHT}|{_STEMMED})(?:\s[^<>]{{0,200}})?>"
        rf"|<(?:think(?:ing)?|thoughts?|reasoning)[ \t]*(?:\n|\Z)",
        rf"</\s?(?:[\w.-]{{1,20}}:)?(?:{NAME}|{_STEMMED})\s*>|<(?:[\w.-]{{1,20}}:)?{NAME}\s*/>"
        rf"|<(?:[\w.-]{{1,20}}:)?(?:end{_SPACE}(?:of{_SPACE})?{NAME}|{NAME}{_SPACE}end)>",
    ),
    "piped": (
        rf"<\|{_LEFT}{NAME}{_RIGHT}\|>|<\|open\|>\s*{NAME}\s*<\|sep\|>|<\|inner_prefix\|>"
        rf"|<\|channel>|<unused94>|\[unused16\]",
        rf"<\|(?:/|end{_SPACE}(?:of{_SPACE})?){NAME}\|>|<\|{NAME}{_SPACE}end\|>"
        rf"|<\|close\|>\s*{NAME}\s*<\|sep\|>"
        r"|<\|inner_suffix\|>|<channel\|>|<unused95>|\[unused17\]",
    ),
    "bracketed": (rf"\[(?:BEGIN )?{NAME}\]|◁{NAME}▷", rf"\[(?:/|END ){NAME}\]|◁/{NAME}▷"),
    "turn": (
        rf"<\|im_start\|>\s*{NAME}\b",
        r"<\|im_start\|>\s*(?:assistant|answer|response|final)?",
    ),
    "fence": (rf"(?<![^ \n])```\s?{NAME}[ \t]*$", r"(?<![^ \n])```[ \t]*$"),
    "details": (
        r"<details\b[^<>]{0,200}\breasoning\b[^<>]{0,200}>"
        rf"|<details\b[^<>]{{0,200}}>\s*<summary>[^\w<]{{0,12}}{_HEADED}[^\w<]{{0,12}}</summary>",
        r"</details>",
    ),
}
_OWN_END = {"turn", "fence", "details"}
_OPENS = "|".join(f"(?P<open_{family}>{opens})" for family, (opens, _) in _FAMILIES.items())
_CLOSES = "|".join(f"(?P<close_{family}>{closes})" for family, (_, closes) in _FAMILIES.items())
_SIGNS = "<[◁`"
"""What every mark begins with."""
_MARK = re.compile(rf"{_OPENS}|{_CLOSES}", re.IGNORECASE | re.MULTILINE)
_OPENED = re.compile(
    rf"(?:{'|'.join(opens for opens, _ in _FAMILIES.values())})\Z", re.IGNORECASE | re.MULTILINE
)
LONGEST_MARK = 500
"""Characters of a prompt's end in which an opening mark is looked for."""

_DRESS = r"[#>*_\s`\[\u2600-\u27bf\U0001f300-\U0001faff\ufe0f]{0,12}"
_HEADING = re.compile(
    rf"\A{_DRESS}(?:(?:okay|sure|certainly)[,.!] )?"
    rf"(?:(?:here(?:['’]s| is| are)|this is|below is|let me (?:share|show|explain|give)"
    rf"|i['’]ll share) (?:you )?)?{_HEADED}(?:[*_`\]]{{0,3}}(?::|\.{{3}})"
    rf"|[*_`\]]{{0,3}}[ \t]*(?:\n|\Z))",
    re.IGNORECASE,
)
_ANSWER_HEADING = re.compile(
    rf"^{_DRESS}(?:(?:\.{{3}} ?)?done thinking\.?[ \t]*$"
    r"|(?:here(?:['’]s| is) )?(?:(?:so|therefore|thus|my|our|the)[ ,]{1,2}){0,2}(?:(?:final|best"
    r"|correct) )?"
    r"(?:answer|response|conclusion|output|verdict|decision|choice|solution|reply)"
    r"(?: (?:letter|choice|option|is)\b)?[*_`\]]{0,3}[ \t]*(?::|$)"
    r"|(?:(?:so|therefore|thus|my|our|the)[ ,]{1,2}){0,2}final answer\b|\\boxed|<answer>)",
    re.IGNORECASE | re.MULTILINE,
)
_THOUGHT_SO = re.compile(
    r"^[>*_\s]{0,8}(?:so|therefore|thus|hence),? (?:the|my) (?:\w{1,12} ){0,2}(?:answer|option"
    r"|choice) is\b",
    re.IGNORECASE | re.MULTILINE,
)
_HARMONY = re.compile(r"<\|channel\|>\s*(\w+)(?:(?!<\|message\|>).){0,100}<\|message\|>", re.DOTALL)
_HARMONY_BARE = re.compile(
    r"\s*(?:assistant)?(?:analysis|commentary)(?:(?=[^\W_])|\s*\n|\s+(?=[A-Z]))"
)
"""gpt-oss with its special tokens removed: the channel's name runs into the first word."""
_LINE_END, _INVISIBLE = re.compile(r"\r\n?"), re.compile(r"[\u200b-\u200f\u2060\ufeff\u00ad]")
_AT_END = re.compile(rf"(?:\s*(?:{END_OF_TURN}))+\s*\Z", re.IGNORECASE)
_BARE_LETTER = re.compile(r"\W{0,4}([A-Za-z])\W{0,4}")


class _Mark(NamedTuple):
    opens: bool
    start: int
    end: int


def opens_reasoning(prompt: str) -> bool:
    """Whether a rendered prompt ends inside an open reasoning block, so that the output begins with
    reasoning."""
    end = prompt[-LONGEST_MARK:].rstrip()
    return bool(_OPENED.search(end) or _HEADING.fullmatch(end[end.rfind("\n") + 1 :]))


def strip_reasoning(
    text: str, *, reasoning: Reasoning = "auto", opened: bool = False, headings: bool = True
) -> str | None:
    """What stands after the reasoning, or None where the output stopped inside it.

    Parameters
    ----------
    text
        Raw output.
    reasoning
        `on`: the model reasons in its text, so that an output without an end of reasoning is cut
        off (one bare letter excepted); `separate`: a server keeps the reasoning back, so that an
        empty output is cut off; `auto`, `off`: only reasoning that can be seen is stripped.
    opened
        The prompt itself opened the reasoning: without an end marker, all of the output is
        reasoning.
    headings
        Whether reasoning is recognised by a heading at the very beginning too ("## Thinking").
    """
    text = _plain(text)
    if reasoning == "separate" and not text.strip():
        return None
    if "<|channel|>" in text or "<|message|>" in text:
        return _harmony_final(text)
    if _HARMONY_BARE.match(text):
        _, marker, final = text.rpartition("assistantfinal")
        return final if marker else None
    if found := _marks(text):
        return _after_marks(text, *found)
    if opened:
        return None
    if headings and (heading := _HEADING.match(text)):
        return _after_heading(text, heading.end())
    if reasoning == "on" and not _is_bare(text):
        return None
    return text


def _plain(text: str) -> str:
    """A text with line ends and spaces of one kind, and without invisible characters."""
    return (
        text
        if text.isascii() and "\r" not in text
        else _INVISIBLE.sub("", _LINE_END.sub("\n", text).replace("\u00a0", " "))
    )


def _without_end(text: str) -> str:
    """A text without the tokens that end its turn."""
    text = text.rstrip()
    return (
        text[:-LONGEST_MARK] + _AT_END.sub("", text[-LONGEST_MARK:])
        if text.endswith((">", "]"))
        else text
    )


def _is_bare(text: str) -> bool:
    """Whether a text is one letter and nothing else, but for the tokens that end a turn."""
    return _BARE_LETTER.fullmatch(_without_end(text).strip()) is not None


def _marks(text: str) -> tuple[_Mark, _Mark] | None:
    """The first and the last mark; a family with an end of its own ends nothing else."""
    first: _Mark | None = None
    last: re.Match[str] | None = None
    inside = ""
    end = 0
    # to search for marks themselves is to try them at every character
    for place in sorted(place for sign in _SIGNS for place in _places(text, sign)):
        match = _MARK.match(text, place) if place >= end else None
        if match is None:
            continue
        end = match.end()
        kind, _, family = (match.lastgroup or "").partition("_")
        if kind == "close" and family in _OWN_END and family != inside:
            continue
        inside, last = (family if kind == "open" else ""), match
        first = first or _Mark(kind == "open", match.start(), match.end())
    if first is None or last is None:
        return None
    return first, _Mark(bool(inside), last.start(), last.end())


def _places(text: str, sign: str) -> Iterator[int]:
    """Where a character stands."""
    place = text.find(sign)
    while place != -1:
        yield place
        place = text.find(sign, place + 1)


def _after_marks(text: str, first: _Mark, last: _Mark) -> str | None:
    if last.opens:
        return None
    after = text[last.end :]
    # an answer before its reasons
    return after if _without_end(after).strip() or not first.opens else text[: first.start]


def _after_heading(text: str, start: int) -> str | None:
    """From the last heading of an answer on; or a bare letter in a paragraph of its own at the
    end."""
    answers = [match.start() for match in _ANSWER_HEADING.finditer(text, start)]
    answers += [
        match.start()
        for match in _THOUGHT_SO.finditer(text, start)
        if "reasoning" in text[:start].lower()
    ]
    if answers:
        return text[max(answers) :]
    before, _, final = _without_end(text[start - 1 :]).rstrip().rpartition("\n\n")
    return final if _is_bare(final) and not before.rstrip().endswith(":") else None


def _harmony_final(text: str) -> str | None:
    channels = list(_HARMONY.finditer(text))
    if not channels:  # the header itself was cut
        return None
    last = channels[-1]
    return (
        re.split(r"<\|(?:return|end|start|call)\|>", text[last.end() :])[0]
        if last[1] == "final"
        else None
    )
