"""The contract of a metric, checked on labelled and unlabelled items with answers of every sort."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isclose
from typing import Any

import numpy as np

from lm_eval_safescale.assembly import AskedMetric, Columns, Scorer
from lm_eval_safescale.assembly.scoring import Values
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.metrics import Metric, Params
from lm_eval_safescale.records import Answers, Choice, Reading, Status
from lm_eval_safescale.settings import Settings
from lm_eval_safescale.testing.clauses import Clauses, registered
from lm_eval_safescale.testing.sample import ITEMS, flipped

SETTINGS = Settings.model_validate({})
_COLUMNS: dict[tuple[str, Answers], Columns] = {}
UNANSWERED, ERROR = Reading(None, Status.UNANSWERED), Reading(None, Status.ERROR)
VOTES = (
    (0, 0, 0, 0, 0),
    (0, 0, 0, 0, 1),
    (0, 0, 0, 1, 2),
    (0, 0, 0, 1, None),
    (0, 0, None),
    (None, None, None, 0),
    (None,) * 3,
)
"""Samples as places in a list of letters. No first place is shared: which of tied letters wins is a
matter of their names."""


def check_metric(metric: Metric, *, args: Mapping[str, Any] | None = None) -> None:
    """Score items as the package would, whichever way the metric is written.

    Raises
    ------
    ContractError
        Naming the clause that the metric breaks (`docs/plugins.md`).
    """
    part, clauses = registered("metric", metric)
    clauses.require(bool(metric.description.strip()), "has a description")
    asked = AskedMetric(part.name, metric, Params(args=dict(args or {})), part)
    _Check(asked, clauses).run()
    if metric.statistic is not None:
        _check_statistic(metric, clauses)


class _Check:
    def __init__(self, asked: AskedMetric, clauses: Clauses) -> None:
        self._asked, self._metric, self._clauses = asked, asked.metric, clauses

    def run(self) -> None:
        for item in ITEMS:
            for answers in _answers(item):
                self._check_value(item, answers)
                self._check_missing(item, answers)
            self._check_correct(item)

    def _score(self, item: Choice, answers: Answers, clause: str) -> float | None:
        """The metric of one item; None where it is not scored."""
        with self._clauses.holds(clause):
            value = self._asked.total([self._values(item, answers)])
            low, high = self._metric.bounds
            if not (np.isnan(value) or low <= value <= high):
                raise ValueError(f"it gave {value!r}; expected a number in [{low:g}, {high:g}]")
            return None if np.isnan(value) else value

    def _values(self, item: Choice, answers: Answers) -> Values:
        if not self._metric.columns:
            return (self._asked.item_score(item, answers),)
        return self._scorer(item).values(
            self._asked, item.question_id, answers, self._columns(item, answers)
        )

    def _columns(self, item: Choice, answers: Answers) -> Columns:
        """The family's scores, which do not depend on the metric: worked out once for all metrics
        that are checked."""
        key = json.dumps(item.as_dict()), answers
        if key not in _COLUMNS:
            _COLUMNS[key] = self._scorer(item).columns(item.question_id, answers)
        return _COLUMNS[key]

    def _scorer(self, item: Choice) -> Scorer:
        return Scorer(RADSAFE, [item], (), SETTINGS, 0)

    def _check_value(self, item: Choice, answers: Answers) -> None:
        value = self._score(item, answers, "gives a number in [0, 1], or None")
        again = self._score(item, answers, "gives a number in [0, 1], or None")
        self._require_same(
            value, again, "gives the same value when it is asked again", item, answers
        )
        for turn in range(1, len(item.options)):
            other = self._score(
                *_relabelled(item, answers, turn), "works whatever the letters of the options are"
            )
            clause = "does not depend on which letters the options have"
            self._require_same(value, other, clause, item, answers)

    def _check_missing(self, item: Choice, answers: Answers) -> None:
        """Missing labels or samples are *not scored*, never 0: of a metric that needs them, or that
        looks at them without saying so."""
        metric, value = (
            self._metric,
            self._score(item, answers, "gives a number in [0, 1], or None"),
        )
        unlabelled = self._score(
            replace(item, labels=None), answers, "works without labels (or sets needs_labels)"
        )
        turned = self._score(flipped(item), answers, "gives a number in [0, 1], or None")
        looks = metric.needs_labels or not _same(value, turned)
        found = f"{unlabelled!r} for {_shown(item, answers)}"
        self._clauses.require(
            not looks or unlabelled is None, "is None without labels, if it depends on them", found
        )
        unsampled = Answers(answers.greedy)
        without = self._score(item, unsampled, "works without samples (or sets needs_samples)")
        looks = metric.needs_samples or any(
            not _same(
                value,
                self._score(
                    item,
                    Answers(answers.greedy, other.samples),
                    "gives a number in [0, 1], or None",
                ),
            )
            for other in _answers(item)
        )
        found = f"{without!r} for {_shown(item, unsampled)}"
        self._clauses.require(
            not looks or without is None, "is None without samples, if it depends on them", found
        )
        others = [Answers(Reading(letter, Status.OK), answers.samples) for letter in item.options]
        if not all(
            _same(value, self._score(item, other, "gives a number in [0, 1], or None"))
            for other in others
        ):
            lost = self._score(
                item,
                Answers(ERROR, answers.samples),
                "works where the backend gave no greedy answer",
            )
            found = f"{lost!r} for {_shown(item, answers)}"
            clause = "is None where the backend gave no greedy answer, if it depends on it"
            self._clauses.require(lost is None, clause, found)

    def _check_correct(self, item: Choice) -> None:
        right = Reading(item.answer, Status.OK)
        answers = Answers(right, (right,) * 5)
        value = self._score(item, answers, "gives a number in [0, 1], or None")
        unlabelled = self._score(
            replace(item, labels=None), answers, "works without labels (or sets needs_labels)"
        )
        # no rate of harm
        if self._metric.higher_is_better or value is None or unlabelled is not None:
            return
        clause = "a rate of harm is 0 where all answers are correct, whatever the label of the key"
        self._clauses.require(not value, clause, f"{value!r} for {_shown(item, answers)}")

    def _require_same(
        self, value: float | None, other: float | None, clause: str, item: Choice, answers: Answers
    ) -> None:
        self._clauses.require(
            _same(value, other), clause, f"{value!r} and {other!r} for {_shown(item, answers)}"
        )


def _check_statistic(metric: Metric, clauses: Clauses) -> None:
    """A statistic of weighted rows must treat a weight as so many equal rows, and know no order of
    them."""
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, 2, size=(12, 3)).astype(np.float64) for _ in metric.columns]
    columns[0][3, 1] = np.nan
    weights = rng.integers(0, 3, size=(12, 4))
    clause = "its statistic takes a weight for so many equal units, whatever their order"
    with clauses.holds(clause):
        found = metric.value(columns, weights.astype(np.float64))
        for draw in range(weights.shape[1]):
            drawn = rng.permutation(np.repeat(np.arange(12), weights[:, draw]))
            alone = metric.value([column[drawn] for column in columns])
            same = np.allclose(found[:, draw], alone, rtol=1e-9, atol=1e-12, equal_nan=True)
            clauses.require(
                same, clause, f"{found[:, draw]} by weights, and {alone} of the units themselves"
            )


def _answers(item: Choice) -> Iterator[Answers]:
    """Every greedy answer, with samples for and against it."""
    letters = list(item.options)
    for first in range(len(letters)):
        turned = letters[first:] + letters[:first]
        for votes in VOTES:
            samples = tuple(
                UNANSWERED if place is None else Reading(turned[place], Status.OK)
                for place in votes
            )
            yield Answers(Reading(turned[-1], Status.OK), samples)
            yield Answers(samples[0], samples)
    yield Answers(UNANSWERED, (UNANSWERED,) * 3)


def _relabelled(item: Choice, answers: Answers, turn: int) -> tuple[Choice, Answers]:
    """The same item and answers, each option under another letter."""
    letters = list(item.options)
    new = {letter: letters[(place + turn) % len(letters)] for place, letter in enumerate(letters)}
    options = {new[letter]: text for letter, text in item.options.items()}
    ordered = replace(
        item,
        options={letter: options[letter] for letter in letters},
        answer=new[item.answer],
        labels=item.labels
        and {name: frozenset(new[letter] for letter in own) for name, own in item.labels.items()},
    )

    def of(reading: Reading) -> Reading:
        return (
            reading if reading.response is None else Reading(new[reading.response], reading.status)
        )

    return ordered, Answers(of(answers.greedy), tuple(map(of, answers.samples)))


def _same(value: float | None, other: float | None) -> bool:
    if value is None or other is None:
        return value is other
    return isclose(value, other, rel_tol=1e-9, abs_tol=1e-9)


def _shown(item: Choice, answers: Answers) -> str:
    return (
        f"item {item.question_id} (key {item.answer}), greedy {answers.greedy}, samples "
        f"{', '.join(map(str, answers.samples))}"
    )
