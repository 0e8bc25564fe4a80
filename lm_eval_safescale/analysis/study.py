"""Runs made ready for the tables: arrays and item values, once for all of them, and what could not
be scored, with the reason.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Literal, NoReturn

import numpy as np
import polars as pl

from lm_eval_safescale.analysis.asked_again import Asks, asks_of
from lm_eval_safescale.analysis.asked_metrics import AskedColumns, asked_columns
from lm_eval_safescale.analysis.beside import blocks_of, not_beside
from lm_eval_safescale.analysis.disputes import Disputes
from lm_eval_safescale.analysis.figures import (
    Column,
    Figures,
    Part,
    Places,
    cached,
    figures_of,
    groups_of,
    taken,
)
from lm_eval_safescale.analysis.judges import in_order_of_file, pool_judges
from lm_eval_safescale.analysis.scores import score_cells
from lm_eval_safescale.analysis.unjudged import cut_by_limit, said_of_cut, unjudged
from lm_eval_safescale.errors import ArgumentHint, SafescaleError
from lm_eval_safescale.families import NO_RESPONSE, UNSCORED, AnswerArrays, Family, ItemTable
from lm_eval_safescale.families.cells import Cell, column
from lm_eval_safescale.families.choice.tables.ensembles import ensembles_left_out
from lm_eval_safescale.families.controls import CONTROLS
from lm_eval_safescale.families.judge import RULE_BASED
from lm_eval_safescale.families.panel import Panel, PanelModel, load_panel, panel_table
from lm_eval_safescale.families.raters import answers_of_raters
from lm_eval_safescale.families.rows import Row
from lm_eval_safescale.limits import Limit
from lm_eval_safescale.metrics import Metric, mean
from lm_eval_safescale.records import Status
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.about import UNCHECKED
from lm_eval_safescale.runs.arrays import answer_arrays, item_table
from lm_eval_safescale.runs.journal import PARAMETERS_B
from lm_eval_safescale.runs.provenance import (
    CASE_ORDER,
    JUDGED_MODEL,
    READING,
    name_of_judge,
)
from lm_eval_safescale.runs.store import NOTED
from lm_eval_safescale.runs.table import categories, named
from lm_eval_safescale.sections import left_out, notes_on
from lm_eval_safescale.settings import MAKE_SCORES
from lm_eval_safescale.stats.bootstrap import strata_of
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.presets import Preset
from lm_eval_safescale.stats.risk_control import Method
from lm_eval_safescale.words import counted

Population = Literal["items", "asks"]
MEASURES = (
    mean("latency_s", "seconds of the greedy request", higher_is_better=False, bounds=(0.0, inf)),
)
"""Metrics of what is known of answers besides their response, whatever the family."""
MAY_DIFFER = {"draws", *NOTED, *MAKE_SCORES}
"""Settings whose difference is said elsewhere, or changes no answer."""


@dataclass(frozen=True, eq=False)
class Study:
    """Runs, and everything that the tables share."""

    runs: Runs
    threshold: float | None = None
    """The family's threshold (`Family.threshold`); None: as the runs were made."""
    given_panel: Panel | None = None
    """Family and size of models; the bundled panel where none is given."""
    baseline: str | None = None
    """The model that every other is compared with; None: all pairs of up to 8 models."""
    beside: Study | None = None
    """Runs of the same models on another data set, beside which the table `accuracy_and_safety`
    sets these."""
    abstention: tuple[Limit, ...] = ()
    """Limits that kept answers must stay under; empty: the family's (`Family.abstention`)."""
    abstention_by: Method = "holm"
    """How a threshold of confidence is chosen (`stats.risk_control`)."""
    population: Population = "items"
    """What intervals are of: new items drawn like these, or these items asked again."""
    disputes: Disputes | None = None
    """Items without which the table `disputed` gives the headlines once more; all other tables are
    over all items."""
    pools_judges: bool = False
    """Whether the verdicts of several judges on a model's answers are one pool."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise SafescaleError(
                f"threshold is {self.threshold:g}; expected a confidence from 0 to 1"
            )
        if self.threshold is not None and not self.family.threshold:
            raise SafescaleError(
                f"threshold is {self.threshold:g}; the family {self.family.name} has none: leave "
                "it out"
            )
        named_so = {*self.runs.models, *self.judged.values()}
        if self.baseline is not None and self.baseline not in named_so:
            self._refuse_baseline()
        if self.beside is not None:
            blocks_of(self.runs, self.beside.runs)  # refused before anything is computed
        if self.disputes is not None:
            self.disputes.refuse_unknown(categories(self.runs.items["question_id"]))
        if self.threshold is None and len(self.thresholds_of_runs) > 1:
            whose = "; ".join(
                f"{each:g}: {named(models)}" for each, models in self.thresholds_of_runs.items()
            )
            raise SafescaleError(
                f"the runs were made with different values of {self.family.threshold} ({whose}): "
                "what rests on it does not compare. Give one threshold for all of them (",
                ArgumentHint("threshold", "VALUE"),
                "), or analyse them apart",
            )

    def under(self, preset: Preset) -> Study:
        """This study as a preset looks at it: of new items, and of the answers of several judges as
        one pool or apart."""
        several = len(set(self.judged.values())) < len(self.judged)
        pools = preset.pools_judges and several and self.population == "items"
        if pools and not self.pools_judges:
            baseline = self.baseline and self.judged.get(self.baseline, self.baseline)
            return replace(self, pools_judges=True, baseline=baseline)
        if self.baseline not in {None, *self.runs.models} and not self.pools_judges:
            self._refuse_baseline()
        return self

    def apart(self, preset: Preset) -> Study:
        """This study, of which the preset pools nothing; SafescaleError where it pools judges, for
        what tells of each model of the runs."""
        if self.under(preset).pools_judges:
            raise SafescaleError(
                f"the preset {preset.name} makes one pool of several judges of a model, which "
                "only tables show (safescale analyze); expected another preset, or runs of one "
                "judge for each model"
            )
        return self

    def _refuse_baseline(self) -> NoReturn:
        raise SafescaleError(
            f"baseline {self.baseline!r} is none of the models {', '.join(self.runs.models)}"
        )

    @functools.cached_property
    def judged(self) -> dict[str, str]:
        """Of each model whose answers they are: several judges of them are stored as a model
        each."""
        settings = {model: self._settings_of(model) for model in self.runs.models}
        return {model: own.get(JUDGED_MODEL) or model for model, own in settings.items()}

    def _settings_of(self, model: str) -> Mapping[str, Any]:
        known: Mapping[str, Any] = self.runs.about.get("models", {}).get(model, {})
        return known.get("settings") or {}

    @functools.cached_property
    def thresholds_of_runs(self) -> dict[float, list[str]]:
        """The thresholds that the runs were made with, each with its models; the family's own where
        they do not say."""
        name, found = self.family.threshold, dict[float, list[str]]()
        if not name:
            return found
        for model, known in self.runs.about.get("models", {}).items():
            told = [known.get("settings", {}), *known.get("by_condition", {}).values()]
            own = {float(each[name]) for each in told if each.get(name) is not None} or {
                float(self.family.scoring[name])
            }
            for threshold in sorted(own):
                found.setdefault(threshold, []).append(model)
        return dict(sorted(found.items()))

    @functools.cached_property
    def threshold_in_force(self) -> float | None:
        """The family's threshold; None where it has none."""
        if not self.family.threshold:
            return None
        own = float(self.family.scoring[self.family.threshold])
        return (
            next(iter(self.thresholds_of_runs), own) if self.threshold is None else self.threshold
        )

    @functools.cached_property
    def scoring(self) -> dict[str, Any]:
        """The family's settings of scoring, in force; SafescaleError where the runs were made with
        different ones."""
        settings = dict(self.family.scoring)
        every: list[dict[str, Any]] = [
            {**known.get("settings", {}), **own}
            for known in self.runs.about.get("models", {}).values()
            for own in (known.get("by_condition") or {"": {}}).values()
        ]
        for name in settings:
            found = [each[name] for each in every if each.get(name) is not None]
            if found and name != self.family.threshold:
                if any(each != found[0] for each in found):
                    raise SafescaleError(
                        f"the runs were made with different values of {name}; analyse them apart"
                    )
                settings[name] = found[0]
        return settings | (
            {self.family.threshold: self.threshold_in_force} if self.family.threshold else {}
        )

    @functools.cached_property
    def items(self) -> ItemTable:
        """What scoring knows of the items."""
        return item_table(self.runs)

    @functools.cached_property
    def answers(self) -> dict[tuple[str, str], AnswerArrays]:
        """Answers as arrays, by model and condition."""
        return answer_arrays(self.runs)

    @functools.cached_property
    def raters(self) -> dict[tuple[str, str], AnswerArrays]:
        """Answers of the people who rated the items, as of models (`families.raters`)."""
        first = next(iter(self.answers.values()), None)
        return {} if first is None else answers_of_raters(self.family, self.items, first.measures)

    @functools.cached_property
    def scores(self) -> dict[tuple[str, str], Cell]:
        """Item values, by model and condition; those of plugins' metrics too."""
        return {pair: cell for pair, cell in self.cells.items() if pair not in self.raters}

    @functools.cached_property
    def cells(self) -> dict[tuple[str, str], Cell]:
        """The same of models and, behind them, of human raters."""
        found = {
            pair: replace(
                cell,
                values={
                    **cell.values,
                    **in_order_of_file(cell, self._settings_of(cell.model).get(CASE_ORDER)),
                    **self._asked.columns.get(pair, {}),
                },
            )
            for pair, cell in self._own_scores.items()
        }
        return pool_judges(found, self.judged) if self.pools_judges else found

    @functools.cached_property
    def _own_scores(self) -> dict[tuple[str, str], Cell]:
        return score_cells(self.family, self.items, {**self.answers, **self.raters}, self.scoring)

    @property
    def family(self) -> Family:
        """Whose scores they are."""
        return self.runs.family

    @functools.cached_property
    def conditions(self) -> list[str]:
        """Those that any model was asked under, in the family's order."""
        asked = {condition for _, condition in self.answers}
        return [condition for condition in self.runs.conditions if condition in asked]

    @functools.cached_property
    def metrics(self) -> list[Metric]:
        """The family's, those of measures, and plugins' that the runs asked for; each once."""
        own = [*self.family.metrics(self.items), *MEASURES]
        names = {metric.name for metric in own}
        return [*own, *(metric for metric in self.asked_metrics if metric.name not in names)]

    @property
    def asked_metrics(self) -> list[Metric]:
        """Metrics that the runs asked for: plugins', and those of ours that a result table shows
        only then."""
        return self._asked.metrics

    @property
    def not_computed(self) -> Mapping[str, str]:
        """Plugins' metrics that the runs asked for and that are in no table, with the reason."""
        return self._asked.missing

    @functools.cached_property
    def _asked(self) -> AskedColumns:
        return asked_columns(
            self.runs.about, self.family, self._own_scores, self.threshold_in_force
        )

    @functools.cached_property
    def column(self) -> Column:
        """A column of all cells by its name: shape (N, cells)."""
        given = list(self.scores.values())
        return cached(lambda name: column(given, name))

    @functools.cached_property
    def column_of_cells(self) -> Column:
        """The same of models and raters."""
        given = list(self.cells.values())
        return cached(lambda name: column(given, name)) if self.raters else self.column

    def figures(self, preset: Preset, part: int = 0) -> Mapping[str, Figures]:
        """Every metric over a part of the items, all of them by default, of models and
        raters, by name; made once for each preset."""
        if (preset.name, part) not in self._figures:
            places = self._places[part]
            columns = cached(taken(self.column_of_cells, places)) if part else self.column_of_cells
            self._figures[preset.name, part] = (
                {}
                if not self.scores
                else self.asks.figures(self.metrics, columns, part)
                if self.population == "asks"
                else figures_of(self.metrics, columns, preset, self.design_of(places))
            )
        return self._figures[preset.name, part]

    def figures_without_disputed(self, preset: Preset) -> Mapping[str, Figures]:
        """`figures` over the items that are not disputed, which are a part of their own."""
        return self.figures(preset, len(self.parts))

    @functools.cached_property
    def parts(self) -> list[Part]:
        """All items, and behind them those of each group."""
        return [(None, None, np.arange(len(self.items))), *groups_of(self.items.groups)]

    @functools.cached_property
    def _places(self) -> list[Places]:
        """Of the items of each part, and behind them of those that are not disputed."""
        every = [places for *_, places in self.parts]
        if self.disputes is None:
            return every
        ids = self.disputes.ids
        return [*every, np.array([n for n, name in enumerate(self.items.ids) if name not in ids])]

    @functools.cached_property
    def asks(self) -> Asks:
        """Standard errors of the figures of each part, were its items asked again."""
        return asks_of(
            self.family,
            self.items,
            {**self.answers, **self.raters},
            self.scoring,
            self.metrics,
            self._places,
        )

    @functools.cached_property
    def design(self) -> Design:
        """How the items were drawn: what is resampled together, and within what
        (`Family.stratified_by`)."""
        return self.design_of(np.arange(len(self.items)))

    def design_of(self, places: Places) -> Design:
        """`design` of some of the items."""
        labels = self.items.groups.get(self.family.stratified_by)
        units = self.items.units or self.items.ids
        named = [units[place] for place in places]
        strata: tuple[int, ...] = ()
        if labels is not None:
            first: dict[str, str | None] = {}
            for place in places:
                first.setdefault(units[place], labels[place])
            of_unit = dict(zip(first, strata_of([*first.values()]), strict=True))
            strata = tuple(of_unit[name] for name in named)
        return Design.of(len(places), named if self.items.units else (), strata)

    @functools.cached_property
    def _figures(self) -> dict[tuple[str, int], Mapping[str, Figures]]:
        return {}

    @functools.cached_property
    def panel(self) -> Panel:
        """Family and size of models; a size that it does not know as the runs say it."""
        models = self.runs.about.get("models", {})
        sizes = {
            model: float(known[PARAMETERS_B])
            for model, known in models.items()
            if known.get(PARAMETERS_B)
        }
        return (self.given_panel or load_panel()).sized(sizes)

    @functools.cached_property
    def controls(self) -> frozenset[str]:
        """Models that read no question: they have no size, no family, and no place in a mean over
        models."""
        models = self.runs.about.get("models", {})
        return frozenset(
            model
            for model in self.runs.models
            if models.get(model, {}).get("settings", {}).get("backend") in CONTROLS
        )

    @functools.cached_property
    def draws(self) -> dict[str, int | dict[str, int]]:
        """K of each model; by condition where it differs."""
        by_model: dict[str, dict[str, int]] = {}
        for (model, condition), each in self.answers.items():
            by_model.setdefault(model, {})[condition] = each.draws
        return {
            model: next(iter(ks.values())) if len(set(ks.values())) == 1 else ks
            for model, ks in by_model.items()
        }


