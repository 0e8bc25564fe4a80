"""Takes away what is no part of an answer: tool calls, further turns, special tokens, and the marks of Markdown, LaTeX and HTML.

It does not know what a letter or an answer is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_I = re.IGNORECASE
_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"

# --- what is no answer: tool calls, and the turns after the first ---------------------------------------------------------------

_TOOL = r"(?:tool_?(?:calls?|use|code|response|outputs?)|function_?calls?|functions?|invoke|search|execute|python|code_?interpreter)"
_TOOL_CALLS = re.compile(
    rf"<(?P<tag>(?:\w{{1,20}}:)?{_TOOL})\b[^<>]{{0,200}}>.*?(?:</(?P=tag)\s*>|\Z)"
    rf"|<\|(?P<pipe>{_TOOL}(?:_section)?)(?:_begin|_start)?\|>.*?(?:<\|(?:/?(?P=pipe)(?:_end)?"
    rf"|end_of_\w+)\|>|\Z)"
    r"|<\|tool[_▁]calls?[_▁]begin\|>.*?(?:<\|tool[_▁]calls?[_▁]end\|>|\Z)"
    r"|\[(?:TOOL_CALLS?|TOOL_REQUEST)\].*?(?:\[/(?:TOOL_CALLS?|END_TOOL_REQUEST)\]|\n\n|\Z)"
    r"|<\|python_tag\|>.*?(?:<\|e(?:om|ot)_id\|>|\Z)"
    r"|```tool_(?:code|call|outputs?)\b.*?(?:```|\Z)"
    r"|\A\s*(?:```(?:json)?\s*)?\[?\s*\{\s*\"(?:type\"\s*:\s*\"function\"\s*,\s*\")?(?:name"
    r"|function|tool|action)\"\s*:.{0,200}?"
    r"\"(?:arguments|parameters|args|input|action_input)\"\s*:.*\Z",
    _I | re.DOTALL,
)
_END_OF_TURN = re.compile(
    r"<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|end|return|eos|end_of_turn|end_of_msg"
    r"|end_of_sentence|end▁of▁sentence"
    r"|END_OF_TURN_TOKEN|user|human|system|observation|endofprompt)\|>"
    r"|</s>|<(?:end_of_turn|eos|turn\||eod|end_of_text|eot|endoftext|end)>|\[\|?(?:endofturn|user"
    r"|eos|human|end)\|?\]"
    r"|<\|(?:im_start|start_header_id|start)\|>\s*(?:user|human|system)|<start_of_turn>\s*user|<\|turn>\s*user",
    _I,
)
_TAG = re.compile(r"<[^<>]{0,40}>")

# --- what is no text: special tokens and formats ---------------------------------------------------------------------------------

_ROLE = r"(?:assistant|model|answer|response|final|gpt)"
_ANSWER_TAG = r"(?:final[_ -]?)?(?:answer|conclusion|choice|final|solution|answer_choice|correct_answer)"
_FONT = r"\\(?:text(?:bf|rm|sf|it|tt)?|math(?:rm|bf|it|sf)|emph|underline|operatorname|rm|bf)"
_FORMATS = (
    # characters without which there is nothing to do, what is taken away, and what is put in its place
    ("<", r"<!--.{0,2000}?-->", " "),
    ("<", rf"(?:<\|(?:im_start|start_header_id|start)\|>|<start_of_turn>|<\|turn>)\s*{_ROLE}?(?=\W|\Z)", " "),
    ("<", r"<\|(?:open|close)\|>\s*\w{1,20}\s*<\|sep\|>", " "),
    ("<", r"<\|[^|<>\n]{1,40}\|>|<\|\w{1,30}>|<\w{1,30}\|>|</?s>|</?(?:end|start)_of_turn>", " "),
    (
        "<",
        r"<(?:eos|bos|pad|unk|sep|mask|eod|eot|end)>|<(?:special|unused|extra_id"
        r"|reserved(?:_special_token)?|0x)_?\w{1,8}>",
        " ",
    ),
    ("[", r"\[/?(?:inst|eos|pad|sep|cls|bos|gmask)\]|\[\|[^|\[\]\n]{1,40}\|\]|\[unused\d+\]", " "),
    ("", r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0e\ufe0f\ufeff\u00ad]", ""),
    ("<~", r"<(?:del|strike)>.{0,200}?</(?:del|strike)>|~~[^~\n]{0,200}~~", " "),
    ("<", r"<br\s*/?>|</?(?:p|div|li|ul|ol|h[1-6]|tr|table|response|output|result|summary|caption|explanation)\s*/?>", "\n"),
    ("<", r"</?(?:b|i|u|em|strong|span|code|mark|font|center|sup|sub|td|th|kbd|q)\b[^<>]{0,100}>", " "),
    ("<", rf"<{_ANSWER_TAG}(?:\s[^<>]{{0,100}})?>", "\nfinal answer: "),
    ("<", rf"</{_ANSWER_TAG}\s*>", "\n"),
    *[("\\", rf"{_FONT}\s*\{{([^{{}}]{{0,200}})\}}", r"\1")] * 3,  # they are nested
    ("\\", r"\\(?:boxed|fbox|framebox)\s*(?:\{([^{}]{0,200})\}|([A-Za-z])\b)", r"\nfinal answer: \1\2\n"),
    ("\\$", r"\\[()\[\]]|\$|\\[,;!]|\\(?:quad|qquad|left|right|displaystyle|large|rm|bf)\b", " "),
    ("`", r"```\w*", "\n"),
    ("*_`", r"\*\*|__|`", ""),
    ("(", r"\((?:[a-z](?:, ?| ?/ ?|,? (?:or|and) )){1,25}[a-z]\)|\([a-z] ?[-–] ?[a-z]\)", ""),  # "(A, B, C or D)"
    ("[", r"(?<=[a-z:] )\[[a-z] ?[-–/] ?[a-z]\]|\[[a-z](?:[/,] ?[a-z]){1,25}\]", ""),  # "[A-D]"
    ("*_", r"(?<!\w)[*_](?=\w)|(?<=[\w.)])[*_](?!\w)", ""),
    ("", r"[ \t\u00a0]+", " "),
    ("-", r"^ ?\|? ?:?-{3,}:? ?(?:\| ?:?-{3,}:? ?)*\|? ?$", ""),
    ("|", r"^ ?\| ?| ?\| ?$", ""),
    ("#>-*•+●▪◦·", r"^ ?(?:#{1,6}|[>*•+●▪◦·-]) ", ""),
    ("“”„«»「」『』【】《》〈〉〔〕", r"[“”„«»「」『』【】《》〈〉〔〕]", '"'),
    ("‘’‚′", r"[‘’‚′]", "'"),
    (".", r"\bans\.(?= )", "ans:"),
    ("  ", r"  +", " "),
)
_CLEANING = tuple((trigger, re.compile(pattern, _I | re.MULTILINE), new) for trigger, pattern, new in _FORMATS)
_BETWEEN_SCRIPTS = re.compile(rf"(?<=[{_CJK}])(?=[A-Za-z])|(?<=[A-Za-z])(?=[{_CJK}])")


def clean(text: str) -> str:
    """The answer in a text, in NFKC form: without tool calls, further turns, special tokens, Markdown, LaTeX and HTML."""
    text = unicodedata.normalize("NFKC", text)
    if any(sign in text for sign in "<[{`"):
        text = _first_turn(_TOOL_CALLS.sub(" ", text))
    for trigger, pattern, new in _CLEANING:
        if not trigger or any(sign in text for sign in trigger):
            text = pattern.sub(new, text)
    return (text if text.isascii() else _BETWEEN_SCRIPTS.sub(" ", text)).strip()


def _first_turn(text: str) -> str:
    """Up to the first end of a turn that something stands before."""
    start = 0
    for found in _END_OF_TURN.finditer(text):
        if re.search(r"\w", _TAG.sub("", text[start : found.start()])):
            return text[: found.start()]
        start = found.end()
    return text


# --- the text that a base model goes on with --------------------------------------------------------------------------------

_QUESTION = re.compile(
    r"^(?:(?:next|new|another) )?(?:question|problem|frage|pregunta|pergunta|domanda|вопрос|soru"
    r"|câu hỏi|题目|問題|问题|질문|문제|exercise|q)(?: ?\d+)?[ \t]*[:.)]"
    r"|^(?:question|problem|q) ?\d+\b",
    _I | re.MULTILINE,
)
_OTHER_TURN = re.compile(
    r"^(?:human|user|instruction|student|patient|doctor|system|input)[ \t]*:|^(?:instruction"
    r"|input|end of (?:answer|response))[ \t]*:?$",
    _I | re.MULTILINE,
)
_LISTED = re.compile(r"^[(\[]?([A-Z])[).:\]][ \t]+(\S[^\n]{0,200})$", re.MULTILINE)
_VERDICT = re.compile(
    r"\b(?:yes|no|true|false|not|correct|incorrect|right|wrong|absent|present|likely|unlikely"
    r"|possible|is|are|would|ruled|excluded)\b",
    _I,
)


def without_next_question(text: str, own: Mapping[str, str]) -> str:
    """A cleaned text up to where another question begins, or another speaker.

    Parameters
    ----------
    own
        The case-folded texts of the question's own options, by letter: a question that repeats them is no other one.
    """
    if turn := next((found for found in _OTHER_TURN.finditer(text) if re.search(r"\w", text[: found.start()][-200:])), None):
        text = text[: turn.start()]
    listed = _other_options(text, own)
    if listed is None:
        return text
    question = [found.start() for found in _QUESTION.finditer(text, 0, listed)]
    return text[: min([*question[-1:], listed])]


def _other_options(text: str, own: Mapping[str, str]) -> int | None:
    """Where a list of options begins that are not ours; None where there is none."""
    start, run = 0, list[str]()
    for found in [*_LISTED.finditer(text), None]:
        expected = chr(ord("A") + len(run))
        if found is not None and found[1] == expected:
            start = start if run else found.start()
            run.append(found[2].strip())
            continue
        if len(run) > 2 and _are_other(run, own):
            return start
        start, run = (found.start(), [found[2].strip()]) if found is not None and found[1] == "A" else (0, [])
    return None


def _are_other(texts: list[str], own: Mapping[str, str]) -> bool:
    """Whether these are options as options are, short and distinct, and share no word with ours."""
    folded = [" ".join(text.casefold().split()).rstrip(".") for text in texts]
    ours = {word for text in own.values() for word in re.findall(r"\w{3,}", text)}
    theirs = {word for text in folded for word in re.findall(r"\w{3,}", text)}
    same_script = all(text.isascii() for text in (*folded, *own.values()))
    return (
        same_script
        and len(set(folded)) == len(folded)
        and not ours & theirs
        and not any(len(text.split()) > 6 or _VERDICT.search(text) for text in folded)
    )
