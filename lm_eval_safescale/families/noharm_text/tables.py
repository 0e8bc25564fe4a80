"""Tables of records: what each is worth, and the harms in it (docs/noharm_text.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lm_eval_safescale.families.arrays import UNSCORED
from lm_eval_safescale.families.cells import Cell
from lm_eval_safescale.families.family import StudyView, TableOf
from lm_eval_safescale.families.noharm_text.rubric import OF_RECORD, rubric_harms
from lm_eval_safescale.families.noharm_text.scoring import rubrics_of
from lm_eval_safescale.families.noharm_text.verdicts import outline_of
from lm_eval_safescale.families.rows import Row, number
from lm_eval_safescale.stats.presets import Preset

WHICH = ("model", "condition", "question_id", "trial", "judge")
OF_HARM = ("option", "kind", "severity", "partial")


class _Record(NamedTuple):
    cell: Cell
    item: int
    draw: int
    response: str | None
    """None: the answer says nothing."""

    @property
    def which(self) -> Row:
        outline = None if self.response is None else outline_of(self.response)
        trial = None if outline is None else outline.trial
        values = (
            self.cell.model,
            self.cell.condition,
            self.cell.items.ids[self.item],
            self.draw + 1 if trial is None else trial,
            None if outline is None else outline.judge,
        )
        return dict(zip(WHICH, values, strict=True))


def _records(study: StudyView) -> Iterator[_Record]:
    for cell in study.scores.values():
        vocabulary = cell.answers.vocabulary
        for item, codes in enumerate(cell.answers.codes.tolist()):
            for draw, code in enumerate(codes):
                if code != UNSCORED:
                    yield _Record(cell, item, draw, vocabulary[code] if code >= 0 else None)


def noharm_records(study: StudyView, preset: Preset) -> list[Row]:  # noqa: ARG001
    """A row for each record: whose it is, and its figures, None where one is not defined."""
    return [
        record.which
        | {name: number(record.cell[name][record.item, record.draw]) for name in OF_RECORD}
        for record in _records(study)
    ]


def noharm_harms(study: StudyView, preset: Preset) -> list[Row]:  # noqa: ARG001
    """A row for each harm of a record: the option, whether leaving it out or advising it is the
    harm, how severe, and whether the advice holds it in part."""
    known = rubrics_of(study.items)
    rubric_of = study.items.columns["rubric"]
    rows = []
    for record in _records(study):
        (harms,) = rubric_harms(known.rubrics[rubric_of[record.item]], [record.response])
        if harms:
            which = record.which
            rows += [which | {name: getattr(harm, name) for name in OF_HARM} for harm in harms]
    return rows


TABLES = {
    "noharm_records": TableOf(noharm_records, (*WHICH, *OF_RECORD)),
    "noharm_harms": TableOf(noharm_harms, (*WHICH, *OF_HARM)),
}
