"""An answer reader: models that were taught mathematics put their answer in a box."""

import re
from collections.abc import Mapping

from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.reading import AnswerReader


def read(text: str, options: Mapping[str, str]) -> str | None:
    """One of the options' letters, or None for no explicit choice: two different boxes are none.
    Reasoning is stripped before."""
    boxed = set(re.findall(r"\\boxed\{\s*([A-Z])\s*\}", text))
    return boxed.pop() if len(boxed) == 1 and boxed <= set(options) else None


PART = AnswerReader("plugin_name", "the letter in the one box", read)


@hookimpl
def safescale_register_answer_readers(register):
    """Called once."""
    register(PART)
