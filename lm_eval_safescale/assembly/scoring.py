"""What weighs answers: the family's columns and the metrics of a table, as the settings ask for
them.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.errors import FAILURES, SafescaleError, reason_of
from lm_eval_safescale.families import RADSAFE, Family, ItemTable
from lm_eval_safescale.families.family import scores_of
from lm_eval_safescale.families.raters import answer_of, shown_as
from lm_eval_safescale.families.rows import number
from lm_eval_safescale.metrics import Metric, Params
from lm_eval_safescale.plugins import OURS, Part, plugins
from lm_eval_safescale.records import NOT_SCORED, Answers, Item, Reading, Status
from lm_eval_safescale.settings import THRESHOLD, Settings

Columns = Mapping[str, NDArray[np.float64]]
"""The family's scores by name."""
Values = tuple[float | tuple[float, ...], ...]
"""An item's columns of a metric, in the order of `Metric.sources`: a number each, over trials one
for each draw; nan for *not scored*."""


TRIED_AT_ONCE = 1000
"""Items that are tried together for what can be scored of them."""


@dataclass(frozen=True, slots=True)
class AskedMetric:
    """A metric of the table, with its key there and its parameters."""

    key: str
    metric: Metric
    params: Params
    part: Part

    def item_score(self, item: Item, answers: Answers) -> float:
        """An item's value of a metric that has `item_value`; nan where it is not scored: no labels,
        no samples, or no answer.

        Raises
        ------
        SafescaleError
            Naming the plugin, if it fails, or gives anything but a number within the metric's
            bounds or None.
        """
        metric = self.metric
        assert metric.item_value is not None
        used = answers.samples if metric.needs_samples else (answers.greedy,)
        unscored = (metric.needs_labels and not getattr(item, "labels", None)) or not used
        if unscored or any(reading.status in NOT_SCORED for reading in used):
            return float("nan")
        try:
            value = metric.item_value(item, answers, self.params)
        except FAILURES as error:
            raise SafescaleError(
                f"{self.who} failed for item {item.question_id}: {type(error).__name__}: "
                f"{reason_of(error)}"
            ) from error
        if value is None:
            return float("nan")
        low, high = metric.bounds
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not isfinite(value)
            or not low <= value <= high
        ):
            raise SafescaleError(
                f"{self.who} gave {value!r} for item {item.question_id}; expected a number in "
                f"[{low:g}, {high:g}], or None"
            )
        return float(value)

    def total(self, rows: Sequence[Sequence[float | Sequence[float | None] | None]]) -> float:
        """The metric over items, each counting once; nan for *not scored*.

        Parameters
        ----------
        rows
            An item's columns, in the order of `Metric.sources`, over trials a sequence of draws
            each; nan or None where not scored.

        Raises
        ------
        SafescaleError
            Naming the plugin, if its statistic fails.
        """
        columns = [
            np.array([[row[place]] for row in rows], dtype=np.float64)
            for place in range(len(self.metric.sources))
        ]
        try:
            return float(self.metric.value(columns)[0])
        except FAILURES as error:
            raise SafescaleError(
                f"{self.who} failed: {type(error).__name__}: {reason_of(error)}"
            ) from error

    @property
    def who(self) -> str:
        """What a message calls it."""
        return f"metric {self.key} ({self.part.provided_by})"


def table_metrics(
    settings: Settings, family: Family = RADSAFE, items: ItemTable | None = None
) -> list[AskedMetric]:
    """The family's metrics of the table, then those that the settings ask for."""
    params = Params(settings.overconfidence_threshold)
    own = {metric.name: metric for metric in family.metrics(items or ItemTable((), {}))}
    parts = {part.name: part for part in plugins().all("metric") if part.is_ours}
    found = [
        AskedMetric(name, metric, params, parts.get(name) or Part("metric", name, metric, OURS, ""))
        for name, metric in own.items()
        if metric.in_table
    ]
    return [*found, *asked_metrics(settings.metrics, settings.overconfidence_threshold, found)]


def asked_metrics(
    wanted: Mapping[str, Mapping[str, Any]],
    threshold: float | None,
    own: Sequence[AskedMetric],
    ours: Container[str] = (),
) -> list[AskedMetric]:
    """The metrics of these names, each with its settings, but for those that are among `own`.

    A key is the metric's name, or with its package where another metric has that name, or a
    plugin's has one of `ours`.

    Raises
    ------
    SafescaleError
        For a name that nothing installed has.
    """
    found: list[AskedMetric] = []
    for name, args in wanted.items():
        part = plugins().find("metric", name)
        taken = [*own, *found]
        if part not in [each.part for each in taken]:
            clash = part.name in {each.key for each in taken} or (
                not part.is_ours and part.name in ours
            )
            key = part.full_name if clash else part.name
            found.append(
                AskedMetric(
                    key,
                    part.thing,
                    Params(THRESHOLD if threshold is None else threshold, args),
                    part,
                )
            )
    return found


