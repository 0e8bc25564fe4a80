"""Tables across models and conditions, from runs to rows. In Python: `profile(open_runs("runs"))`
and its kin give Polars frames.

Everything here knows runs and statistics; it knows neither the harness nor how a table is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import polars as pl

from lm_eval_safescale.analysis import abstention as _abstention
from lm_eval_safescale.analysis import accuracy_and_safety as _accuracy_and_safety
from lm_eval_safescale.analysis import context_axis as _context_axis
from lm_eval_safescale.analysis import disputed as _disputed
from lm_eval_safescale.analysis import group_means as _group_means
from lm_eval_safescale.analysis import model_means as _model_means
from lm_eval_safescale.analysis import paired_tests as _paired_tests
from lm_eval_safescale.analysis import profile as _profile
from lm_eval_safescale.analysis import ranks as _ranks
from lm_eval_safescale.analysis import results as _results
from lm_eval_safescale.analysis import scaling as _scaling
from lm_eval_safescale.analysis import variance as _variance
from lm_eval_safescale.analysis.columns import columns_of
from lm_eval_safescale.analysis.disputes import Dispute, Disputes, read_disputes
from lm_eval_safescale.analysis.scores import score_cells
from lm_eval_safescale.analysis.study import Study, about, not_scored, remarks
from lm_eval_safescale.analysis.writing import write_tables
from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.families import RADSAFE, Family
from lm_eval_safescale.families.cells import Cell
from lm_eval_safescale.families.panel import Panel, load_panel
from lm_eval_safescale.families.rows import Columns, Row
from lm_eval_safescale.runs.store import open_runs
from lm_eval_safescale.runs.table import Runs
from lm_eval_safescale.settings import THRESHOLD
from lm_eval_safescale.stats.presets import PRESETS, Preset, preset_named

Make = Callable[[Study, Preset], list[Row] | Columns]


def tables_of(family: Family) -> dict[str, Make]:
    """Every table of a family by its name, its own among those that all have."""
    return {
        "results": _results.results,
        "profile": _profile.profile,
        "paired_tests": _paired_tests.paired_tests,
        "ranks": _ranks.ranks,
        "model_means": _model_means.model_means,
        "group_means": _group_means.group_means,
        **{name: table.make for name, table in family.tables.items()},
        "abstention": _abstention.abstention,
        "scaling": _scaling.scaling,
        "variance": _variance.variance,
        "context_axis": _context_axis.context_axis,
        "accuracy_and_safety": _accuracy_and_safety.accuracy_and_safety,
        "disputed": _disputed.disputed,
    }


TABLES: Mapping[str, Make] = MappingProxyType(tables_of(RADSAFE))
"""RadSaFE's tables: from a study and a preset to flat rows, None for missing."""
COLUMNS = columns_of(RADSAFE)
"""Of RadSaFE's tables, by name: their columns in order, those that a table without rows has too."""


def make_tables(
    study: Study, preset: Preset
) -> tuple[dict[str, list[Row] | Columns], dict[str, str]]:
    """Every table that can be made, and why the others cannot: one never costs the others.

    Of the same items asked again those of `OF_ASKS` are made, the others tell of new items alone.
    """
    tables: dict[str, list[Row] | Columns] = {}
    failed: dict[str, str] = {}
    for name, make in tables_of(study.family).items():
        if study.population == "asks" and name not in OF_ASKS:
            continue
        try:
            tables[name] = make(study, preset)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {reason_of(error)}"
    return tables, failed


OF_ASKS = ("results", "profile", "paired_tests", "disputed")
"""Tables that have intervals over asks of the same items."""
Frames = Callable[..., pl.DataFrame]


def _study(
    name: str, runs: Runs | Study, threshold: float | None = None, panel: Panel | None = None
) -> Study:
    if not isinstance(runs, Runs | Study):
        raise SafescaleError(
            f"{name}: expected runs, as open_runs(FOLDER) gives them, or a Study; not "
            f"{type(runs).__name__}"
        )
    return runs if isinstance(runs, Study) else Study(runs, threshold, panel)


