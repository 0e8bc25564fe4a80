"""MedGuard-style questions, asked of a stub under the four settings by our runner and by stock
lm_eval: resumed, verified, scored as plain loops score them, and shown beside people.
"""

from __future__ import annotations

import json

import lm_eval
import polars as pl
import pytest
from typer.testing import CliRunner

from lm_eval_safescale.analysis import results
from lm_eval_safescale.cli import app
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.medguard import MEDGUARD, load_demo
from lm_eval_safescale.families.medguard.conditions import COT_TOKENS
from lm_eval_safescale.harness import engines
from lm_eval_safescale.runs import open_runs
from lm_eval_safescale.runs.description import read_run
from lm_eval_safescale.settings import ANSWER_TOKENS, REASONING_TOKENS
from lm_eval_safescale.verifying.verify import verify
from tests import second_medguard as second
from tests.families.test_medguard import METRICS
from tests.running import asking
from tests.running.asking import Stub, ask

CONDITIONS = [condition.name for condition in MEDGUARD.conditions]
BASIC, COT, SAFE, COT_SAFE = CONDITIONS
TEXTS = (
    *("A", "B", "C"),
    "A harms. B checks.\nFinal answer: B",
    "Option C is the best because",
    "I cannot say.",
)
DEMO = {"dataset": "medguard_demo"}


@pytest.fixture(autouse=True)
def stub(monkeypatch):
    monkeypatch.setattr(engines, "sys", asking.seeded)
    monkeypatch.setattr(asking, "TEXTS", TEXTS)


def limits(folder):
    return {name: facts["token_limit"] for name, facts in read_run(folder)["conditions"].items()}


def run(folder, conditions=("medguard",), metadata=None, **given):
    return ask(folder, conditions=conditions, metadata={**DEMO, **(metadata or {})}, **given)


def test_a_run_on_the_demo_questions_is_resumed_verified_and_scored_as_plain_loops(tmp_path):
    run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "torn", faults={"fails_at": 3, "says": "interrupt"})
    run(tmp_path / "torn")
    whole, torn = (open_runs(tmp_path / name) for name in ("whole", "torn"))
    same = [name for name in whole.answers.columns if name not in ("latency_s", "concurrency")]
    assert whole.answers.select(same).equals(torn.answers.select(same))
    assert set(whole.answers["status"]) == {"ok", "unanswered", "truncated"}
    truncated = whole.answers.filter(pl.col("status") == "truncated")
    assert set(truncated["condition"]) == {COT, COT_SAFE}
    assert set(truncated["text"]) == {"Option C is the best because"}
    found = verify(tmp_path / "torn")
    assert (found.verdict.name, found.read_again) == ("WHOLE", whole.answers.height), found.findings

    records = [
        {
            "id": item.question_id,
            "aspect": item.groups["aspect"],
            "safe": item.answer,
            "unsafe": item.unsafe,
        }
        for item in load_demo()
    ]
    table = results(whole).filter(pl.col("group").is_null())
    for condition in CONDITIONS:
        rows = whole.answers.filter(pl.col("condition") == condition)
        given = {
            name: response or "" for name, response in rows.select("question_id", "response").rows()
        }
        shown = table.filter(pl.col("condition") == condition).select("metric", "value").rows()
        expected = second.figures(records, given)
        assert {name: value for name, value in shown if name in expected} == pytest.approx(expected)


def test_reasoning_has_a_token_limit_of_its_own_and_the_users_goes_before_it(tmp_path):
    run(tmp_path / "ours")
    expected = {BASIC: ANSWER_TOKENS, COT: COT_TOKENS, SAFE: ANSWER_TOKENS, COT_SAFE: COT_TOKENS}
    assert limits(tmp_path / "ours") == expected
    known = open_runs(tmp_path / "ours").about["models"]["stub"]
    assert {
        name: known["by_condition"][name]["max_answer_tokens"] for name in CONDITIONS
    } == expected
    run(tmp_path / "theirs", metadata={"max_answer_tokens": 77})
    assert limits(tmp_path / "theirs") == dict.fromkeys(CONDITIONS, 77)
    run(tmp_path / "reasons", metadata={"reasoning": "on"})
    assert limits(tmp_path / "reasons") == dict.fromkeys(CONDITIONS, REASONING_TOKENS)


