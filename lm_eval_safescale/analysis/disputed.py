"""Table `disputed`: every headline with and without the items that a reader disputes. It knows
metrics as headlines of their family, and no metric by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lm_eval_safescale.families.rows import Row, number
from lm_eval_safescale.stats.presets import DEFAULT, Preset
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.analysis.study import Study

OF_EACH = ("value", "lo", "hi", "n")
COLUMNS = (
    *("family", "model", "condition", "metric"),
    *(f"{name}{ending}" for ending in ("", "_without") for name in OF_EACH),
    "difference",
)


def disputed(study: Study, preset: Preset = DEFAULT) -> list[Row]:
    """Every headline metric of every model and rater over all items, and without those that are
    disputed; no rows where nothing is.

    Returns
    -------
    Rows of `COLUMNS`: `value` with its interval and `n` as in `results`; the same `_without` the
    disputed items, resampled by their own units and strata; `difference` is the figure without
    them less that of all. None where not scored.
    """
    if study.disputes is None:
        return []
    everything, rest = study.figures(preset), study.figures_without_disputed(preset)
    rows = []
    for place, (model, condition) in enumerate(study.cells if study.scores else ()):
        for name in study.family.headlines:
            row: Row = {
                "family": study.family.name,
                "model": model,
                "condition": condition,
                "metric": name,
            }
            for ending, figures in (("", everything[name]), ("_without", rest[name])):
                row |= {
                    f"{each}{ending}": number(getattr(figures, each)[place]) for each in OF_EACH
                }
                row[f"n{ending}"] = int(figures.n[place])
            both = row["value_without"], row["value"]
            row["difference"] = None if None in both else both[0] - both[1]
            rows.append(row)
    return rows


def said_of_disputed(rows: Sequence[Mapping[str, Any]], excluded: int) -> Iterator[str]:
    """What the table says, in sentences: by how much the headlines change at most, and what
    changes most."""
    known = [row for row in rows if row["difference"] is not None]
    yield f"{counted(excluded, 'item')} disputed; every other table is over all items."
    if not known:
        yield "Nothing is scored with and without them."
        return
    largest = max(known, key=lambda row: abs(row["difference"]))
    if not largest["difference"]:
        yield "No headline changes without them."
        return
    yield (
        f"Without them the largest change is that of {largest['metric'].replace('_', ' ')}: "
        f"{largest['model']}, {largest['condition']}, from {100 * largest['value']:.1f} to "
        f"{100 * largest['value_without']:.1f} percent."
    )
    unknown = len(rows) - len(known)
    if unknown:
        yield f"{counted(unknown, 'headline')} not scored with or without them."
