"""What pages look up of a comparison: places by entry and metric, in the order of the table. It
makes no page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lm_eval_safescale.analysis import preset_named
from lm_eval_safescale.leaderboard.board.pages.links import ENTRY
from lm_eval_safescale.leaderboard.board.result import Board, Comparison, Entry, Place
from lm_eval_safescale.report.pages.common.rows import first_harm
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sentences import is_number

INFINITE = float("inf")


@dataclass(frozen=True)
class Standing:
    """The entries of a comparison under a condition."""

    board: Board
    comparison: Comparison
    condition: str

    @cached_property
    def report(self) -> Report:
        """The words and metrics of the family: no table is made."""
        dataset = self.comparison.dataset
        about: dict[str, Any] = {"dataset": dataset, "items": dataset.get("items", 0)}
        study = self.comparison.study
        return Report(study, preset_named("default"), tables={}, failed={}, about=about)

    @cached_property
    def places(self) -> dict[tuple[str, str], Place]:
        """By label and metric."""
        return {
            (place.label, place.metric): place
            for place in self.comparison.places
            if place.condition == self.condition
        }

    @cached_property
    def metrics(self) -> Sequence[str]:
        """Those that any entry has a value of."""
        scored = {metric for (_, metric), place in self.places.items() if is_number(place.value)}
        return [metric for metric in self.comparison.metrics if metric in scored]

    @cached_property
    def headlines(self) -> Sequence[str]:
        """Those of them that the family says of a run in one line, else all."""
        said = [metric for metric in self.metrics if metric in self.report.family.headlines]
        return said or self.metrics

    @cached_property
    def first(self) -> str:
        """The metric that the table stands in the order of; empty where nothing is scored."""
        return first_harm(self.report, self.headlines) if self.headlines else ""

    @cached_property
    def entries(self) -> Sequence[Entry]:
        """Those that answered under this condition, by rank and value."""
        labels = {label for label, _ in self.places}
        found = [entry for entry in self.board.of(self.comparison) if entry.label in labels]
        sign = -1 if self.first and self.report.metrics[self.first].higher_is_better else 1

        def order(entry: Entry) -> tuple[float, float, str]:
            place = self.places.get((entry.label, self.first))
            if place is None or place.rank is None or place.value is None:
                return INFINITE, INFINITE, entry.label
            return place.rank, sign * place.value, entry.label

        return sorted(found, key=order)

    @cached_property
    def ranked(self) -> Sequence[Place]:
        """The places by the first metric, as far as they have a rank, in that order."""
        found = (self.places.get((entry.label, self.first)) for entry in self.entries)
        return [place for place in found if place is not None and place.rank is not None]

    def cases(self, label: str) -> dict[str, str]:
        """The filters of an entry: they lead to its pages."""
        return {ENTRY: self._slugs[label]}

    @cached_property
    def _slugs(self) -> dict[str, str]:
        return {entry.label: entry.slug for entry in self.entries}

    def is_percent(self, metric: str) -> bool:
        """Whether it is shown in percent: rates that are no metric of the family are."""
        return metric not in self.report.metrics or self.report.column_kind(metric) == "percent"

    @property
    def words(self) -> str:
        """The condition in words."""
        return self.report.words(self.condition)

    def sharing(self, place: Place) -> int:
        """How many other entries have its rank."""
        return sum(
            other.rank == place.rank
            for (_, metric), other in self.places.items()
            if metric == place.metric
        ) - (place.rank is not None)


def main_condition(comparison: Comparison) -> str:
    """The condition under which most entries answered: of several the family's first."""
    answered = {
        condition: len({place.label for place in comparison.places if place.condition == condition})
        for condition in comparison.conditions
    }
    return max(comparison.conditions, key=lambda condition: answered[condition])