def not_scored(study: Study) -> list[Row]:
    """What is missing from the tables and why: model, condition (None: all of them), items
    concerned (None: all), and the reason."""
    rows = [
        _row(left.get("model"), left.get("condition"), None, left["reason"])
        for left in study.runs.about.get("left_out", ())
    ]
    if ids := (study.runs.about.get("dataset") or {}).get("excluded"):
        rows.append(_row(None, None, None, ": ".join(left_out(ids))))
    rows += [_row(None, None, None, why) for why in study.family.unscored(study.items)]
    rows += [
        _row(None, None, None, f"metric {name}: {why}") for name, why in study.not_computed.items()
    ]
    failed = _failures(study.runs)
    for model in study.runs.models:
        for condition in study.runs.conditions:
            if (model, condition) not in study.answers:
                rows.append(_row(model, condition, None, "no answers under this condition"))
    needs_samples = any(metric.decode in OF_SAMPLES for metric in study.metrics)
    for pair, each in study.answers.items():
        found = (
            _of_records(study.runs, pair, each)
            if _over_records(study)
            else _of_cell(each, failed.get(pair, 0), needs_samples=needs_samples)
        )
        rows += [_row(*pair, items, reason) for items, reason in found]
    waiting = "unjudged: a judge must read the answers (safescale judge)"
    rows += [_row(*pair, items, waiting) for pair, items in unjudged(study.runs).items()]
    missing = {pair: int((each.greedy == UNSCORED).sum()) for pair, each in study.raters.items()}
    rows += [
        _row(rater, None, items, "the rater did not answer")
        for (rater, _), items in missing.items()
        if items
    ]
    return rows


