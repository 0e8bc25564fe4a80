"""The index of all answers: a byte or two for each of what a list of cases is filtered by. It knows
no text.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.families import NO_RESPONSE, UNSCORED
from lm_eval_safescale.families.arrays import AnswerArrays
from lm_eval_safescale.families.cells import Pair
from lm_eval_safescale.families.views import AnswerKind
from lm_eval_safescale.records import Item, Status
from lm_eval_safescale.report.cases.scripts import as_json
from lm_eval_safescale.runs.arrays import COUNTED

if TYPE_CHECKING:
    from lm_eval_safescale.report.report import Report

MISSING = 0
NO_ANSWER = (
    Status.UNANSWERED, Status.TRUNCATED, Status.FILTERED, Status.UNJUDGED, Status.ERROR,
)  # fmt: skip
"""By code, from 1: what became of an answer without a response."""
FIRST = 1 + len(NO_ANSWER)
"""Code of an item's first response."""
UNKNOWN = 255
"""A confidence that is not known; others are percent."""
HARMFUL = ("harm", "warning")


@dataclass(frozen=True, eq=False)
class Index:
    """Answers as codes and bits.

    In `assets/cases/data.js` a code is one of these, whatever is stored of the answer: `MISSING`
    for none, those of `NO_ANSWER`, and from `FIRST` on a place among the item's responses.
    """

    report: Report

    @functools.cached_property
    def pairs(self) -> list[Pair]:
        """Models by their order in the report, then conditions."""
        place = {model: number for number, model in enumerate(self.report.models)}
        return sorted(
            self.report.study.scores,
            key=lambda pair: (place[pair[0]], self.report.conditions.index(pair[1])),
        )

    @functools.cached_property
    def kinds(self) -> list[AnswerKind]:
        """The family's, of scores that there are."""
        first = next(iter(self.report.study.scores.values()), None)
        there = set() if first is None else set(first.values)
        return [kind for kind in self.report.family.kinds if kind.column in there]

    @functools.cached_property
    def items(self) -> list[Item]:
        """With their texts where these are at hand."""
        report = self.report
        found = report.found.dataset
        whole = {} if found is None else {item.question_id: item for item in found}
        bare = report.family.items(report.study.items)
        return [whole.get(item.question_id, item) for item in bare]

    @functools.cached_property
    def shared(self) -> bool:
        """Whether all items have the same responses, by the family's vocabulary."""
        return self.report.family.vocabulary is not None

    @functools.cached_property
    def responses(self) -> list[list[str]]:
        """Of each item, every response to it; one list for all where it is `shared`."""
        if self.shared:
            return [list(self.report.family.vocabulary or ())]
        found: list[dict[str, int]] = [{} for _ in self.report.study.items.ids]
        for answers in self.report.study.answers.values():
            for own, codes in zip(found, answers.codes, strict=True):
                for code in np.unique(codes[codes >= 0]).tolist():
                    own.setdefault(answers.vocabulary[code], len(own))
        return [list(own) for own in found]

    def codes(self, pair: Pair) -> NDArray[np.int64]:
        """Of every draw, shape (items, 1 + K). Of a sample without an answer it is not known why:
        it has the code of `UNANSWERED`, or of `ERROR`."""
        answers = self.report.study.answers[pair]
        codes = self._of_items(answers)
        codes[answers.codes == NO_RESPONSE] = 1 + NO_ANSWER.index(Status.UNANSWERED)
        codes[answers.codes == UNSCORED] = 1 + NO_ANSWER.index(Status.ERROR)
        greedy, unknown = codes[:, 0], answers.codes[:, 0] < 0
        for status in COUNTED:
            greedy[unknown & (answers.measures[status.value] == 1)] = 1 + NO_ANSWER.index(status)
        # neither truncated nor not: there was no greedy answer
        greedy[np.isnan(answers.measures[Status.TRUNCATED.value])] = MISSING
        return codes

    def _of_items(self, answers: AnswerArrays) -> NDArray[np.int64]:
        codes = answers.codes.astype(np.int64)
        if not self.shared:
            for place, (own, row) in enumerate(zip(self._places, codes, strict=True)):
                codes[place] = [
                    own[answers.vocabulary[code]] if code >= 0 else code for code in row.tolist()
                ]
        return codes + FIRST

    @functools.cached_property
    def _places(self) -> list[dict[str, int]]:
        return [{name: place for place, name in enumerate(own)} for own in self.responses]

    def percent_sure(self, pair: Pair) -> NDArray[np.uint8]:
        """In percent, shape (items,)."""
        name = self.report.family.confidence_column
        cell = self.report.study.scores[pair]
        if not name:
            return np.full(len(cell.items), UNKNOWN, np.uint8)
        values = cell[name]
        return np.where(np.isnan(values), UNKNOWN, np.rint(100 * values)).astype(np.uint8)

    def bits(self, pair: Pair) -> NDArray[np.uint32]:
        """The kinds of the answers, the first as the lowest bit; shape (items,)."""
        cell = self.report.study.scores[pair]
        found = np.zeros(len(cell.items), np.uint32)
        for number, kind in enumerate(self.kinds):
            found |= kind.holds(cell.values).astype(np.uint32) << np.uint32(number)
        return found

    def is_error(self, pair: Pair) -> NDArray[np.bool_]:
        """Answers whose texts are stored where only errors' are: those of the first kind, and all
        that harm or may."""
        wanted = sum(
            1 << number
            for number, kind in enumerate(self.kinds)
            if number == 0 or kind.tone in HARMFUL
        )
        return np.asarray(self.bits(pair) & np.uint32(wanted), bool)

    def content(self, more: Mapping[str, Any]) -> bytes:
        """The index as bytes: the length of its head (4 bytes, little-endian), the head as JSON,
        then columns of a byte an item, little-endian where they are wider. First the group of each
        item (2 bytes, 0 for none) for each group; then of each pair the codes, the confidence and
        the kinds, as wide as the head says."""
        study = self.report.study
        groups = {name: sorted({own for own in column if own is not None})
                  for name, column in study.items.groups.items()}  # fmt: skip
        columns = [
            _narrow(
                np.array(
                    [0 if own is None else 1 + groups[name].index(own) for own in column], np.int64
                ),
                2,
            )
            for name, column in study.items.groups.items()
        ]
        width = _width(FIRST + max(map(len, self.responses), default=0))
        bits_width = _width((1 << len(self.kinds)) - 1)
        for pair in self.pairs:
            columns.append(_narrow(self.codes(pair)[:, 0], width))
            columns.append(self.percent_sure(pair).tobytes())
            columns.append(_narrow(self.bits(pair), bits_width))
        models, conditions = list(self.report.models), list(self.report.conditions)
        family = self.report.family
        head = as_json(
            {
                "items": list(study.items.ids),
                "models": [
                    {"name": model, "family": _family_of(self.report, model)} for model in models
                ],
                "conditions": [
                    {"name": name, "words": self.report.words(name)} for name in conditions
                ],
                "pairs": [
                    [models.index(model), conditions.index(condition), study.answers[pair].draws]
                    for pair in self.pairs
                    for model, condition in [pair]
                ],
                "groups": [
                    {"name": name, "words": name.replace("_", " "), "values": values}
                    for name, values in groups.items()
                ],
                "kinds": [
                    {"name": kind.name, "words": kind.words, "tone": kind.tone}
                    for kind in self.kinds
                ],
                "responses": [self.shown(each) for each in self.responses[0]]
                if self.shared
                else None,
                "no_answer": ["", *(status.value for status in NO_ANSWER)],
                "widths": [width, bits_width],
                "sure": bool(family.confidence_column),
                **more,
            }
        )
        return b"".join([len(head).to_bytes(4, "little"), head, *columns])

    def shown(self, response: str) -> list[Any]:
        """A response in words, and the options that it chooses."""
        family = self.report.family
        return [family.shown_response(response), list(family.chosen(response))]


def _family_of(report: Report, model: str) -> str:
    entry = report.panel_of(model)
    return (entry.family if entry else None) or ""


def _width(largest: int) -> int:
    return next(width for width in (1, 2, 4) if largest < 1 << 8 * width)


def _narrow(values: NDArray[Any], width: int) -> bytes:
    return values.astype(f"<u{width}").tobytes()


def counts_of(codes: NDArray[np.int64]) -> list[Sequence[int]]:
    """How often each code stands in the samples of each item: code, count, code, count, ..., the
    commonest first. `codes` of shape (items, 1 + K)."""
    samples = codes[:, 1:]
    if not samples.size:
        return [()] * len(codes)
    most = int(samples.max()) + 1
    keys = samples + np.arange(len(samples))[:, None] * most
    different, counts = np.unique(keys, return_counts=True)
    order = np.lexsort((different % most, -counts, different // most))
    different, counts = different[order], counts[order]
    item = different // most
    flat = np.stack([different % most, counts], axis=1)
    starts = np.searchsorted(item, np.arange(len(samples) + 1))
    return [flat[first:last].ravel().tolist() for first, last in itertools.pairwise(starts)]
