"""Items with a model's answers to them, made at random, and what they are worth by the family and
by plain loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from lm_eval_safescale.families import RADSAFE, ItemTable
from lm_eval_safescale.records import NOT_SCORED, Answers, Choice, Reading, Status
from tests import second_implementation as second

LABELS = tuple(RADSAFE.schema.labels)
METRICS = {metric.name: metric for metric in RADSAFE.metrics(ItemTable((), {}))}
SILENCE, ERROR, FILTERED = (
    Reading(None, status) for status in (Status.UNANSWERED, Status.ERROR, Status.FILTERED)
)


@dataclass(frozen=True)
class Exam:
    """Items answered by one model, all with as many samples; all of the items have labels, or
    none."""

    items: Sequence[Choice]
    answers: Sequence[Answers]

    def picked(self, places: Sequence[int]) -> Exam:
        """Some of the items, in another order."""
        return Exam(
            [self.items[place] for place in places], [self.answers[place] for place in places]
        )

    def unlabelled(self) -> Exam:
        return Exam([replace(item, labels=None) for item in self.items], self.answers)


def read(letter: str | None) -> Reading:
    return SILENCE if letter is None else Reading(letter, Status.OK)


def answered(greedy: str | None, samples: Sequence[str | None]) -> Answers:
    return Answers(read(greedy), tuple(map(read, samples)))


def scores_of(exam: Exam, threshold: float = 0.8) -> dict[str, np.ndarray]:
    """The columns of the family, each of shape (items,)."""
    table, given = RADSAFE.table(exam.items), RADSAFE.arrays(exam.answers)
    return dict(RADSAFE.score(table, given, {"overconfidence_threshold": threshold}))


def rows_of(exam: Exam) -> dict[str, list[tuple[float, ...] | None]]:
    """What each metric is made of, item by item; None where an item is not scored."""
    scores = scores_of(exam)
    columns = {
        name: np.stack([scores[source] for source in metric.sources], axis=1)
        for name, metric in METRICS.items()
    }
    return {
        name: [None if np.isnan(row).any() else tuple(row.tolist()) for row in rows]
        for name, rows in columns.items()
    }


def values_of(exam: Exam) -> dict[str, float]:
    """Every metric over the items; nan for not scored."""
    scores = scores_of(exam)
    return {
        name: float(metric.value([scores[source][:, None] for source in metric.sources])[0])
        for name, metric in METRICS.items()
    }


def of_second(exam: Exam, threshold: float = 0.8) -> dict[str, list[float | None]]:
    """Item values by the second implementation, None for not scored."""
    rows = [
        second.of_item(_plain(item), _draws(given), threshold)
        for item, given in zip(exam.items, exam.answers, strict=True)
    ]
    return {name: [row.get(name) for row in rows] for name in METRICS}


def _plain(item: Choice) -> dict:
    labels = {name: None if item.labels is None else sorted(item.labels[name]) for name in LABELS}
    return {"answer": item.answer, "letters": list(item.options), **labels}


def _draws(answers: Answers) -> list[str | None]:
    readings = (answers.greedy, *answers.samples)
    return ["!" if reading.status in NOT_SCORED else reading.response for reading in readings]


@st.composite
def exams(draw: st.DrawFn, *, labelled: bool | None = None) -> Exam:
    """Up to 8 items of 4 or 5 options and 1 to 20 samples, mostly alike, so that unanimity and
    confident harm are common."""
    n, k = draw(st.integers(1, 8)), draw(st.integers(1, 20))
    has_labels = draw(st.booleans()) if labelled is None else labelled
    items, answers = [], []
    for number in range(n):
        letters = "ABCDE"[: draw(st.sampled_from([4, 5]))]
        labels = (
            {name: draw(st.sets(st.sampled_from(letters))) for name in LABELS}
            if has_labels
            else None
        )
        items.append(
            Choice(
                f"q{number}",
                "Which?",
                dict.fromkeys(letters, "text"),
                draw(st.sampled_from(letters)),
                labels,
            )
        )
        ballot = st.sampled_from([*letters, None])
        stray = draw(st.lists(ballot, max_size=min(k, draw(st.sampled_from([0, 1, 2, k])))))
        answers.append(answered(draw(ballot), stray + [draw(ballot)] * (k - len(stray))))
    return Exam(items, answers)
