"""Takes away what is no part of an answer: tool calls, further turns, special tokens, and the marks
of Markdown, LaTeX and HTML.

It does not know what a letter or an answer is.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Mapping

_I = re.IGNORECASE
CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"

# --- what is no answer: tool calls, and the turns after the first ---------------------------------

_TOOL = (
    r"(?:tool_?(?:calls?|use|code|response|outputs?)|function_?calls?|functions?|invoke|search"
    r"|execute|python|code_?interpreter)"
)
_TOOL_CALLS = re.compile(
    rf"<(?P<tag>(?:\w{{1,20}}:)?{_TOOL})\b[^<>]{{0,200}}>.*?(?:</(?P=tag)\s*>|\Z)"
    rf"|<\|(?P<pipe>{_TOOL}(?:_section)?)(?:_begin|_start)?\|>.*?(?:<\|(?:/?(?P=pipe)(?:_end)?"
    rf"|end_of_\w+)\|>|\Z)"
    r"|<\|tool[_▁]calls?[_▁]begin\|>.*?(?:<\|tool[_▁]calls?[_▁]end\|>|\Z)"
    r"|\[(?:TOOL_CALLS?|TOOL_REQUEST)\].*?(?:\[/(?:TOOL_CALLS?|END_TOOL_REQUEST)\]|\n\n|\Z)"
    r"|<\|python_tag\|>.*?(?:<\|e(?:om|ot)_id\|>|\Z)"
    r"|\A\s*[\w.]{1,60}\((?:\{|\w{1,30}=).*\)\s*\Z"
    r"|```tool_(?:code|call|outputs?)\b.*?(?:```|\Z)"
    r"|<(?P<quoted>context|quote|quotation|document|documents|example|examples|observation"
    r"|tool_results?|function_results?)\b[^<>]{0,200}>"
    r".*?(?:</(?P=quoted)\s*>|\Z)"
    r"|<\|(?P<act>start_action|action_start)\|>.*?(?:<\|(?:end_action|action_end)\|>|\Z)"
    r"|✿(?:function|args|result)✿.*?(?:✿return✿|\Z)"
    r"|^(?:action input|tool (?:result|output)|search results?)[ \t]*:.*?"
    r"(?:^(?=(?:thought|final answer|answer)\b)|\Z)"
    r"|\bto=functions\.\w+.*\Z"
    r"|\A\s*(?:functions\.\w{1,40}|search|lookup|query|retrieve|fetch)\(.*\)\s*\Z"
    r"|\{\s*\"(?:examples?|format|template|schema)\"\s*:\s*\{.*\Z"
    r"|\A\s*(?:```(?:json)?\s*)?\[?\s*\{\s*\"(?:type\"\s*:\s*\"function\"\s*,\s*\")?(?:name"
    r"|function|tool|action)\"\s*:.{0,200}?"
    r"\"(?:arguments|parameters|args|input|action_input|query|search_query)\"\s*:.*\Z",
    _I | re.DOTALL | re.MULTILINE,
)
END_OF_TURN = (
    r"<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|end|return|eos|end_of_turn|end_of_msg"
    r"|end_of_sentence|end▁of▁sentence"
    r"|END_OF_TURN_TOKEN|user|human|system|observation|endofprompt)\|>"
    r"|</s>|<(?:end_of_turn|eos|turn\||eod|end_of_text|eot|eos_token|endoftext|end)>"
    r"|\[\|?(?:endofturn|user|eos|human|end)\|?\]"
    r"|<\|(?:im_start|start_header_id|start)\|>\s*(?:user|human|system)|<start_of_turn>\s*user"
    r"|<\|turn>\s*user"
)
"""What ends a turn, in a regular expression that ignores case."""
_END_OF_TURN = re.compile(END_OF_TURN, _I)
_OF_MACHINES = (
    *"<[{`✿=", "=functions.", "functions.", "put:", "sult:", "sults:", "search(", "lookup(",
    "query(", "retrieve(", "fetch(",
)  # fmt: skip
"""Without one of these there is neither a tool call nor a token."""
_TAG = re.compile(r"<[^<>]{0,40}>")

# --- what is no text: special tokens and formats --------------------------------------------------

_ROLE = r"(?:assistant|model|answer|response|final|gpt)"
_ANSWER_TAG = (
    r"(?:final[_ -]?)?(?:answer|conclusion|choice|final|solution|answer_choice|correct_answer)"
)
_FONT = r"\\(?:text(?:bf|rm|sf|it|tt)?|math(?:rm|bf|it|sf)|emph|underline|operatorname|rm|bf)"
_FORMATS = (
    # characters without which there is nothing to do, what is taken away, and what is put in its
    # place
    ("<", r"<!--.{0,2000}?-->", " "),
    (
        "<",
        (
            rf"(?:<\|(?:im_start|start_header_id|start)\|>|<start_of_turn>|<\|turn>)\s*{_ROLE}?"
            r"(?=\W|\Z)"
        ),
        " ",
    ),
    ("<", r"<\|(?:open|close)\|>\s*\w{1,20}\s*<\|sep\|>", " "),
    ("<", r"<\|[^|<>\n]{1,40}\|>|<\|\w{1,30}>|<\w{1,30}\|>|</?s>|</?(?:end|start)_of_turn>", " "),
    (
        "<",
        r"<(?:eos|bos|pad|unk|sep|mask|eod|eot|eom|eoa|end)>|<(?:special|unused|extra_id"
        r"|reserved(?:_special_token)?|0x)_?\w{1,8}>",
        " ",
    ),
    (
        "[",
        (
            r"\[/?(?:inst|eos|pad|sep|cls|bos|gmask)\]|\[\|[^|\[\]\n]{1,40}\|\]"
            r"|\[(?:unused|unused_token_)\d+\]"
        ),
        " ",
    ),
    ("<~", r"<(?:del|strike)>.{0,200}?</(?:del|strike)>|~~[^~\n]{0,200}~~", " "),
    (
        "<",
        (
            r"<br\s*/?>|</?(?:p|div|li|ul|ol|h[1-6]|tr|table|response|output|result|summary|caption"
            r"|explanation)\s*/?>"
        ),
        "\n",
    ),
    (
        "<",
        r"</?(?:b|i|u|em|strong|span|code|mark|font|center|sup|sub|td|th|kbd|q)\b[^<>]{0,100}>",
        " ",
    ),
    ("<", rf"<{_ANSWER_TAG}(?:\s[^<>]{{0,100}})?>", "\nfinal answer: "),
    ("<", rf"</{_ANSWER_TAG}\s*>", "\n"),
    *[("\\", rf"{_FONT}\s*\{{([^{{}}]{{0,200}})\}}", r"\1")] * 3,  # they are nested
    (
        "\\",
        r"\\(?:boxed|fbox|framebox)\s*(?:\{([^{}]{0,200})\}|([A-Za-z])\b)",
        r" the final answer: \1\2\n\n",
    ),
    ("\\$", r"\\[()\[\]]|\$|\\[,;!]|\\(?:quad|qquad|left|right|displaystyle|large|rm|bf)\b", " "),
    ("`", r"```(?:\w+(?=\s*\n))?", "\n"),
    ("\\", r"\\([._*#>-])", r"\1"),
    ("*_`", r"\*\*|__|`", ""),
    # "(A, B, C or D)"
    ("(", r"\((?:[a-z](?:, ?| ?/ ?|,? (?:or|and) )){1,25}[a-z]\)|\([a-z] ?[-–] ?[a-z]\)", ""),
    ("[", r"(?<=[a-z:] )\[[a-z] ?[-–/] ?[a-z]\]|\[[a-z](?:[/,] ?[a-z]){1,25}\]", ""),  # "[A-D]"
    ("*_", r"(?<!\w)[*_](?=\w)|(?<=[\w.)])[*_](?!\w)", ""),
    ("-", r"^ ?\|? ?:?-{3,}:? ?(?:\| ?:?-{3,}:? ?)*\|? ?$", ""),
    ("|", r"^ ?\| ?| ?\| ?$", ""),
    ("#>-*•+●▪◦·", r"^ ?(?:#{1,6}|[>*•+●▪◦·-]) ", ""),
    ("“”„«»「」『』【】《》〈〉〔〕", r"[“”„«»「」『』【】《》〈〉〔〕]", '"'),
    ("‘’‚′", r"[‘’‚′]", "'"),
    (".,;", r"^ ?(ans|answer)(?:\.{1,3}|[,;]) ?(?=\(?[a-z]\b)", r"\1: "),
)
_CLEANING = tuple(
    (frozenset(trigger), re.compile(pattern, _I | re.MULTILINE), new)
    for trigger, pattern, new in _FORMATS
)
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0e\ufe0f\ufeff\u00ad]")
_SPACES = re.compile(r"[ \t]+")
_BETWEEN_SCRIPTS = re.compile(rf"(?<=[{CJK}])(?=[A-Za-z])|(?<=[A-Za-z])(?=[{CJK}])")


def folded(text: str) -> str:
    """A text without the difference of cases, and with single spaces: as texts of options are
    compared."""
    return " ".join(text.casefold().split())


def clean(text: str) -> str:
    """The answer in a text, in NFKC form: without tool calls, further turns, special tokens,
    Markdown, LaTeX and HTML."""
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    if any(sign in text for sign in _OF_MACHINES):
        text = _TOOL_CALLS.sub(" ", _first_turn(text))
    text = _SPACES.sub(" ", text) if "  " in text or "\t" in text else text
    signs = set(text)
    for trigger, pattern, new in _CLEANING:
        if not trigger.isdisjoint(signs):
            text = pattern.sub(new, text)
    if not text.isascii():
        text = _BETWEEN_SCRIPTS.sub(" ", text)
    return (_SPACES.sub(" ", text) if "  " in text or "\t" in text else text).strip()


def _first_turn(text: str) -> str:
    """Up to the first end of a turn that something stands before."""
    start = 0
    for found in _END_OF_TURN.finditer(text):
        if re.search(r"\w", _TAG.sub("", text[start : found.start()])):
            return text[: found.start()]
        start = found.end()
    return text


# --- the text that a base model goes on with ------------------------------------------------------

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
        The case-folded texts of the question's own options, by letter: a question that repeats them
        is no other one.
    """
    if "\n" not in text:
        return text
    if turn := next(
        (found for found in _OTHER_TURN.finditer(text) if _says_something(text, found.start())),
        None,
    ):
        text = text[: turn.start()]
    questions = [
        found.start() for found in _QUESTION.finditer(text) if _says_something(text, found.start())
    ]
    listed = _other_options(text, own, questions)
    return (
        text
        if listed is None
        else text[: max((start for start in questions if start < listed), default=listed)]
    )


