"""The option protocol on the demo cases: asked of a stub, interrupted, resumed, verified, analysed,
and marked DEMO.
"""

from __future__ import annotations

import json

import pytest

from lm_eval_safescale.analysis import Study, make_tables, preset_named, results
from lm_eval_safescale.families.noharm import load_demo
from lm_eval_safescale.harness import engines
from lm_eval_safescale.runs import open_runs
from lm_eval_safescale.verifying.verify import verify
from tests import second_noharm as second
from tests.families.test_noharm import PROTOCOL, kit, kit_case, parsed
from tests.running import asking
from tests.running.asking import ask

NUMBERS = range(1, 41)


def reply(wanted):
    grades = (
        {
            "Option": n,
            "GradeAI": "Appropriate" if wanted(n) else "Inappropriate",
            "Rationale": "stub",
        }
        for n in NUMBERS
    )
    return json.dumps(list(grades))


TEXTS = (
    reply(lambda n: False),
    reply(lambda n: True),
    reply(lambda n: n % 3 == 0),
    reply(lambda n: n < 20),
    "I cannot say.",
    '[{"Option": 1, "Gra',
)


@pytest.fixture
def stub(monkeypatch):
    monkeypatch.setattr(engines, "sys", asking.seeded)
    monkeypatch.setattr(asking, "TEXTS", TEXTS)


def run(folder, **given):
    return ask(
        folder,
        conditions=["noharm_options"],
        metadata={"dataset": "noharm_demo", "draws": 2},
        **given,
    )


def test_a_run_on_the_demo_cases_is_resumed_verified_and_scored_as_plain_loops_score_it(
    stub, tmp_path
):
    run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "torn", faults={"fails_at": 3, "says": "interrupt"})
    run(tmp_path / "torn")
    whole, torn = (open_runs(tmp_path / name) for name in ("whole", "torn"))
    assert whole.answers.drop("latency_s", "concurrency").equals(
        torn.answers.drop("latency_s", "concurrency")
    )
    assert (whole.about["dataset"]["family"], whole.about["dataset"]["demo"]) == (
        "noharm_options",
        True,
    )
    assert set(whole.answers["status"]) == {"ok", "unanswered", "truncated"}
    found = verify(tmp_path / "torn")
    assert (found.verdict.name, found.read_again) == ("WHOLE", whole.answers.height), found.findings

    records = [item.as_record() for item in load_demo()]
    assert parsed(records)[0] == list(load_demo())
    by_place = {
        (row["question_id"], row["draw"]): row["response"]
        for row in whole.answers.iter_rows(named=True)
    }
    trials = [
        [_grades(by_place[record["question_id"], draw]) for record in records] for draw in range(3)
    ]
    expected = second.figures(records, trials)
    table = results(whole)
    overall = table.filter(table["group"].is_null())
    shown = dict(overall.select("metric", "value").iter_rows())
    assert {name: shown[name] for name in PROTOCOL} == {
        name: pytest.approx(expected[name], abs=1e-12) for name in PROTOCOL
    }
    _, failed = make_tables(Study(whole), preset_named("default"))
    assert failed == {}


def test_the_kits_folder_is_asked_as_a_file_is(stub, tmp_path):
    folder = kit(
        tmp_path / "kit",
        kit_case("Card001", {"score": 9}, {"score": 1}),
        kit_case("All002", {"score": 8}, {"score": 5}),
    )
    ask(
        tmp_path / "run",
        conditions=["noharm_options"],
        metadata={"dataset_path": str(folder), "draws": 1},
    )
    runs = open_runs(tmp_path / "run")
    assert (runs.about["dataset"]["demo"], set(runs.items["question_id"])) == (
        False,
        {"Card001", "All002"},
    )
    assert verify(tmp_path / "run").verdict.name == "WHOLE"


def _grades(response):
    return (
        None
        if response is None
        else {each["Option"]: each.get("GradeAI") for each in json.loads(response)}
    )
