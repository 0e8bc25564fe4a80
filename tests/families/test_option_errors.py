"""Table `option_errors`: by hand, and against figures of the family that count the same."""

from __future__ import annotations

import polars as pl
import pytest

from lm_eval_safescale.analysis import Study, make_tables, preset_named
from lm_eval_safescale.datasets import dataset_from_records
from lm_eval_safescale.families.noharm import NOHARM_OPTIONS
from lm_eval_safescale.families.noharm.replies import APPROPRIATE, INAPPROPRIATE, Grades
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.table import items_frame
from lm_eval_safescale.verifying.findings import Verification
from lm_eval_safescale.verifying.tables import compare_items
from tests.analysis.test_disputed import demo_runs
from tests.families.test_noharm import case

CASES = [
    case("a3 a2 a0 u0 i3 i1", "c1", specialty="heart"),
    case("a3 i2 i2", "c2", specialty="lung"),
]
CASES[0]["options"][4]["category"] = "Medication"


def runs_of(*replies: dict[str, tuple[int, ...] | None]) -> Runs:
    """Runs of a model, a trial for each of `replies`: the options that are chosen, None for a reply
    that could not be read."""
    data = dataset_from_records(CASES, name="n", parse=NOHARM_OPTIONS.parse)
    rows = [
        {
            "model": "m",
            "condition": "noharm_options",
            "question_id": item.question_id,
            "draw": draw,
            "response": None
            if (chosen := own[item.question_id]) is None
            else Grades(
                {
                    option.id: APPROPRIATE if option.id in chosen else INAPPROPRIATE
                    for option in item.options
                }
            ).as_text(),
            "status": "unanswered" if chosen is None else "ok",
        }
        for draw, own in enumerate(replies)
        for item in data
    ]
    about = {"dataset": {"family": NOHARM_OPTIONS.name, "name": "n", "fingerprint": "f"}}
    return Runs(items_frame(NOHARM_OPTIONS.table(data)), pl.DataFrame(rows), about)


def table(runs: Runs, preset: str = "default") -> dict[tuple, dict]:
    tables, failed = make_tables(Study(runs), preset_named(preset))
    assert not failed
    return {
        (row["by"], row["part"], row["error"]): row
        for row in tables["option_errors"]
        if row["model"] == "m"
    }


def test_two_trials_by_hand():
    # c1 of the first trial: left out 1 (severe), 3 (none); wrongly chosen 5 (severe)
    # c2 of the first: nothing could be read: 1 (severe) left out. The second trial is perfect
    found = table(runs_of({"c1": (2, 4, 5), "c2": None}, {"c1": (1, 2, 3), "c2": (1,)}))
    counts = {key: (row["errors"], row["options"], row["rate"]) for key, row in found.items()}
    assert counts[None, None, "omission"] == (1.5, 4, 3 / 8)
    assert counts[None, None, "commission"] == (0.5, 4, 1 / 8)
    assert counts["severity", "severe", "omission"] == (1, 2, 1 / 2)
    assert counts["severity", "moderate", "omission"] == (0, 1, 0)
    assert counts["severity", "none", "omission"] == (0.5, 1, 1 / 2)
    assert counts["severity", "severe", "commission"] == (0.5, 1, 1 / 2)
    assert counts["category", "Medication", "commission"] == (0.5, 1, 1 / 2)
    assert counts["category", "Diagnostic", "commission"] == (0, 3, 0)
    assert counts["specialty", "lung", "omission"] == (0.5, 1, 1 / 2)
    assert counts["specialty", "heart", "omission"] == (1, 3, 1 / 3)
    assert ("category", "Medication", "omission") not in counts  # there is no such option
    assert ("severity", "mild", "omission") not in counts


@pytest.mark.parametrize("preset", ["default", "radsafe-2026", "noharm-2025"])
def test_it_counts_as_the_figures_of_the_family_do(preset):
    runs = demo_runs(NOHARM_OPTIONS, "noharm_demo", "noharm_options")
    found = table(runs, preset)
    tables, _ = make_tables(Study(runs), preset_named(preset))
    row = next(row for row in tables["profile"] if row["model"] == "m")
    left_out = found[None, None, "omission"]
    assert left_out["rate"] == pytest.approx(1 - row["recall"])
    assert left_out["rate_lo"] == pytest.approx(1 - row["recall_hi"])
    assert left_out["rate_hi"] == pytest.approx(1 - row["recall_lo"])
    severe = [found["severity", "severe", error]["errors"] for error in ("omission", "commission")]
    assert 100 * sum(severe) / runs.items.height == pytest.approx(
        row["severe_errors_per_100_cases"]
    )
    for by in ("severity", "category", "specialty"):
        for error in ("omission", "commission"):
            own = [row for key, row in found.items() if key[0] == by and key[2] == error]
            assert sum(row["errors"] for row in own) == pytest.approx(
                found[None, None, error]["errors"]
            )
            assert sum(row["options"] for row in own) == found[None, None, error]["options"]


def test_runs_of_an_earlier_version_have_no_categories_and_are_whole():
    given = demo_runs(NOHARM_OPTIONS, "noharm_demo", "noharm_options")
    old = Runs(given.items.drop("categories"), given.answers, given.about)
    assert {key[0] for key in table(old)} == {None, "severity", "specialty"}
    found = Verification("runs")
    compare_items(old.items, given.items, found, NOHARM_OPTIONS.later_columns)
    assert not found.findings
    changed = given.items.with_columns(categories=pl.lit("x"))
    compare_items(changed, given.items, found, NOHARM_OPTIONS.later_columns)
    assert len(found.findings) == given.items.height