def _lacks(entry: PanelModel | None) -> str:
    """Why a model is missing in tables over size and family."""
    if entry is None or entry.parameters_b is None:
        return (
            "not in the model panel: in no ensemble, line over size or share of variance (give a "
            "panel that names it)"
        )
    return (
        "of no family in the model panel: in lines over size of all models only (give a panel that "
        "names its family)"
    )


def remarks_on_answers(study: Study) -> list[Row]:
    """Outputs that are never read as an answer, and retrieval that found nothing."""
    rows = [
        _row(*pair, None, study.family.silence)
        for pair, each in study.answers.items()
        if (each.greedy == NO_RESPONSE).any() and not (each.greedy >= 0).any()
    ]
    nothing = "the search found no passage, and the question was asked without a context"
    rows += [_row(*pair, items, nothing) for pair, items in without_passages(study.runs).items()]
    return rows + [
        _row(*pair, None, said_of_cut(number)) for pair, number in cut_by_limit(study.runs).items()
    ]


def remarks(study: Study) -> list[Row]:
    """What is scored and yet needs a word: outputs that are never read as a letter, retrieval that
    found nothing, and K that differs."""
    rows = remarks_on_answers(study)
    no_samples = set() if _over_records(study) else {0}
    if len({each.draws for each in study.answers.values()} - no_samples) > 1:
        rows.append(
            _row(
                None,
                None,
                None,
                (
                    "the number of trials differs: the lowest record of a case, and how alike its "
                    "records are, compare only at equal numbers"
                )
                if _over_records(study)
                else "K differs: compare confidence and what rests on it only at equal K",
            )
        )
    rows += [
        _row(model, None, None, why)
        for model, known in study.runs.about.get("models", {}).items()
        if (why := _asked_otherwise(known, study.family))
    ]
    rows += _of_settings(study)
    if study.pools_judges:
        several = Counter(study.judged.values())
        rows += [
            _row(model, None, None, f"the verdicts of {n} judges on its answers are one pool")
            for model, n in several.items()
            if n > 1
        ]
    readers = {
        model: reader_of(known.get("settings", {}))
        for model, known in study.runs.about.get("models", {}).items()
    }
    if study.family.judged:
        rows += [
            _row(model, None, None, f"judged by {_judge_said(judge)}")
            for model, known in study.runs.about.get("models", {}).items()
            if (judge := judge_by(known.get("settings", {})))
        ]
    elif len(set(readers.values())) > 1:
        rows += [
            _row(
                model, None, None, f"answers were read by {reader}, those of other models otherwise"
            )
            for model, reader in readers.items()
        ]
    if unchecked := study.runs.about.get(UNCHECKED):
        which = f"{counted(len(unchecked), 'folder')} of an earlier format"
        rows.append(
            _row(
                None,
                None,
                None,
                f"{which} without checksums: damage there would not show (safescale runs verify)",
            )
        )
    rows += [
        _row(model, None, None, _lacks(study.panel.find(model)))
        for model in study.panel.unknown(study.runs.models)
        if model not in study.controls
    ]
    if study.beside is not None:
        rows += [
            _row(model, where, None, why)
            for model, where, why in not_beside(study.runs, study.beside.runs)
        ]
    return rows


