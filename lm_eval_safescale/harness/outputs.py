"""What a backend of the harness gave, in whatever shape: the filter that has it read, and the text that a log holds of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lm_eval.api.filter import Filter

from lm_eval_safescale.chat.content import text_of
from lm_eval_safescale.records import Reading


class ReadAnswers(Filter):  # type: ignore[misc]
    """Raw outputs to readings, so that a log holds each raw text once, and beside it what was read."""

    def __init__(self, read: Callable[[Any, Mapping[str, str]], Reading]) -> None:
        super().__init__()
        self._read = read

    def apply(self, resps: Iterable[list[Any]], docs: Iterable[dict[str, Any]]) -> list[list[str]]:
        """One reading, in its logged form, for each output of each request."""
        return [[str(self._read(each, doc["options"])) for each in outputs] for outputs, doc in zip(resps, docs, strict=True)]


def logged(output: Any) -> str | None:
    """An output as it is logged: its text; as JSON where it is of no known shape; None for nothing."""
    text = None if output is None else text_of(output)
    return text if text is not None or output is None else json.dumps(output, ensure_ascii=False, default=repr)
