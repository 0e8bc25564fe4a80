"""What a backend of the harness gave, in whatever shape: the filter that has it read, and the text
that a log holds of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from lm_eval.api.filter import Filter

from lm_eval_safescale.chat.content import read_content
from lm_eval_safescale.records import Reading

FILTER_NAME = "letter"
OPENS = "<think>"
"""A mark of reasoning that is never closed."""


class ReadAnswers(Filter):  # type: ignore[misc]
    """Raw outputs to readings, so that a log holds each raw text once, and beside it what was
    read."""

    def __init__(self, read: Callable[[Any, str], Reading]) -> None:
        super().__init__()
        self._read = read

    def apply(self, resps: Iterable[list[Any]], docs: Iterable[dict[str, Any]]) -> list[list[str]]:
        """One reading, in its logged form, for each output of each request."""
        return [
            [str(self._read(each, doc["question_id"])) for each in outputs]
            for outputs, doc in zip(resps, docs, strict=True)
        ]


def logged(output: Any) -> str:
    """An output as a text that reads as it does, for the log.

    Its text, or the words of a refusal; of reasoning without a text, all of it as JSON behind an
    opening mark. Empty for nothing and for what is of no known shape: an error has no text that
    could be read for it.
    """
    content = read_content(output)
    if content.text == "" and content.reasons and not content.refusal:
        return OPENS + json.dumps(output, ensure_ascii=False, default=repr)
    return content.text or content.refusal


def is_odd(output: Any) -> bool:
    """Whether an output is there, and holds no text in any known shape."""
    return read_content(output).text is None