def without_passages(runs: Runs) -> dict[tuple[str, str], int]:
    """Of how many items the search found no passage, by model and condition; only where there are
    any."""
    rows = (
        runs.answers.filter((pl.col("draw") == 0) & pl.col("nothing_found"))
        .group_by("model", "condition")
        .len()
    )
    return {
        (model, condition): n for model, condition, n in rows.sort("model", "condition").iter_rows()
    }


def _of_settings(study: Study) -> list[Row]:
    """What the settings under which answers were asked and weighed say of the figures."""
    rows = []
    own = list(study.thresholds_of_runs)
    if study.threshold is not None and own and own != [study.threshold]:
        made_with = ", ".join(f"{each:g}" for each in own)
        words = study.family.scoring_said.get(study.family.threshold, "{}").replace(":.2f", ":g")
        reason = (
            f"{words.format(study.threshold)}, as asked for now; the runs were made with "
            f"{made_with}"
        )
        rows.append(_row(None, None, None, reason))
    for model, known in study.runs.about.get("models", {}).items():
        shared = known.get("settings", {})
        of_all = notes_on(shared)
        rows += [_row(model, None, None, note) for note in of_all]
        for condition, own in known.get("by_condition", {}).items():
            rows += [
                _row(model, condition, None, note)
                for note in notes_on({**shared, **own})
                if note not in of_all
            ]
    return rows


