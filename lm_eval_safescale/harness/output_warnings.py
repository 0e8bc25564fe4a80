"""What the log warns of once a task's outputs are read: those of no known shape, those that cannot
be read, or by a judge alone; samples that never differ.
"""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Iterator, Sequence

from lm_eval.api.instance import Instance

from lm_eval_safescale.harness.outputs import FILTER_NAME, is_odd
from lm_eval_safescale.harness.unreadable import Unreadable
from lm_eval_safescale.records import Status
from lm_eval_safescale.settings import Settings

FEWEST_QUESTIONS = 20
"""With fewer, samples may be alike by chance."""


def of_odd_outputs(instances: Sequence[Instance]) -> Iterator[str]:
    """Outputs that hold no text in any known shape; `instances` with what the backend gave."""
    odd = [output for instance in instances for output in instance.resps if is_odd(output)]
    if odd:
        yield (
            f"{len(odd)} outputs hold no text in any form that is known, the first is "
            f"{reprlib.repr(odd[0])}; they are errors, and not scored"
        )


def of_readings(
    instances: Sequence[Instance], settings: Settings, token_limit: int
) -> Iterator[str]:
    """Answers that cannot be read, where they are many, and samples that are all alike; `instances`
    with texts and readings."""
    statuses = greedy_statuses(instances)
    greedy, unreadable = statuses.total(), _unreadable(instances, settings, token_limit)
    if truncated := statuses[Status.TRUNCATED]:
        # it raises no limit that is set
        is_on = settings.reasoning == "on" or settings.max_answer_tokens is not None
        or_on = "" if is_on else 'set reasoning to "on" or '
        yield (
            f"{truncated} of {greedy} greedy answers stopped inside the model's reasoning, or "
            f"inside the answer itself, and count as unanswered; {or_on}raise max_answer_tokens "
            f"(now {token_limit})"
        )
    if unjudged := statuses[Status.UNJUDGED]:
        yield (
            f"{unjudged} of {greedy} greedy answers wait for a judge: they are logged "
            "(--log_samples), and not scored; the way on is safescale import-lm-eval, then "
            "safescale judge"
        )
    if unreadable.are_most and not truncated:
        yield str(unreadable)
    elif (unanswered := statuses[Status.UNANSWERED]) > greedy / 2:
        yield (
            f"{unanswered} of {greedy} greedy answers hold no explicit answer; look at the raw "
            "texts (--log_samples)"
        )
    sampled = [instance.resps for instance in instances if instance.idx > 0]
    if (
        len(sampled) >= FEWEST_QUESTIONS
        and settings.draws > 1
        and all(len(set(texts)) == 1 for texts in sampled)
    ):
        yield (
            "all samples of every question are the same text: the backend seems to fix its seed or "
            "to ignore the temperature, so confidence and overconfidence mean nothing"
        )


def greedy_statuses(instances: Sequence[Instance]) -> Counter[str]:
    """How many greedy answers have each status (a letter: under the letter)."""
    return Counter(
        instance.filtered_resps[FILTER_NAME][0] for instance in instances if instance.idx == 0
    )


def _unreadable(instances: Sequence[Instance], settings: Settings, token_limit: int) -> Unreadable:
    """As far as a task can know it: the harness hands over the text of a reply, and nothing of what
    else it says."""
    unreadable = Unreadable(settings.reasoning, token_limit)
    for instance in instances:
        for status, text in zip(instance.filtered_resps[FILTER_NAME], instance.resps, strict=True):
            unreadable.add(status, text)
    return unreadable
