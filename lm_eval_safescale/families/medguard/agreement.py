"""Table `agreement`: how far the raters of the questions agree beyond chance, with one another and
with the models. It knows letters and safe keys, and no text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from lm_eval_safescale.families.cells import Pair
from lm_eval_safescale.families.choice.facts import LETTERS, facts_of
from lm_eval_safescale.families.family import Floats, StudyView, TableOf
from lm_eval_safescale.families.medguard.questions import raters_of
from lm_eval_safescale.families.rows import Row, number
from lm_eval_safescale.stats.presets import DEFAULT, Preset
from lm_eval_safescale.stats.raters import (
    Coefficient,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
)

OF_ALL: Mapping[str, Coefficient] = {
    "fleiss_kappa": fleiss_kappa,
    "krippendorff_alpha": krippendorff_alpha,
}


def agreement(study: StudyView, preset: Preset = DEFAULT) -> list[Row]:
    """Cohen's kappa of each two raters, Fleiss' kappa and Krippendorff's alpha of all of them; then
    Cohen's of each model under each condition with each rater.

    Each by two kinds of categories: `letter`, the option that was chosen, and `safe`, whether it is
    the safe key. No answer is no rating.

    Returns
    -------
    Rows of: categories, coefficient, raters (joined by ", "), model and condition (None among
    raters), n (items on which it rests), observed (agreement), value, lo and hi (95 %, items
    resampled within their aspect), method (of the interval). None where not defined.
    """
    items = study.items
    people = {name: _numbers(letters) for name, letters in raters_of(items).items()}
    models = {
        pair: np.where(cell.answers.greedy < 0, np.nan, cell.answers.greedy)
        for pair, cell in study.scores.items()
    }
    key = facts_of(items).key[:, None]
    rows = []
    for categories in ("letter", "safe"):
        for told, coefficient, given in _comparisons(people, models):
            ratings = np.column_stack(given)
            if categories == "safe":
                ratings = np.where(np.isnan(ratings), np.nan, ratings == key)
            found = coefficient(ratings)
            drawn, left_out = (
                coefficient(ratings, every).coefficient[None]
                for every in (study.design.weights, study.design.left_out)
            )
            low, high = preset.figure_interval(found.coefficient[None], drawn, left_out)
            rows.append(
                {
                    "categories": categories,
                    **told,
                    "n": found.n,
                    "observed": number(found.observed),
                    "value": number(found.coefficient),
                    "lo": number(low[0]),
                    "hi": number(high[0]),
                    "method": preset.method_of(left_out),
                }
            )
    return rows


def _comparisons(
    people: Mapping[str, Floats], models: Mapping[Pair, Floats]
) -> Iterator[tuple[Row, Coefficient, list[Floats]]]:
    """Who is compared, by which coefficient, and the letters of each."""

    def told(coefficient: str, raters: Sequence[str], pair: Pair | None = None) -> Row:
        model, condition = pair or (None, None)
        return {
            "coefficient": coefficient,
            "raters": ", ".join(raters),
            "model": model,
            "condition": condition,
        }

    for two in combinations(people, 2):
        yield told("cohen_kappa", two), cohen_kappa, [people[name] for name in two]
    if len(people) > 1:
        for name, coefficient in OF_ALL.items():
            yield told(name, list(people)), coefficient, list(people.values())
    for pair, letters in models.items():
        for name, own in people.items():
            yield told("cohen_kappa", [name], pair), cohen_kappa, [letters, own]


def _numbers(letters: Sequence[str | None]) -> Floats:
    """Letters as numbers, A is 0; nan for none."""
    return np.array([np.nan if each is None else LETTERS.index(each) for each in letters])


TABLES = {
    "agreement": TableOf(
        agreement,
        (
            *("categories", "coefficient", "raters", "model", "condition", "n", "observed"),
            *("value", "lo", "hi", "method"),
        ),
    )
}