class Scorer:
    """Weighs answers to the items of a data set.

    Parameters
    ----------
    family
        Whose scores they are.
    items
        All items of the data set.
    metrics
        Those of the table.
    settings
        The family's settings of scoring are taken from them.
    draws
        K.
    """

    def __init__(
        self,
        family: Family,
        items: Iterable[Item],
        metrics: Sequence[AskedMetric],
        settings: Settings,
        draws: int,
    ) -> None:
        self.family, self.metrics = family, metrics
        self._settings = {name: getattr(settings, name) for name in family.scoring}
        self._items = {item.question_id: item for item in items}
        self._draws = draws

    @functools.cached_property
    def scorable(self) -> frozenset[str]:
        """Keys of the metrics for which data and settings give something to score, found by trying:
        none where a judge must read the answers first.

        Raises
        ------
        SafescaleError
            Where a plugin's metric fails for an answer that an item could get, or needs a column
            that the family does not give.
        """
        found = self._try(self._draws)
        return frozenset() if self.family.judged else frozenset(found)

    def columns(self, question_id: str, answers: Answers) -> Columns:
        """The family's scores of an item, by name, each of shape (1,), or over trials (1, 1 +
        K)."""
        return self.all_columns({question_id: answers})[question_id]

    def all_columns(self, answers: Mapping[str, Answers]) -> dict[str, Columns]:
        """The same of many items by their ids, all of one K: worked out together, in a fraction of
        the time."""
        items = self.family.table(self._items[name] for name in answers)
        scores = scores_of(
            self.family, items, self.family.arrays(list(answers.values())), self._settings
        )
        return {
            name: {column: values[place : place + 1] for column, values in scores.items()}
            for place, name in enumerate(answers)
        }

    def of_raters(self, names: Collection[str]) -> dict[str, dict[str, Any]]:
        """What people's answers to some of the items are worth (`Family.raters`).

        Returns
        -------
        By rater, as tables name them: `items`, the number of answers, and `values`: by metric its
        value and, of a mean, its standard error over items; None for not scored.
        """
        items = self.family.table(self._items[name] for name in names)
        found: dict[str, dict[str, Any]] = {}
        for rater, responses in self.family.raters(items).items():
            given = {
                name: answer_of(response)
                for name, response in zip(items.ids, responses, strict=True)
            }
            columns = self.all_columns(given)
            values = {asked.key: self._summary(asked, given, columns) for asked in self.metrics}
            answered = sum(response is not None for response in responses)
            found[shown_as(rater)] = {"items": answered, "values": values}
        return found

    def _summary(
        self, asked: AskedMetric, given: Mapping[str, Answers], columns: Mapping[str, Columns]
    ) -> tuple[float | None, float | None]:
        """A metric of answers, and its standard error where it is a mean over items; None for not
        scored, and where a plugin's metric fails."""
        try:
            rows = [self.values(asked, name, own, columns[name]) for name, own in given.items()]
            value = asked.total(rows)
        except SafescaleError:
            return None, None
        known = np.array(rows if asked.metric.is_mean else [], dtype=np.float64)
        known = known[~np.isnan(known)]
        error = float(known.std(ddof=1) / np.sqrt(known.size)) if known.size > 1 else float("nan")
        return number(value), number(error)

    def values(
        self, asked: AskedMetric, question_id: str, answers: Answers, columns: Columns
    ) -> Values:
        """An item's columns of a metric; `columns` as of `columns`. SafescaleError where a plugin's
        metric fails."""
        if not asked.metric.columns:
            return (asked.item_score(self._items[question_id], answers),)
        if missing := [name for name in asked.metric.columns if name not in columns]:
            raise SafescaleError(
                f"{asked.who} needs {', '.join(missing)}, which the family {self.family.name} does "
                f"not score; it scores {', '.join(sorted(columns))}"
            )
        return tuple(_plain(columns[name][0]) for name in asked.metric.columns)

    def _try(self, draws: int) -> set[str]:
        """Every item with the responses that it could get: what is scored of it, and whether any
        plugin's metric fails."""
        scored: set[str] = set()
        rows: dict[str, list[Values]] = defaultdict(list)
        theirs = [asked for asked in self.metrics if not asked.part.is_ours]
        items = list(self._items.values())
        parts = (
            items[start : start + TRIED_AT_ONCE] for start in range(1, len(items), TRIED_AT_ONCE)
        )
        for some in (items[:1], *parts):  # the first alone, so that most errors come at once
            tried = [asked for asked in self.metrics if asked in theirs or asked.key not in scored]
            if not some or not tried:
                break
            for responses in zip_longest(*((*self.family.responses(item), None) for item in some)):
                readings = [
                    Reading(response, Status.OK if response else Status.UNANSWERED)
                    for response in responses
                ]
                answers = {
                    item.question_id: Answers(reading, (reading,) * draws)
                    for item, reading in zip(some, readings, strict=True)
                }
                columns = self.all_columns(answers)
                for asked in tried:
                    found = [
                        self.values(asked, name, own, columns[name])
                        for name, own in answers.items()
                    ]
                    if asked in theirs:
                        rows[asked.key] += found
                    if not np.isnan(found).all():
                        scored.add(asked.key)
        for asked in theirs:
            asked.total(rows[asked.key])
        return scored


def _plain(value: Any) -> float | tuple[float, ...]:
    """A number, or those of the draws."""
    return float(value) if np.ndim(value) == 0 else tuple(value.tolist())