def _asked_otherwise(known: Mapping[str, Any], family: Family) -> str:
    """Where a model's conditions were not asked in the same way, in what; differences between them
    may come from that. What a condition of the family itself sets belongs to it."""
    names = sorted(
        {name for own in known.get("by_condition", {}).values() for name in own}
        - MAY_DIFFER
        - {name for condition in family.conditions for name in condition.defaults}
    )
    return (
        (
            f"conditions were asked with different {', '.join(names)}: a difference between them "
            "may come from that"
        )
        if names
        else ""
    )


def reader_of(settings: Mapping[str, Any]) -> str:
    """Who read the answers that were asked with these settings."""
    judge = judge_by(settings)
    return "rules" if judge is None else f"the judge {judge}".strip()


def judge_by(settings: Mapping[str, Any]) -> str | None:
    """The judge of the answers that were asked with these settings, which may have no name; None
    where rules read them."""
    read = settings.get(READING) or {}
    return name_of_judge(read.get("judge") or {}) if read.get("by") == "judge" else None


def _judge_said(judge: str) -> str:
    return f"the {RULE_BASED}, which is no model" if judge == RULE_BASED else judge


ADJUSTED_OVER = {
    "paired_tests": (
        "p_holm: all pairs of conditions of one model, of models under one condition, or of models "
        "and human raters under one condition, for one metric; the intervals are of each pair alone"
    ),
    "ranks": "all pairs of models under one condition, for one metric",
    "abstention": "all thresholds of one model under one condition, for one limit",
    "all others": "nothing: each interval is of its own figure alone",
}
"""By table: which comparisons its p values and intervals hold for together."""
OF_SAMPLES = {"majority", "samples"}
"""What a metric is of, for it to need all K samples of an item."""


