"""Takes the dress off a text: special tokens, Markdown, LaTeX, HTML. It does not know what a letter or an answer is."""

from __future__ import annotations

import re
import unicodedata

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
        (r"\\(?:text|textbf|mathrm|mathbf|mathit|textit|rm|bf)\s*\{([^{}]{0,200})\}", r"\1"),
        (r"\\boxed\s*\{([^{}]{0,200})\}", r"\nfinal answer: \1\n"),
        (r"\\[()\[\]]|\$|\\[,;]", " "),
        (r"```\w*", "\n"),
        (r"~~[^~\n]{0,200}~~", " "),
        (r"\*\*|__|`", ""),
        (r"\((?:[a-z](?:, ?| ?/ ?|,? (?:or|and) )){1,25}[a-z]\)", ""),  # "(A, B, C or D)"
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
