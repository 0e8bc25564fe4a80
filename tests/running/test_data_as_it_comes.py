"""Data in a layout of others, asked by our runner: how they are read is found again with the runs,
and what was left out is said with every result.
"""

import pytest

from lm_eval_safescale.analysis import Study
from lm_eval_safescale.analysis.study import not_scored
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.controls import CONTROLS
from lm_eval_safescale.running import Model, run
from lm_eval_safescale.runs import open_runs
from lm_eval_safescale.verifying.findings import Verdict
from lm_eval_safescale.verifying.verify import verify
from tests.datasets.layouts import LAYOUTS

_, AT_RANDOM = CONTROLS


@pytest.fixture
def ask(tmp_path):
    """Asks a control the questions of CareQA's layout, whose keys are numbers."""
    careqa = next(layout for layout in LAYOUTS if layout.name == "CareQA")
    (path := tmp_path / careqa.file).write_text(careqa.text(), encoding="utf-8")

    def ask(**settings):
        metadata = {"dataset_path": str(path), "draws": 2, **settings}
        folder = tmp_path / "runs"
        run(Model(AT_RANDOM, {}), folder, ["closed_book"], metadata=metadata)
        return folder

    return ask


def test_runs_find_their_data_again_by_the_settings_that_read_them(ask):
    folder = ask(first_index=1, exclude_items=["q3"])
    about = open_runs(folder).about["dataset"]
    assert (about["items"], about["excluded"]) == (3, ["q3"])
    assert about["settings"]["first_index"] == 1
    assert verify(folder).verdict is Verdict.WHOLE


def test_every_table_says_which_items_were_left_out(ask):
    study = Study(open_runs(ask(first_index=1, exclude_items=["q3", "q1"])))
    reasons = [row["reason"] for row in not_scored(study)]
    assert "2 items left out by exclude_items: q3, q1" in reasons


def test_other_items_left_out_are_another_run(ask):
    ask(first_index=1, exclude_items=["q3"])
    with pytest.raises(SafescaleError, match="fingerprint"):
        ask(first_index=1)
    with pytest.raises(SafescaleError, match="exclude_items: no item has the id 'q9'"):
        ask(first_index=1, exclude_items=["q9"])
