"""Judged records in the open NOHARM kit's layout, from a file to tables."""

from __future__ import annotations

import json
from math import isnan

import pytest

from lm_eval_safescale import analysis
from lm_eval_safescale.datasets import DataError
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.noharm_text.verdicts import Verdicts
from lm_eval_safescale.importing import import_noharm
from lm_eval_safescale.importing.noharm import IGNORED
from lm_eval_safescale.runs.store import merge_runs, open_runs, write_runs
from tests import noharm_text_studies as studies
from tests import second_noharm_text as second

OPTIONS = [
    {"id": 3, "text": "Start an anticoagulant", "category": "Medication", "score": 9},
    {"id": 11, "text": "Order an ECG", "category": "Diagnostic", "score": 7},
]


@pytest.fixture
def written(tmp_path):
    """`written(records)`: the file and the kit."""

    def write(*records):
        items = [studies.make_item("Card1", None, "baseline"), studies.make_item("Card1", 0, "Age")]
        study = studies.Study(items, {"Card1": OPTIONS}, list(records))
        return study.write(tmp_path / "kit")[::-1]

    return write


def record(name="Card1", trial=1, judge="a judge", matched=(3,), match="3", **fields):
    options = [{"id": each["id"], "matched": each["id"] in matched} for each in OPTIONS]
    action = {"number": 1, "action": "Anticoagulate", "category": "Medication", "match": match}
    own = {"id": name, "trial": trial, "judge": judge, "options": options}
    return {**own, "responseActions": [action], **fields}


def verdicts(runs):
    return [Verdicts.read(text) for text in runs.answers["response"].cast(str)]


def test_records_become_verdicts_and_trials_draws(written):
    runs = import_noharm(*written(record(trial=7), record(trial=2), record("Card1-0", trial=7)))
    rows = runs.answers.select("model", "condition", "question_id", "draw").rows()
    assert rows == [
        ("judged", "noharm", "Card1", 0),
        ("judged", "noharm", "Card1", 1),
        ("judged", "noharm", "Card1-0", 1),
    ]
    first = verdicts(runs)[0]
    assert (first.judge, first.trial) == ("a judge", 2)
    assert {number: (each.match, each.review) for number, each in first.options.items()} == {
        3: ("yes", "unknown"),
        11: ("no", "unknown"),
    }
    assert [(each.number, each.match) for each in first.actions] == [(1, (3,))]
    settings = runs.about["models"]["judged"]["settings"]
    assert settings["judged_model"] == "judged"
    assert settings["reading"] == {"by": "judge", "judge": {"name": "a judge"}}


def test_what_the_kit_passes_over_is_imitated(written):
    partial = record(matched=(3, 11), match=" 11, 3 ,11")
    partial["options"][0]["partial"], partial["options"][1]["partial"] = True, None
    unmatched = record("Card1-0", matched=(), match=" ")
    unmatched["options"][0]["partial"] = True
    (first, second_one) = verdicts(import_noharm(*written(partial, unmatched)))
    assert [each.match for each in first.options.values()] == ["partial", "yes"]
    assert first.actions[0].match == (11, 3)
    assert not second_one.matched()
    assert second_one.actions[0].match == ()


def test_other_fields_are_ignored_and_counted(written):
    given = record(summary="s", harm=[])
    given["responseActions"][0] |= {"score": 9, "rationale": "r", "evidence": "e"}
    runs = import_noharm(*written(given, record("Card1-0", summary="s")))
    assert runs.about[IGNORED] == {
        "harm": 1,
        "responseActions.rationale": 1,
        "responseActions.score": 1,
        "summary": 2,
    }
    assert verdicts(runs)[0].actions[0].evidence == "e"


def without(number):
    given = record()
    given["options"] = [each for each in given["options"] if each["id"] != number]
    return given


