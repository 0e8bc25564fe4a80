"""Two judges of the same answers, or a judge and a person, compared as two raters: how far they
agree, what that does to each metric, and which verdicts a person should look at.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from lm_eval_safescale.analysis.study import Study, judge_by
from lm_eval_safescale.errors import SafescaleError, writing
from lm_eval_safescale.families.rows import Row, number
from lm_eval_safescale.files import replaced
from lm_eval_safescale.judging.advice import judge_of
from lm_eval_safescale.judging.corrections import ByHand, correct
from lm_eval_safescale.records import NOT_SCORED, Item, Status
from lm_eval_safescale.runs import provenance
from lm_eval_safescale.runs.judges import named_as_judged
from lm_eval_safescale.runs.table import KEYS, UNIT, Runs
from lm_eval_safescale.sentences import listed
from lm_eval_safescale.stats.raters import kappa_of_counts, linear_likeness

AGREEMENT_FILE, TO_CHECK_FILE = "agreement.json", "to_check.jsonl"
By = Literal["answer", "option"]
BYS: tuple[By, ...] = ("answer", "option")
VERDICT = (*KEYS, "option")
"""What names one verdict."""


@dataclass(frozen=True, eq=False)
class JudgeAgreement:
    """Two raters of the same answers."""

    first: Runs
    second: Runs
    """Both of the answers that both have, under the names of the models that were judged."""
    pairs: pl.DataFrame
    """A row for each verdict that both gave: `VERDICT`, unit, first, second (matches), and of the
    first its evidence and that of the second."""
    left_out: Mapping[str, int]
    """Answers that only one of them has verdicts on, by rater."""
    raters: Mapping[str, str]
    """Who the two are."""

    @functools.cached_property
    def verdicts(self) -> list[Row]:
        """A row for each model and condition, and one for all of them, where these are None: n,
        observed (the share that agree), kappa, weighted_kappa (linear: a partial match is half
        way), and the counts of each two verdicts, `FIRST_SECOND`."""
        parts = [
            ({"model": model, "condition": condition}, own)
            for (model, condition), own in self.pairs.group_by(
                "model", "condition", maintain_order=True
            )
        ]
        everything: Row = {"model": None, "condition": None}
        return [told | self._agreement(own) for told, own in [(everything, self.pairs), *parts]]

    def _agreement(self, pairs: pl.DataFrame) -> Row:
        matches = judge_of(self.first.family).matches
        counts = np.zeros((len(matches), len(matches)))
        for first, second, n in pairs.group_by("first", "second").len().iter_rows():
            counts[matches.index(first), matches.index(second)] = n
        nominal = kappa_of_counts(counts)
        weighted = kappa_of_counts(counts, linear_likeness(len(matches)))
        return {
            "n": int(counts.sum()),
            "observed": number(nominal.observed),
            "kappa": number(nominal.coefficient),
            "weighted_kappa": number(weighted.coefficient),
            **{
                f"{one}_{other}": int(counts[row, column])
                for row, one in enumerate(matches)
                for column, other in enumerate(matches)
            },
        }

    @functools.cached_property
    def metrics(self) -> list[Row]:
        """A row for each model, condition and metric: `first`, `second` and their difference."""
        one, other = Study(self.first), Study(self.second)
        rows = []
        for pair, cell in one.scores.items():
            for metric in one.metrics:
                values = [
                    float(metric.value([own[name][:, None] for name in metric.sources])[0])
                    for own in (cell, other.scores[pair])
                ]
                rows.append(
                    {
                        "model": pair[0],
                        "condition": pair[1],
                        "metric": metric.name,
                        "first": number(values[0]),
                        "second": number(values[1]),
                        "difference": number(values[1] - values[0]),
                    }
                )
        return rows

    def to_check(self, below: float, by: By, items: Mapping[str, Item] | None) -> list[Row]:
        """The verdicts that differ, of answers (or of options of a case, over all answers) in which
        less than this share agree, the least first: as lines in which a person fills in `verdict`
        and perhaps `reason`, and which `read_by_hand` reads.

        Parameters
        ----------
        items
            With their texts; None where these cannot be had.
        """
        within = [*KEYS] if by == "answer" else [UNIT, "option"]
        same = pl.col("first") == pl.col("second")
        rows = (
            self.pairs.with_columns(same.mean().over(within).alias("share"))
            .filter((pl.col("share") < below) & ~same)
            .sort("share", *VERDICT)
            .join(
                self.first.answers.select(
                    *(pl.col(name).cast(pl.String) for name in KEYS[:3]), "draw", "text"
                ),
                on=KEYS,
                how="left",
                maintain_order="left",
            )
        )
        judge = judge_of(self.first.family)
        return [
            {name: row[name] for name in VERDICT}
            | {"verdict": None, "reason": ""}
            | {name: row[name] for name in ("first", "second", "share")}
            | {f"evidence_{name}": row[f"evidence_{name}"] for name in ("first", "second")}
            | (
                {}
                if items is None
                else dict(judge.texts_of(items[row["question_id"]], row["option"]))
            )
            | {"answer": row["text"]}
            for row in rows.iter_rows(named=True)
        ]


def judge_agreement(first: Runs, second: Runs | Callable[[Runs], ByHand]) -> JudgeAgreement:
    """Compare the verdicts of two judges.

    Parameters
    ----------
    first
        Judged runs.
    second
        Runs of the same answers by another judge; or what reads a person's verdicts on the first
        (`read_by_hand`): the second rater is then that person, and metrics are of the judge's
        verdicts with the person's in their place.

    Raises
    ------
    SafescaleError
        If the runs are of other data, the same answer has another text in them, or there is no
        verdict that both gave.
    """
    one = named_as_judged(first)
    if isinstance(second, Runs):
        other = named_as_judged(second)
        given = _verdicts(other)
    else:
        by_hand = second(one)
        other = correct(one, by_hand)
        said = [(*key, each.option) for key, own in by_hand.verdicts.items() for each in own]
        schema = dict(zip(VERDICT, (*[pl.String] * 3, pl.Int16, pl.Int64), strict=True))
        asked = pl.DataFrame(said, schema=schema, orient="row")
        given = _verdicts(other).join(asked, on=VERDICT, how="semi", maintain_order="left")
    _refuse_others(one, other)
    own = _verdicts(one)
    pairs = own.join(given, on=VERDICT, suffix="_second", maintain_order="left").select(
        *VERDICT,
        UNIT,
        pl.col("match").alias("first"),
        pl.col("match_second").alias("second"),
        pl.col("evidence").alias("evidence_first"),
        pl.col("evidence_second"),
    )
    if not pairs.height:
        raise SafescaleError(
            "the two have no verdict on the same answer and option: expected two judgings of the "
            "same runs, under the same names of models and conditions"
        )
    left_out = {
        "first": own.join(given, on=KEYS, how="anti").select(KEYS).n_unique(),
        "second": given.join(own, on=KEYS, how="anti").select(KEYS).n_unique(),
    }
    raters = {
        "first": _judges(one),
        "second": _judges(other) if isinstance(second, Runs) else "a person",
    }
    return JudgeAgreement(_shared(one, other), _shared(other, one), pairs, left_out, raters)


def _judges(runs: Runs) -> str:
    known = (judge_by(own.get("settings", {})) for own in runs.about["models"].values())
    return listed(list(dict.fromkeys(filter(None, known)))) or "an unknown judge"


def _verdicts(runs: Runs) -> pl.DataFrame:
    """`VERDICT`, unit, match, evidence."""
    judge = judge_of(runs.family)
    units = runs.items[UNIT] if UNIT in runs.items.columns else runs.items["question_id"]
    unit_of = dict(
        zip(runs.items["question_id"].cast(pl.String), units.cast(pl.String), strict=True)
    )
    rows = [
        (*key, unit_of[key[2]], each.option, each.match, each.evidence)
        for *key, response in runs.answers.select(*KEYS, "response").iter_rows()
        if response is not None
        for each in judge.verdicts(response)
    ]
    kinds = (*[pl.String] * 3, pl.Int16, pl.String, pl.Int64, pl.String, pl.String)
    names = (*KEYS, UNIT, "option", "match", "evidence")
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def _refuse_others(one: Runs, other: Runs) -> None:
    about, others = (runs.about.get("dataset", {}) for runs in (one, other))
    if about.get("fingerprint") != others.get("fingerprint"):
        raise SafescaleError(
            f"the two are of other data: {about.get('name')} (fingerprint "
            f"{str(about.get('fingerprint'))[:12]}) and {others.get('name')} "
            f"({str(others.get('fingerprint'))[:12]}); expected two judgings of the same answers"
        )
    texts = [
        runs.answers.select(*(pl.col(name).cast(pl.String) for name in KEYS[:3]), "draw", "text")
        for runs in (one, other)
    ]
    both = texts[0].join(texts[1], on=KEYS, suffix="_other", maintain_order="left")
    for row in both.filter(pl.col("text") != pl.col("text_other")).head(1).iter_rows(named=True):
        raise SafescaleError(
            f"{provenance.place_of(row)}: the two have other texts of this answer; expected two "
            "judgings of the same runs"
        )


def _shared(runs: Runs, other: Runs) -> Runs:
    """Runs in which what the other does not score is not scored."""
    keys = [pl.col(name).cast(pl.String) for name in KEYS[:3]]
    is_scored = ~pl.col("status").cast(pl.String).is_in([each.value for each in NOT_SCORED])
    scored = other.answers.filter(is_scored).select(*keys, "draw", pl.lit(value=True).alias("both"))
    rows = (
        runs.answers.with_columns(*keys, pl.col("response", "status").cast(pl.String))
        .join(scored, on=KEYS, how="left", maintain_order="left")
        .join(other.answers.select(*keys, "draw"), on=KEYS, how="semi", maintain_order="left")
    )
    both = pl.col("both").fill_null(value=False)
    rows = rows.with_columns(
        pl.when(both).then("response").alias("response"),
        pl.when(both).then("status").otherwise(pl.lit(Status.ERROR.value)).alias("status"),
    )
    return Runs(runs.items, rows, runs.about)


def write_agreement(agreement: JudgeAgreement, to_check: Sequence[Row], folder: Path) -> None:
    """`agreement.json` and `to_check.jsonl` into a folder."""
    told = {
        "raters": dict(agreement.raters),
        "verdicts": agreement.verdicts,
        "metrics": agreement.metrics,
        "left_out": dict(agreement.left_out),
    }
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with writing(folder / AGREEMENT_FILE), replaced(folder / AGREEMENT_FILE) as unfinished:
        text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)
        unfinished.write_text(f"{text}\n", encoding="utf-8")
    provenance.write_lines(to_check, folder / TO_CHECK_FILE)
