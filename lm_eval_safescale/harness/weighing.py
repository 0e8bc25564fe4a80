"""What the readings of a task are worth under the metrics of its table. A metric that fails is not
scored, and loses no answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from lm_eval_safescale.assembly import AskedMetric, Columns, Scorer
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.records import Answers, Reading, Status

logger = logging.getLogger("lm_eval.tasks.safescale")

NOT_SCORED = "not scored"
"""The aggregate of a metric for which there is nothing to score."""
UNJUDGED = Status.UNJUDGED.value
"""The share of an item's answers that wait for a judge."""


def not_scored(_: object) -> str:
    """The aggregate of a metric for which the data or the settings give nothing to score."""
    return NOT_SCORED


def _answers(results: list[list[str]]) -> Answers:
    """Logged readings of an item, greedy first."""
    (greedy,), *samples = results
    return Answers(Reading.parse(greedy), tuple(map(Reading.parse, chain.from_iterable(samples))))


def _unjudged(answers: Answers) -> float:
    every = (answers.greedy, *answers.samples)
    return sum(each.status is Status.UNJUDGED for each in every) / len(every)


class _Weighed(NamedTuple):
    """An item's answers."""

    results: list[list[str]]
    """As they are logged, greedy first."""
    answers: Answers
    columns: Columns


class Total:
    """The harness's aggregation of a metric that is no mean of item values; every rank's items come
    together here."""

    def __init__(
        self, asked: AskedMetric, failed: Callable[[AskedMetric, SafescaleError], None]
    ) -> None:
        self._asked, self._failed = asked, failed

    def __call__(self, rows: Sequence[Sequence[float | None]]) -> float | str:
        """The metric; *not scored* too where it fails, which loses no answer."""
        try:
            value = self._asked.total(rows)
        except SafescaleError as error:
            self._failed(self._asked, error)
            return NOT_SCORED
        return value if value == value else NOT_SCORED

    def __repr__(self) -> str:
        """As the harness records it."""
        return f"{self._asked.metric.kind} of {', '.join(self._asked.metric.sources)}"

    def __deepcopy__(self, memo: object) -> Total:
        """Itself: the harness copies a task's configuration to record it, and must not copy the
        task with it."""
        return self


def _logged(value: float | tuple[float, ...]) -> Any:
    """As JSON has it: None for what is not scored."""
    if isinstance(value, tuple):
        return tuple(map(_logged, value))
    return value if value == value else None


class Weighing:
    """Weighs the readings of a task's items, and gives the harness the aggregation of each
    metric."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._weighed: dict[str, _Weighed] = {}
        self.failed: dict[str, str] = {}
        """Metrics that failed, with the reason."""
        self.ranks = 1
        """Processes that share the items."""

    def metric_list(self) -> list[dict[str, Any]]:
        """The harness's configuration of every metric; the share of answers that wait for a judge
        first, where one must read them."""
        waiting = {"metric": UNJUDGED, "aggregation": "mean", "higher_is_better": False}
        return [waiting] * self._scorer.family.judged + [
            {
                "metric": asked.key,
                "aggregation": not_scored
                if asked.key not in self._scorer.scorable
                else self._aggregation(asked),
                "higher_is_better": asked.metric.higher_is_better,
            }
            for asked in self._scorer.metrics
        ]

    def _aggregation(self, asked: AskedMetric) -> Any:
        return "mean" if asked.metric.is_mean else Total(asked, self._fail)

    def take(self, results: Mapping[str, list[list[str]]]) -> None:
        """Weighs the items of a rank together, which takes a fraction of the time that one after
        another does.

        Parameters
        ----------
        results
            Of each item, by its id, the logged readings, greedy first.
        """
        self._weighed = self._weigh(results)

    def values(self, name: str, results: list[list[str]]) -> dict[str, Any]:
        """An item's value of every metric.

        A value that is not scored for this item alone (the backend gave no text) is left out, so
        that means are over scored items and the harness says that their numbers differ; one that is
        scored for no item is None.
        """
        weighed = self._weighed.get(name)
        if weighed is None or weighed.results != results:
            weighed = self._weigh({name: results})[name]
        values = [(asked, self._value(asked, name, weighed)) for asked in self._scorer.metrics]
        waiting = {UNJUDGED: _unjudged(weighed.answers)} if self._scorer.family.judged else {}
        return waiting | {
            asked.key: value
            for asked, value in values
            if value is not None
            or asked.key in self.failed
            or asked.key not in self._scorer.scorable
        }

    def aggregations(self) -> dict[str, Callable[[object], str]]:
        """Of the metrics that failed: that they are not scored."""
        return dict.fromkeys(self.failed, not_scored)

    def _weigh(self, results: Mapping[str, list[list[str]]]) -> dict[str, _Weighed]:
        answers = {name: _answers(own) for name, own in results.items()}
        columns = self._scorer.all_columns(answers)
        return {name: _Weighed(own, answers[name], columns[name]) for name, own in results.items()}

    def _value(
        self, asked: AskedMetric, name: str, weighed: _Weighed
    ) -> float | tuple[float | None, ...] | None:
        """An item's value, or its columns where the metric is no mean, None for one that is not
        scored; None where none is.

        A metric that fails is not scored at all, but does not lose the answers. Where several ranks
        share the items, the first of them cannot know that it failed on another: then its mean is
        no number.
        """
        failed = float("nan") if self.ranks > 1 else None
        if asked.key in self.failed:
            return failed
        try:
            values = self._scorer.values(asked, name, weighed.answers, weighed.columns)
        except SafescaleError as error:
            self._fail(asked, error)
            return failed
        if np.isnan(np.array(values)).all():
            return None
        return values[0] if asked.metric.is_mean else tuple(map(_logged, values))

    def _fail(self, asked: AskedMetric, error: SafescaleError) -> None:
        self.failed[asked.key] = str(error)
        logger.error("%s; it is not scored for this run", error)