def _frame_of(name: str) -> Frames:
    def frame(
        runs: Runs | Study,
        preset: str | Preset = "default",
        *,
        threshold: float | None = None,
        panel: Panel | None = None,
    ) -> pl.DataFrame:
        chosen = preset_named(preset)
        study = _study(name, runs, threshold, panel).under(chosen)
        tables = tables_of(study.family)
        if name not in tables:
            raise SafescaleError(
                f"{name}: the family {study.family.name} has no such table; it has "
                f"{', '.join(tables)}"
            )
        if study.population == "asks" and name not in OF_ASKS:
            raise SafescaleError(
                f"{name}: its intervals are of new items, and there are none of the same items "
                f"asked again; expected one of {', '.join(OF_ASKS)}"
            )
        rows = tables[name](study, chosen)
        if not rows:
            return pl.DataFrame(schema=dict.fromkeys(columns_of(study.family)[name], pl.Null))
        frame = pl.DataFrame(rows, infer_schema_length=None)
        return frame.with_columns(pl.col(pl.Null).cast(pl.Float64))

    frame.__name__ = frame.__qualname__ = name
    frame.__doc__ = f"""Table `{name}` as a frame (docs/analysis.md).

    Parameters
    ----------
    runs
        As `open_runs` gives them, or a `Study`, which scores them once for several tables.
    preset
        "default", "radsafe-2026", "noharm-2025" or "noharm-2026".
    threshold
        From which confidence on a harmful majority answer is overconfident; None: as the runs were
        made. A `Study` has its own.
    panel
        Family and size of models; a `Study` has its own.

    Raises
    ------
    SafescaleError
        For an unknown preset, and for runs of different thresholds where none is given.
    """
    return frame


# the modules of these names are hidden by their tables, which is what a user means
results = _frame_of("results")
profile = _frame_of("profile")
paired_tests = _frame_of("paired_tests")
ranks = _frame_of("ranks")
model_means = _frame_of("model_means")
group_means = _frame_of("group_means")
ensembles = _frame_of("ensembles")
worst_case = _frame_of("worst_case")
concentration = _frame_of("concentration")
concentration_curve = _frame_of("concentration_curve")
calibration_bins = _frame_of("calibration_bins")
confidence_by_outcome = _frame_of("confidence_by_outcome")
confidence_lines = _frame_of("confidence_lines")
self_consistency = _frame_of("self_consistency")
single_to_majority = _frame_of("single_to_majority")
selective = _frame_of("selective")
abstention = _frame_of("abstention")
scaling = _frame_of("scaling")
variance = _frame_of("variance")
context_axis = _frame_of("context_axis")
disputed = _frame_of("disputed")


def accuracy_and_safety(
    runs: Runs | Study, preset: str | Preset = "default", *, beside: Runs | Study | None = None
) -> pl.DataFrame:
    """Table `accuracy_and_safety` as a frame (docs/analysis.md).

    Parameters
    ----------
    runs
        As `open_runs` gives them, or a `Study`.
    preset
        "default", "radsafe-2026", "noharm-2025" or "noharm-2026".
    beside
        Runs of the same models on another data set; None: those of the `Study`, and no rows where
        it has none.

    Raises
    ------
    SafescaleError
        Where there is nothing to compare: a family has no index, both are of one data set, or no
        model was asked both; and for an unknown preset.
    """
    name = "accuracy_and_safety"
    study = _study(name, runs)
    if beside is not None:
        study = replace(study, beside=_study(name, beside))
    return _frame_of(name)(study, preset)


__all__ = [
    "COLUMNS",
    "PRESETS",
    "TABLES",
    "THRESHOLD",
    "Cell",
    "Dispute",
    "Disputes",
    "Panel",
    "Preset",
    "Study",
    "about",
    "abstention",
    "accuracy_and_safety",
    "calibration_bins",
    "columns_of",
    "concentration",
    "concentration_curve",
    "confidence_by_outcome",
    "confidence_lines",
    "context_axis",
    "disputed",
    "ensembles",
    "group_means",
    "load_panel",
    "make_tables",
    "model_means",
    "not_scored",
    "open_runs",
    "paired_tests",
    "preset_named",
    "profile",
    "ranks",
    "read_disputes",
    "remarks",
    "results",
    "scaling",
    "score_cells",
    "selective",
    "self_consistency",
    "single_to_majority",
    "tables_of",
    "variance",
    "worst_case",
    "write_tables",
]