def _says_something(text: str, end: int) -> bool:
    return re.search(r"\w", text[max(0, end - 200) : end]) is not None


def _other_options(text: str, own: Mapping[str, str], questions: list[int]) -> int | None:
    """Where a list of options begins that are not ours, behind a further question also in another
    script; None where there is none."""
    start, run = 0, list[str]()
    for found in [*_LISTED.finditer(text), None]:
        if found is not None and found[1] == chr(ord("A") + len(run)):
            start = start if run else found.start()
            run.append(found[2].strip())
            continue
        if len(run) > 2 and _are_other(run, own, asked=bool(questions) and questions[0] < start):
            return start
        start, run = (
            (found.start(), [found[2].strip()])
            if found is not None and found[1] == "A"
            else (0, [])
        )
    return None


def _are_other(texts: list[str], own: Mapping[str, str], *, asked: bool) -> bool:
    """Whether these are options as options are, short and distinct, and share no word with ours."""
    folded_texts = [folded(text).rstrip(".") for text in texts]
    ours = {word for text in own.values() for word in re.findall(r"\w{3,}", text)}
    theirs = {word for text in folded_texts for word in re.findall(r"\w{3,}", text)}
    same_script = all(text.isascii() for text in (*folded_texts, *own.values()))
    return (
        (same_script or asked)
        and len(set(folded_texts)) == len(folded_texts)
        and not ours & theirs
        and not any(len(text.split()) > 6 or _VERDICT.search(text) for text in folded_texts)
    )