def _of_cell(
    answers: AnswerArrays, failed: int, *, needs_samples: bool
) -> list[tuple[int | None, str]]:
    filtered, waiting = (
        int(np.nansum(answers.measures[each.value])) for each in (Status.FILTERED, Status.UNJUDGED)
    )
    silent = int((answers.greedy == UNSCORED).sum()) - filtered - waiting
    found: list[tuple[int | None, str]] = []
    if filtered:
        found.append((filtered, "a content filter held the greedy answer back"))
    if failed:
        found.append(
            (
                failed,
                (
                    "the greedy answer is missing: the backend failed, or a judge gave no verdict "
                    "on it"
                ),
            )
        )
    if silent > failed:
        found.append((silent - failed, "no greedy answer"))
    if not needs_samples:
        return found
    if not answers.draws:
        found.append((None, "no samples: nothing of the majority answer or of confidence"))
    elif short := int((answers.samples == UNSCORED).any(axis=1).sum()):
        found.append(
            (
                short,
                (
                    f"not all of the {answers.draws} samples were answered: nothing of the "
                    "majority or of confidence"
                ),
            )
        )
    return found


def _over_records(study: Study) -> bool:
    """Whether figures are of every draw of an item, each a record."""
    return any(metric.of_cases for metric in study.metrics)