def also(number):
    given = record()
    given["options"].append({"id": number, "matched": False})
    return given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (without(11), "item Card1: options: option 11 is missing"),
        (also(12), "item Card1: options: option 12 is no option of the case"),
        (also(11), "item Card1: options: option 11 stands twice"),
        (record(match="4"), "item Card1: responseActions: action 1, match: names option 4"),
        (record(match="3,"), "action 1, match: names ''; expected the number of an option"),
        (record(match="x"), "action 1, match: names 'x'"),
        (record(match="²"), "action 1, match: names '²'"),
        (record(match=3), "action 1, match: expected a text such as '3,11', found 3"),
        (record(match="11"), "action 1, match: names option 11, which is not matched"),
        (record("Card2"), "judged.jsonl:1: item Card2: id: 'Card2' is no item of the kit"),
        (record(None), "id: None is no item of the kit"),
        (record(trial=None), "item Card1: trial: expected a whole number, found None"),
        (record(judge=" "), "item Card1: judge: expected a text"),
        (record(options={}), "item Card1: options: expected a list, found {}"),
        (record(options=[1]), "options[1]: expected an object, found 1"),
        (record(options=[{"id": "3"}]), "options[1].id: expected a whole number, found '3'"),
        (record(responseActions=None), "responseActions: expected a list, found None"),
        (record(responseActions=[{}]), "responseActions[1].number: expected a whole number"),
        ({**record(), "options": [{"id": 3, "matched": 1}]}, "option 3, matched: expected true or"),
    ],
)
def test_what_cannot_be_used_is_named(written, given, said):
    with pytest.raises(DataError) as raised:
        import_noharm(*written(given))
    assert said in str(raised.value)
    assert "judged.jsonl:1" in str(raised.value)


def test_a_record_stands_once_for_each_item_trial_and_judge(written):
    with pytest.raises(DataError, match=r"jsonl:3: item Card1: id: stands twice .*on line 1"):
        import_noharm(*written(record(), record(judge="b"), record()))


def test_many_faults_are_few_lines(written):
    given = [record(match=str(number), trial=number) for number in range(20, 90)]
    given += [record(name, trial=n) for n, name in enumerate(["a", "b", "c"])] + [without(3)]
    with pytest.raises(DataError) as raised:
        import_noharm(*written(*given))
    assert len(str(raised.value).splitlines()) < 8
    assert "(and 70 more like it: items Card1)" in str(raised.value)


@pytest.mark.parametrize(
    "line", ["[1]", "{", "null", '{"id": NaN}', "\ud800".encode("utf-8", "replace").decode()]
)
def test_lines_that_are_no_records_are_named(written, line):
    records, kit = written(record())
    records.write_text(records.read_text() + line + "\n")
    with pytest.raises(SafescaleError) as raised:
        import_noharm(records, kit)
    assert "judged.jsonl" in str(raised.value)


def test_a_kit_of_another_version_is_no_kit_of_these_records(written):
    records, kit = written(record())
    path = kit / "dataset" / "rubrics" / "Card1.json"
    rubric = json.loads(path.read_text())
    rubric["options"].append({**OPTIONS[0], "id": 12})
    path.write_text(json.dumps(rubric))
    with pytest.raises(DataError, match="option 12 is missing"):
        import_noharm(records, kit)


def test_only_a_condition_of_the_family_is_taken(written):
    records, kit = written(record())
    runs = import_noharm(records, kit, model="M", condition="noharm_zero")
    assert (runs.models, runs.conditions) == (("M",), ("noharm_zero",))
    with pytest.raises(SafescaleError, match=r"no condition .*did you mean noharm_zero"):
        import_noharm(records, kit, condition="noharm_zer")


# --- figures, against plain loops -----------------------------------------------------------------


@pytest.mark.parametrize("seed", [3, 5, 8, 13, 21, 34])
def test_the_preset_gives_what_plain_loops_find_in_the_file_judges_pooled(seed, tmp_path):
    study = studies.study(seed)
    kit, records = study.write(tmp_path / "kit")
    write_runs(import_noharm(records, kit, model="M"), tmp_path / "runs")
    runs = open_runs(tmp_path / "runs")
    judges = {each["judge"] for each in study.records}
    assert set(runs.models) == (
        {"M"} if len(judges) == 1 else {f"M (judged by {each})" for each in judges}
    )
    rows = second.scored(study.rubrics, study.records)
    table = analysis.results(runs, "noharm-2026")
    overall = table.filter(table["group"].is_null() & (table["model"] == "M"))
    found = {row["metric"]: row for row in overall.iter_rows(named=True)}
    for name in second.NAMES:
        value, cases, used = second.figure(study.rubrics, rows, name)
        ends = second.interval(second.case_values(study.rubrics, rows, name)) or (None, None)
        own = found[name]
        assert (own["cases"], own["records"]) == (cases, used), name
        for mine, theirs in zip((own["value"], own["lo"], own["hi"]), (value, *ends), strict=True):
            assert (mine is None or isnan(mine)) == (theirs is None), name
            assert theirs is None or mine == pytest.approx(theirs, abs=1e-12), name