def test_settings_can_be_asked_one_after_the_other_into_one_folder_and_not_otherwise(
    tmp_path, monkeypatch
):
    run(tmp_path, [COT])
    run(tmp_path, [BASIC])
    run(tmp_path, [SAFE, COT_SAFE])
    assert set(open_runs(tmp_path).conditions) == set(CONDITIONS)
    assert run(tmp_path, [COT]).standing.known == 60
    with pytest.raises(SafescaleError, match="max_answer_tokens: there null, now 77"):
        run(tmp_path, [COT], {"max_answer_tokens": 77})
    monkeypatch.setitem(MEDGUARD.conditions[1].defaults, "max_answer_tokens", 99)
    with pytest.raises(SafescaleError, match=r"medguard_cot\.token_limit: there 1024, now 99"):
        run(tmp_path, [COT])


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "TEXTS", TEXTS)
        found = lm_eval.simple_evaluate(
            model=Stub(),
            tasks=["medguard"],
            apply_chat_template=True,
            limit=20,
            metadata=DEMO,
        )
    path = tmp_path_factory.mktemp("stock") / "results_1.json"
    found = {key: value for key, value in found.items() if key != "samples"}
    path.write_text(json.dumps({**found, "model_name": "stub"}, default=str))
    return path, found


def test_stock_lm_eval_asks_the_same_and_counts_the_same(stock, tmp_path):
    _, found = stock
    run(tmp_path, limit=20)
    table = results(open_runs(tmp_path)).filter(pl.col("group").is_null())
    for name in CONDITIONS:
        of_stock = found["results"][name]
        ours = dict(table.filter(pl.col("condition") == name).select("metric", "value").iter_rows())
        shown = {name: of_stock[f"{name},letter"] for name in METRICS}
        assert shown == pytest.approx({metric: ours[metric] for metric in shown})
        limit = found["configs"][name]["metadata"]["safescale"]["settings"]["max_answer_tokens"]
        assert limit == (COT_TOKENS if "cot" in name else ANSWER_TOKENS)
        assert found["configs"][name]["task_alias"] == f"{name} (DEMO)"


def test_people_stand_beside_the_settings_in_one_table(stock):
    path, _ = stock
    shown = CliRunner().invoke(app, ["table", str(path)], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert shown.output.count("stub on medguard_demo 1.0 - DEMO") == 1
    head = shown.output.splitlines()[2]
    assert [name for name in head.split("┃") if name.strip()] != []
    for name in (*CONDITIONS, "rater_1 (human)", "rater_2 (human)", "rater_3 (human)"):
        assert name in head
    items = [item for item in load_demo().items[:20] if "rater_3" in item.raters]
    right = sum(item.raters["rater_3"] == item.answer for item in items) / len(items)
    assert f"{100 * right:.1f} ±" in shown.output


def test_analyze_shows_people_and_what_they_are_compared_by(tmp_path):
    run(tmp_path / "run")
    shown = CliRunner().invoke(
        app,
        ["analyze", str(tmp_path / "run"), "-o", str(tmp_path / "tables")],
        env={"COLUMNS": "200"},
    )
    assert shown.exit_code == 0, shown.output
    assert "DEMO: no clinical claim" in shown.output
    assert shown.output.count("rater_1 (human)") == 2  # its row, and the item it left out
    assert "The same of models and human raters: safe answer " in shown.output
    assert "rater_3 (human) (3 items)" in shown.output
    about = json.loads((tmp_path / "tables" / "about.json").read_text())
    assert about["raters"] == [f"rater_{number} (human)" for number in (1, 2, 3)]
    assert not [row for row in about["remarks"] if "max_answer_tokens" in row["reason"]]


def test_the_publications_questions_are_said_to_be_unpublished(tmp_path):
    with pytest.raises(SafescaleError, match=r"MEDGUARD are not published; name a file of yours"):
        ask(tmp_path, conditions=["medguard"], metadata={})