def _of_records(
    runs: Runs, pair: tuple[str, str], answers: AnswerArrays
) -> Iterator[tuple[int, str]]:
    """Of how many items records are missing, all or some, and why; not of those that wait for a
    judge."""
    own = runs.answers.filter(
        (pl.col("model") == pair[0]) & (pl.col("condition") == pair[1])
    ).select("question_id", "status")
    reasons = {
        Status.FILTERED: "a content filter held an answer back",
        Status.ERROR: "an answer is missing: the backend failed, or a judge gave no verdict on it",
    }
    for status, reason in reasons.items():
        if items := own.filter(pl.col("status") == status.value)["question_id"].n_unique():
            yield items, reason
    told = {*reasons, Status.UNJUDGED}
    known = own.filter(pl.col("status").is_in([each.value for each in told]))
    explained = runs.items["question_id"].is_in(known["question_id"].unique().implode()).to_numpy()
    gone = (answers.codes == UNSCORED) & ~explained[:, None]
    if none := int(gone.all(axis=1).sum()):
        yield none, "no record"
    if some := int((gone.any(axis=1) & ~gone.all(axis=1)).sum()):
        yield some, "no record in some of the trials"


def _failures(runs: Runs) -> Mapping[tuple[str, str], int]:
    failed = runs.answers.filter(runs.answers["status"] == Status.ERROR.value).filter(
        pl.col("draw") == 0
    )
    return {
        (model, condition): n
        for model, condition, n in failed.group_by("model", "condition").len().iter_rows()
    }


def _row(model: str | None, condition: str | None, items: int | None, reason: str) -> Row:
    return {"model": model, "condition": condition, "items": items, "reason": reason}


def about(study: Study, preset: str) -> dict[str, Any]:
    """What a table rests on: data set, models, K, threshold, preset, version, and what could not be
    scored."""
    from lm_eval_safescale import __version__

    other = study.beside
    return {
        "dataset": study.runs.about.get("dataset"),
        **({} if other is None else {"beside": other.runs.about.get("dataset")}),
        **({} if study.disputes is None else {"disputed": study.disputes.as_dict()}),
        "items": study.runs.items.height,
        "units": study.design.n_units,
        "models": study.runs.about.get("models") or {model: {} for model in study.runs.models},
        "conditions": list(study.runs.conditions),
        "draws": study.draws,
        **({"raters": [rater for rater, _ in study.raters]} if study.raters else {}),
        "family": study.family.name,
        "family_version": study.family.version,
        **study.scoring,
        "thresholds_of_runs": sorted(study.thresholds_of_runs),
        "preset": preset,
        "population": study.population,
        "version": __version__,
        "panel": panel_table(study.runs.models, study.panel),
        "published_means": study.panel.published_means if study.family.published_of else None,
        "adjusted_over": ADJUSTED_OVER,
        "not_scored": not_scored(study),
        "ensembles_left_out": ensembles_left_out(study),
        "remarks": remarks(study),
    }