def test_judges_stand_apart_under_the_default_and_tables_have_every_record(tmp_path):
    study = next(
        each
        for each in map(studies.study, range(30))
        if len({record["judge"] for record in each.records}) == 2
    )
    kit, records = study.write(tmp_path / "kit")
    runs = import_noharm(records, kit, model="M")
    assert set(analysis.results(runs)["model"]) == {
        "M (judged by judge 0)",
        "M (judged by judge 1)",
    }
    own = analysis.Study(runs)
    tables = analysis.tables_of(own.family)
    found = tables["noharm_records"](own, analysis.PRESETS["default"])
    expected = {
        (each["id"], each["trial"], each["judge"]): second.figures_of_record(
            study.rubrics[second.base_of(each["id"])], each
        )
        for each in study.records
    }
    assert len(found) == len(expected)
    for row in found:
        figures = expected[row["question_id"], row["trial"], row["judge"]]
        assert {name: row[name] for name in figures} == pytest.approx(figures, abs=1e-12)
    harms = tables["noharm_harms"](own, analysis.PRESETS["default"])
    told = sorted(
        (row["question_id"], row["trial"], row["judge"], row["option"], row["kind"],
         row["severity"], row["partial"])
        for row in harms
    )  # fmt: skip
    assert told == sorted(
        (each["id"], each["trial"], each["judge"], *harm.values())
        for each in study.records
        for harm in second.harms(study.rubrics[second.base_of(each["id"])], each)
    )


def test_the_order_of_records_changes_the_draws_alone(tmp_path):
    study = studies.study(13)
    figures = []
    for name, given in (("one", study.records), ("other", study.records[::-1])):
        other = studies.Study(study.items, study.rubrics, given)
        kit, records = other.write(tmp_path / name)
        table = analysis.results(import_noharm(records, kit, model="M"))
        figures.append(table.select("model", "group", "metric", "value", "lo", "hi", "records"))
    assert figures[0].equals(figures[1])


def test_what_is_pooled_is_said_and_every_table_can_be_made_of_it(tmp_path):
    study = studies.study(3)
    assert len({each["judge"] for each in study.records}) == 2
    kit, records = study.write(tmp_path / "kit")
    preset = analysis.PRESETS["noharm-2026"]
    own = analysis.Study(import_noharm(records, kit, model="M")).under(preset)
    assert own.under(preset) is own
    said = [(row["model"], row["reason"]) for row in analysis.remarks(own)]
    assert ("M", "the verdicts of 2 judges on its answers are one pool") in said
    tables, failed = analysis.make_tables(own, preset)
    assert not failed
    assert {row["model"] for row in tables["noharm_records"]} == {"M"}
    assert len(tables["noharm_records"]) == len(study.records)


def test_runs_of_two_judges_stand_apart_together_as_they_do_from_one_file(tmp_path):
    study = next(
        each
        for each in map(studies.study, range(30))
        if len({record["judge"] for record in each.records}) == 2
    )
    kit, records = study.write(tmp_path / "kit")
    whole = import_noharm(records, kit, model="M")
    pieces = {}
    for judge in ("judge 0", "judge 1"):
        path = tmp_path / f"{judge}.jsonl"
        studies.write_lines(path, [each for each in study.records if each["judge"] == judge])
        pieces[judge] = import_noharm(path, kit, model="M")
        assert pieces[judge].models == ("M",)
    together = merge_runs(pieces)
    assert together.models == whole.models
    columns = ["model", "group", "metric", "value", "lo", "hi", "cases", "records"]
    for preset in ("default", "noharm-2026"):
        found, expected = (analysis.results(runs, preset) for runs in (together, whole))
        own, other = (each.select(columns[:4] + columns[6:]) for each in (found, expected))
        assert own.equals(other), preset
    with pytest.raises(SafescaleError, match="both hold answers of M, noharm"):
        merge_runs({"one": pieces["judge 0"], "again": pieces["judge 0"]})


def test_a_report_finds_the_answers_of_folders_of_two_judges(tmp_path, written):
    from lm_eval_safescale.report.building import Wanted, build_report

    folders = []
    for judge in ("a judge", "another"):
        records = tmp_path / f"{judge}.jsonl"
        studies.write_lines(records, [record(judge=judge), record("Card1-0", judge=judge)])
        kit = folders[0].parent / "kit" if folders else written(record())[1]
        write_runs(import_noharm(records, kit, model="M"), tmp_path / judge)
        folders.append(tmp_path / judge)
    build_report(folders, tmp_path / "report", Wanted())
    assert (tmp_path / "report" / "index.html").is_file()
