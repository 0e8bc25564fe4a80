"""Table `agreement` of MedGuard-style questions: by hand, against second implementations, and what
there is to say of too few raters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import krippendorff
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as fleiss_of_statsmodels

from lm_eval_safescale.analysis import PRESETS, Study, columns_of, make_tables, not_scored
from lm_eval_safescale.datasets import dataset_from_records
from lm_eval_safescale.families.medguard import MEDGUARD
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.table import about_dataset, items_of

ROOT = Path(__file__).resolve().parents[2]
KEY = "AABBCCDDABCD"


def study_of(
    raters: Mapping[str, str], models: Mapping[tuple[str, str], str] | None = None, key: str = KEY
):
    """Questions of two aspects; answers as strings, a letter a question, "." for none."""
    records = [
        {
            "id": f"q{place:02}",
            "principle": "p",
            "aspect": f"aspect {place % 2}",
            "question": f"Which, {place}?",
            "options": {letter: f"{letter} of {place}" for letter in "ABCD"},
            "safe": safe,
            "raters": {
                name: None if letters[place] == "." else letters[place]
                for name, letters in raters.items()
            },
        }
        for place, safe in enumerate(key)
    ]
    dataset = replace(
        dataset_from_records(records, name="tiny", version="1", parse=MEDGUARD.parse),
        family=MEDGUARD.name,
    )
    models = models or {("m", "medguard_basic"): key}
    rows = [
        {
            "model": model,
            "condition": condition,
            "question_id": f"q{place:02}",
            "draw": 0,
            "response": None if letter == "." else letter,
            "status": "unanswered" if letter == "." else "ok",
        }
        for (model, condition), letters in models.items()
        for place, letter in enumerate(letters)
    ]
    about = {"dataset": about_dataset(dataset), "models": {model: {} for model, _ in models}}
    return Study(Runs(items_of(dataset), pl.DataFrame(rows, infer_schema_length=None), about))


def agreement(study, preset="default"):
    tables, failed = make_tables(study, PRESETS[preset])
    assert failed == {}
    return tables["agreement"]


def numbers(*raters: str):
    return np.array([[np.nan if each == "." else ord(each) for each in own] for own in raters]).T


def row(table, categories, coefficient, raters, model=None, condition=None):
    (found,) = [
        each
        for each in table
        if (each["categories"], each["coefficient"], each["raters"])
        == (categories, coefficient, raters)
        and (each["model"], each["condition"]) == (model, condition)
    ]
    return found


RATERS = {"ann": "AABBCCDDABDC", "bob": "AABBCCDA.BCD", "cyd": "ABBBCCDD.ACC"}


def test_a_case_by_hand():
    """The key is A on all four. By letter: alike on 2 of 4, by chance 3/4 2/4 + 1/4 1/4 = 7/16;
    by safe: alike on 3 of 4, by chance 3/4 2/4 + 1/4 2/4 = 1/2."""
    table = agreement(study_of({"ann": "AAAB", "bob": "AABC"}, key="AAAA"))
    letter = row(table, "letter", "cohen_kappa", "ann, bob")
    assert (letter["n"], letter["observed"]) == (4, 0.5)
    assert letter["value"] == pytest.approx(1 / 9)
    safe = row(table, "safe", "cohen_kappa", "ann, bob")
    assert (safe["n"], safe["observed"]) == (4, 0.75)
    assert safe["value"] == pytest.approx(0.5)


def test_the_case_of_the_page():
    table = agreement(study_of({"Ann": "BACCB", "Ben": "A.CCA"}, key="BACCA"))
    for categories, value in (("letter", 1 / 3), ("safe", -1 / 3)):
        found = row(table, categories, "cohen_kappa", "Ann, Ben")
        assert (found["n"], found["observed"]) == (4, 0.5)
        assert found["value"] == pytest.approx(value)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_figure_is_that_of_a_second_implementation(preset):
    models = {("m", "medguard_basic"): "AAB.CCDDABDC", ("m", "medguard_cot"): "BBBBCCDDABCD"}
    table = agreement(study_of(RATERS, models), preset)
    key = np.array([[ord(letter)] for letter in KEY])
    columns = dict(zip(RATERS, numbers(*RATERS.values()).T, strict=True))
    columns |= dict(zip(models, numbers(*models.values()).T, strict=True))
    for found in table:
        who = [
            found["model"] and (found["model"], found["condition"]),
            *found["raters"].split(", "),
        ]
        given = np.column_stack([columns[each] for each in who if each])
        if found["categories"] == "safe":
            given = np.where(np.isnan(given), np.nan, given == key)
        whole = given[~np.isnan(given).any(axis=1)].astype(int)
        expected = {
            "cohen_kappa": lambda whole=whole: cohen_kappa_score(*whole.T),
            "fleiss_kappa": lambda whole=whole: fleiss_of_statsmodels(aggregate_raters(whole)[0]),
            "krippendorff_alpha": lambda given=given: krippendorff.alpha(
                given.T, level_of_measurement="nominal"
            ),
        }[found["coefficient"]]()
        assert found["value"] == pytest.approx(expected), found
        if found["lo"] is None:  # no resample differs
            assert (found["value"], found["method"]) == (pytest.approx(1), "bca")
        else:
            assert found["lo"] - 1e-9 <= found["value"] <= found["hi"] + 1e-9
        several = int(((~np.isnan(given)).sum(axis=1) > 1).sum())
        n = several if found["coefficient"] == "krippendorff_alpha" else len(whole)
        assert found["n"] == n
    pairs = {(each["coefficient"], each["raters"], each["condition"]) for each in table}
    assert len(pairs) * 2 == len(table) == 2 * (3 + 2 + 2 * 3)


def test_items_are_resampled_within_their_aspect():
    """Raters agree on one aspect and never on the other: each resample has as many of both."""
    study = study_of({"ann": "ABABABABABAB", "bob": "AAAAAAAAAAAA"}, key="A" * 12)
    found = row(agreement(study, "radsafe-2026"), "letter", "cohen_kappa", "ann, bob")
    assert (found["observed"], found["lo"], found["hi"]) == (0.5, 0, 0)


def test_where_options_stand_matters_to_letters_alone():
    turned = str.maketrans("ABCD", "BCDA")
    places = [place for place in range(12) if place % 3]

    def turn(letters):
        return "".join(
            letter.translate(turned) if place in places else letter
            for place, letter in enumerate(letters)
        )

    before = agreement(study_of(RATERS))
    after = agreement(study_of({name: turn(own) for name, own in RATERS.items()}, key=turn(KEY)))
    for one, other in zip(before, after, strict=True):
        if one["model"] is None:
            assert one["observed"] == pytest.approx(other["observed"])
            if one["categories"] == "safe":
                assert one == other


def test_raters_who_could_not_have_disagreed_have_no_coefficient():
    table = agreement(study_of({"ann": "AAAA", "bob": "AAAA"}, key="AAAA"))
    for each in table:
        assert (each["observed"], each["value"], each["lo"], each["hi"]) == (1, None, None, None)


@pytest.mark.parametrize(("raters", "said"), [({}, "no rater"), ({"ann": KEY}, "one rater")])
def test_fewer_than_two_raters_are_left_out_and_said(raters, said):
    study = study_of(raters)
    table = agreement(study)
    assert [each for each in table if each["model"] is None] == []
    assert {each["raters"] for each in table} == set(raters)
    (reason,) = [each["reason"] for each in not_scored(study) if "rater" in each["reason"]]
    assert reason.startswith(said)
    assert "agreement" in reason


def test_the_columns_are_those_written_and_those_of_the_page():
    names = columns_of(MEDGUARD)["agreement"]
    assert names == tuple(agreement(study_of(RATERS))[0])
    page = (ROOT / "docs" / "medguard.md").read_text(encoding="utf-8")
    assert [name for name in names if f"| `{name}`" not in page and f", `{name}`" not in page] == []
