"""Table `judge_reliability`: how far a judge agrees with itself where it judged the same answers
more than once (`Verdicts.again`), and how far each metric moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lm_eval_safescale.families.arrays import UNSCORED, AnswerArrays, ItemTable
from lm_eval_safescale.families.cells import Cell
from lm_eval_safescale.families.family import Floats, StudyView, TableOf
from lm_eval_safescale.families.judge import RELIABILITY
from lm_eval_safescale.families.noharm_text.metrics import metrics
from lm_eval_safescale.families.noharm_text.scoring import score
from lm_eval_safescale.families.noharm_text.verdicts import MATCHES, Verdicts, outline_of
from lm_eval_safescale.families.rows import Row, bounded, number
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.stats.presets import DEFAULT, Preset
from lm_eval_safescale.stats.raters import kappa_of_counts

COLUMNS = (
    *("model", "condition", "judge", "what", "metric", "repeats", "n", "failed"),
    *bounded("flips", "kappa"),
    *("value", "again", *bounded("delta"), "moved", "method"),
)
VERDICTS, METRIC = "verdicts", "metric"
"""What a row is of."""


def judge_reliability(study: StudyView, preset: Preset = DEFAULT) -> list[Row]:
    """Of each model under each condition that a judge judged more than once, a row on its verdicts
    and a row for each metric.

    Returns
    -------
    Rows of `COLUMNS`. Of verdicts: `n` pairs of a verdict and a further one on the same option;
    `failed`, further judgings without any; `flips`, the share of pairs that differ; `kappa`,
    Cohen's of the two, or Fleiss' of all judgings where there are several further ones; yes,
    partial and no are categories. Of a metric: `n` records; `value` by the first judging and
    `again`, the mean over further ones, each over the records that both have; `delta` = again -
    value; `moved`, the largest absolute difference of one of them. Bounds are of 95 %, cases
    resampled. None where not defined.
    """
    rows = []
    for cell in study.scores.values():
        repeated = _Repeated.of(cell)
        if repeated is not None:
            told = {
                "model": cell.model,
                "condition": cell.condition,
                "judge": ", ".join(repeated.judges),
                "repeats": repeated.repeats,
                "method": preset.method_of(study.design.left_out),
            }
            every = (_of_verdicts(repeated, study, preset), *_of_metrics(repeated, study, preset))
            rows += [dict.fromkeys(COLUMNS) | told | own for own in every]
    return rows


@dataclass(frozen=True, eq=False)
class _Repeated:
    """The answers of a cell that were judged more than once."""

    cell: Cell
    read: Mapping[int, Verdicts]
    """What each code of a response stands for."""
    repeats: int
    """Further judgings, at most."""
    judges: Sequence[str]

    @classmethod
    def of(cls, cell: Cell) -> _Repeated | None:
        """None where nothing was judged again."""
        vocabulary = cell.answers.vocabulary
        codes = np.unique(cell.answers.codes[cell.answers.codes >= 0]).tolist()
        repeats = max((len(outline_of(vocabulary[code]).again) for code in codes), default=0)
        if not repeats:
            return None
        read = {code: Verdicts.read(vocabulary[code]) for code in codes}
        return cls(cell, read, repeats, sorted({each.judge for each in read.values()}))

    def judgings(self, code: int) -> list[Verdicts | None]:
        """All, the first among them; None for one that is missing."""
        first = self.read[code]
        return [first, *first.again, *[None] * (self.repeats - len(first.again))]


def _of_verdicts(repeated: _Repeated, study: StudyView, preset: Preset) -> Row:
    codes = repeated.cell.answers.codes
    size = len(MATCHES)
    first = np.zeros((len(codes), size, size))
    every = np.zeros_like(first)
    tables = {code: _tables(repeated.judgings(code)) for code in repeated.read}
    failed = 0
    for item, own in enumerate(codes.tolist()):
        for code in own:
            if code >= 0:
                first[item] += tables[code][0]
                every[item] += tables[code][1]
                failed += repeated.judgings(code).count(None)
    pairs = first.sum(axis=(1, 2))
    flips = pairs - np.trace(first, axis1=1, axis2=2)
    symmetric = every + every.transpose(0, 2, 1)
    compared = first if repeated.repeats == 1 else symmetric

    def figures(weights: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            share = flips @ weights / (pairs @ weights)
        drawn = np.tensordot(compared, weights, axes=(0, 0))
        return np.stack([share, kappa_of_counts(drawn).coefficient])

    shown = _with_bounds(("flips", "kappa"), figures, study, preset)
    return {"what": VERDICTS, "n": int(pairs.sum()), "failed": failed, **shown}


def _tables(judgings: Sequence[Verdicts | None]) -> tuple[Floats, Floats]:
    """How often options have each two verdicts: in the first judging and each further one, and in
    every two judgings."""
    place = {match: number for number, match in enumerate(MATCHES)}
    first, every = np.zeros((2, len(MATCHES), len(MATCHES)))
    for one in range(len(judgings)):
        for other in range(one + 1, len(judgings)):
            a, b = judgings[one], judgings[other]
            if a is None or b is None:
                continue
            for option, verdict in a.options.items():
                at = place[verdict.match], place[b.options[option].match]
                every[at] += 1
                first[at] += one == 0
    return first, every


def _of_metrics(repeated: _Repeated, study: StudyView, preset: Preset) -> Iterator[Row]:
    pairs = [_scores(repeated, study.items, repeat) for repeat in range(1, 1 + repeated.repeats)]
    for metric in metrics():

        def values(weights: Floats, metric: Metric = metric) -> Floats:
            """By the first judging and by a further one, of each pair: shape (pairs, 2, b)."""
            return np.array(
                [
                    [metric.value([own[name][:, None] for name in metric.columns], weights)[0]]
                    for pair in pairs
                    for own in pair
                ]
            ).reshape(len(pairs), 2, -1)

        both = values(np.ones((len(study.items), 1)))[..., 0]
        before, after = both.mean(axis=0)
        yield {
            "what": METRIC,
            "metric": metric.name,
            "n": int((repeated.cell.answers.codes != UNSCORED).sum()),
            "value": number(before),
            "again": number(after),
            "moved": number(np.abs(both[:, 1] - both[:, 0]).max()),
            **_with_bounds(
                ("delta",),
                lambda weights: np.diff(values(weights).mean(axis=0), axis=0),
                study,
                preset,
            ),
        }


def _scores(
    repeated: _Repeated, items: ItemTable, repeat: int
) -> tuple[Mapping[str, Floats], Mapping[str, Floats]]:
    """What the answers are worth by the first judging and by a further one, those alone that both
    have."""
    answers = repeated.cell.answers
    vocabulary = list(answers.vocabulary)
    new = np.arange(len(vocabulary) + 2) - 2  # with the codes of no response, by their numbers
    for code in repeated.read:
        verdicts = repeated.judgings(code)[repeat]
        new[code + 2] = UNSCORED if verdicts is None else len(vocabulary)
        if verdicts is not None:
            vocabulary.append(verdicts.as_text())
    codes = new[answers.codes + 2]
    both = np.where(codes == UNSCORED, UNSCORED, answers.codes)
    first, again = (score(items, AnswerArrays(each, vocabulary)) for each in (both, codes))
    return first, again


def _with_bounds(
    names: Sequence[str], figures: Callable[[Floats], Floats], study: StudyView, preset: Preset
) -> Row:
    """Figures by weights of items, under these names, with their bounds."""
    one = np.ones((len(study.items), 1))
    found, drawn, left_out = (
        figures(weights) for weights in (one, study.design.weights, study.design.left_out)
    )
    low, high = preset.figure_interval(found[:, 0], drawn, left_out)
    values = zip(found[:, 0], low, high, strict=True)
    return dict(
        zip(bounded(*names), [number(each) for three in values for each in three], strict=True)
    )


TABLES = {RELIABILITY: TableOf(judge_reliability, COLUMNS)}
