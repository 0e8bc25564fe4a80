"""NOHARM's free-text scoring against a second implementation by plain loops, on random studies."""

from __future__ import annotations

import functools
import tempfile
from collections import Counter
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from lm_eval_safescale.analysis import results
from lm_eval_safescale.analysis.study import Study
from lm_eval_safescale.datasets import DataError, Record
from lm_eval_safescale.families import UNSCORED, AnswerArrays, ItemTable
from lm_eval_safescale.families.family import scores_of
from lm_eval_safescale.families.noharm_text import NOHARM
from lm_eval_safescale.families.noharm_text.judging.merge import (
    Entry,
    Mention,
    first_stage,
    merged,
)
from lm_eval_safescale.families.noharm_text.rubric import harms_of
from lm_eval_safescale.families.noharm_text.verdicts import Action, OptionVerdict, Verdicts
from lm_eval_safescale.importing import import_noharm
from lm_eval_safescale.stats.presets import NOHARM_2026
from tests import noharm_text_studies as studies
from tests import second_noharm_text as second

SEEDS = range(200)


def test_random_studies_reach_every_clause_of_the_scoring_rules():
    reached: Counter[str] = Counter()
    for seed in range(150):
        study = studies.study(seed)
        reached.update(studies.clauses_of_study(study))
        for record in study.records:
            options = study.rubrics[second.base_of(record["id"])]
            assert second.refused(options, record) is None
            reached.update(studies.clauses(options, record))

    assert len(reached) > 90
    assert [name for name, times in reached.items() if not times] == []


@pytest.mark.parametrize("seed", range(12))
def test_a_kit_is_read_as_plain_loops_read_it(seed, tmp_path):
    root, _ = studies.study(seed).write(tmp_path)

    loaded = NOHARM.load(root)
    items, rubrics = second.kit(root)
    perturbations = second.perturbations_of(items)

    assert sorted(item.question_id for item in loaded.items) == sorted(perturbations)
    for item in loaded.items:
        base = second.base_of(item.question_id)
        assert items[item.place]["id"] == item.question_id
        assert (item.base, item.unit) == (base, base)
        assert item.groups["specialty"] == second.specialty_of(base)
        assert item.groups["perturbation"] == perturbations[item.question_id]
        for own, option in zip(item.options, rubrics[base], strict=True):
            is_group = own.abstraction_type == "alternative"
            assert (own.id, own.score) == (option["id"], second.score_of(option))
            assert own.bare_score == option.get("score")
            assert (own.abstraction if is_group else None) == second.group_of(option)
            assert own.depends_on == tuple(option.get("dependsOn") or ())


def verdicts_of(record: dict) -> str:
    """A record as runs store it."""
    entries = {entry["id"]: entry for entry in record["options"]}
    options = {}
    for number, entry in entries.items():
        match = "no"
        if entry["matched"]:
            match = "partial" if entry.get("partial") else "yes"
        options[number] = OptionVerdict(match, "unknown")
    actions = tuple(
        Action(each["number"], each["action"], each["category"], tuple(second.named_in(each)))
        for each in record["responseActions"]
    )
    return Verdicts(record["judge"], options, actions, record["trial"]).as_text()


class Scored:
    """The records of each judge, scored as a model: columns of shape (items, judges, trials)."""

    def __init__(self, seed: int) -> None:
        self.study = study = studies.study(seed)
        with tempfile.TemporaryDirectory() as folder:
            self.table = NOHARM.table(NOHARM.load(study.write(Path(folder))[0]).items)
        self.judges = sorted({record["judge"] for record in study.records})
        trials = max(record["trial"] for record in study.records)
        texts = {
            (record["judge"], record["id"], record["trial"]): verdicts_of(record)
            for record in study.records
        }
        vocabulary = sorted(set(texts.values()))
        code = {text: place for place, text in enumerate(vocabulary)}
        codes = [
            [
                [
                    code[texts[place]] if (place := (judge, name, trial)) in texts else UNSCORED
                    for trial in range(1, trials + 1)
                ]
                for name in self.table.ids
            ]
            for judge in self.judges
        ]
        answers = AnswerArrays(np.array(codes, np.int32), vocabulary)
        self.columns = scores_of(NOHARM, self.table, answers, {})
        self.rows = second.scored(study.rubrics, study.records)

    def record(self, name: str, record: dict) -> float | None:
        judge, item = self.judges.index(record["judge"]), self.table.ids.index(record["id"])
        value = self.columns[name][judge, item, record["trial"] - 1]
        return None if np.isnan(value) else float(value)


scored_of = functools.cache(Scored)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_record_is_worth_what_plain_loops_find(seed):
    scored = scored_of(seed)

    for row, record in zip(scored.rows, scored.study.records, strict=True):
        found = {name: scored.record(name, record) for name in second.RATES}
        assert found == pytest.approx({name: row[name] for name in second.RATES}, abs=1e-12)


def test_the_harms_of_every_record_are_those_that_plain_loops_find():
    for seed in range(60):
        study = studies.study(seed)
        for record in study.records:
            options = study.rubrics[second.base_of(record["id"])]
            (item,), _ = NOHARM.parse([Record(1, {"id": "X1", "prompt": "x", "options": options})])

            found = harms_of(item.options, Verdicts.read(verdicts_of(record)))

            expected = [tuple(harm.values()) for harm in second.harms(options, record)]
            assert {astuple(harm) for harm in found} == set(expected)
            assert len(found) == len(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_figure_of_a_judge_is_that_of_plain_loops_and_so_are_its_cases_and_records(seed):
    scored = scored_of(seed)
    metrics = {metric.name: metric for metric in NOHARM.metrics(scored.table)}

    for places, wanted in parts_of(scored.study, scored.table):
        for judge, name in enumerate(scored.judges):
            own = [row for row in scored.rows if row["judge"] == name and wanted(row["id"])]
            for figure in second.NAMES if own else ():
                metric = metrics[figure]
                columns = [
                    np.moveaxis(scored.columns[source], 0, 1)[places][:, [judge]]
                    for source in metric.sources
                ]
                cases = metric.of_cases(columns)
                defined = ~np.isnan(cases.value)
                found = [metric.value(columns)[0], defined.sum(), cases.records[defined].sum()]
                value, *counts = second.figure(scored.study.rubrics, own, figure)
                expected = [np.nan if value is None else value, *counts]
                assert found == pytest.approx(expected, abs=1e-12, nan_ok=True), (figure, name)


def parts_of(study: studies.Study, table: ItemTable) -> list:
    """All items, and each specialty's and perturbation's: their places in the table, and which ids
    they have."""
    perturbations = second.perturbations_of(study.items)
    keys = [
        lambda name: "all",
        second.specialty_of,
        perturbations.__getitem__,
    ]
    parts = []
    for key in keys:
        for group in sorted({key(name) for name in table.ids}):
            wanted = [key(name) == group for name in table.ids]
            parts.append((np.array(wanted), lambda name, key=key, group=group: key(name) == group))
    return parts


def test_the_two_stages_of_a_judge_are_merged_as_plain_loops_merge_them():
    rng = np.random.default_rng(1)
    seen: Counter[str] = Counter()
    for _ in range(2000):
        known = (rng.choice(30, rng.integers(1, 6), replace=False) + 1).tolist()
        stages, overrides = studies.make_stages(rng, known)
        before, named = second.first_stage(stages)
        entries = {
            number: Entry(
                match, tuple(action for action, options in named.items() if number in options)
            )
            for number, match in before.items()
        }
        mentions = [
            Mention(each["option_id"], each["new_verdict"], each["action_id"]) for each in overrides
        ]

        actions, options = first_stage(
            [Action(each["id"], each["action"]) for each in stages["actions"]], entries
        )
        first = Verdicts("judge", options, actions)
        reviewed = merged(first, mentions)
        failed = merged(first, (), known)

        assert as_plain(reviewed) == second.merge(stages, overrides)
        assert as_plain(failed) == second.merge(stages, None) == (before, named)
        assert {each.review for each in failed.options.values()} == {"failed"}
        after, held = second.merge(stages, overrides)
        mentioned = {each["option_id"] for each in overrides}
        for number, each in reviewed.options.items():
            unmentioned = number not in mentioned
            assert unmentioned == (each.review == "unreviewed")
            seen[f"{before[number]} to {after[number]}"] += not unmentioned
            is_named = second.is_named(number, held)
            seen["matched without an action"] += after[number] != "no" and not is_named
            seen["another action cited, to no effect"] += second.is_named(number, named) and any(
                each["option_id"] == number and each["action_id"] in named for each in overrides
            )
        seen["several overrides of one option"] += len(mentioned) < len(overrides)
        seen["unknown option"] += 999 in mentioned
        seen["unknown action"] += any(each["action_id"] == 77 for each in overrides)
    assert len(seen) == 14
    assert min(seen.values()) > 20, seen


def as_plain(verdicts: Verdicts) -> tuple[dict[int, str], dict[int, list[int]]]:
    return (
        {number: each.match for number, each in verdicts.options.items()},
        {action.number: list(action.match) for action in verdicts.actions},
    )


@pytest.mark.parametrize("seed", range(30))
def test_a_judged_file_has_the_published_figures_and_intervals_of_plain_loops(seed, tmp_path):
    study = studies.study(seed)
    runs = import_noharm(*reversed(study.write(tmp_path)))
    rows = second.scored(study.rubrics, study.records)

    found = {
        (each["group_name"], each["group"], each["metric"]): each
        for each in results(runs, preset="noharm-2026").iter_rows(named=True)
    }

    assert {each["model"] for each in found.values()} == {"judged"}
    perturbations = second.perturbations_of(study.items)
    order = second.by(rows, second.base_of)  # of the whole file, also for a part of it
    parts = {(None, None): rows}
    for name, key in (
        ("specialty", second.specialty_of),
        ("perturbation", perturbations.__getitem__),
    ):
        parts |= {(name, group): own for group, own in second.by(rows, key).items()}
    for part, own in parts.items():
        for figure in second.NAMES:
            each = found[*part, figure]
            value, cases, records = second.figure(study.rubrics, own, figure)
            assert (each["cases"], each["records"]) == (cases, records), (part, figure)
            assert each["value"] == pytest.approx(value, abs=1e-12), (part, figure)
            if seed < 1 or (seed < 6 and part == (None, None)):
                values = second.case_values(study.rubrics, own, figure)
                in_order = {base: values[base] for base in order if base in values}
                expected = second.interval(in_order)
                interval = (each["lo"], each["hi"])
                assert interval == pytest.approx(expected or (None, None), abs=1e-12), figure


def spoilt(record: dict, how: str) -> None:
    """Makes a record one that is refused."""
    options, actions = record["options"], record["responseActions"]
    first = options[0]
    first["matched"] = how != "an unmatched option in a match"
    match = {
        "an unknown option in a match": f"{first['id']}, 99",
        "an empty place in a match": f"{first['id']},,{first['id']}",
        "a word in a match": f"option {first['id']}",
        "a comma alone": ",",
    }.get(how, str(first["id"]))
    actions[:] = [{"number": 1, "action": "Act", "category": "Procedure", "match": match}]
    if how == "an option missing":
        del options[-1]
        actions[0]["match"] = ""
    elif how == "an option twice":
        options.append(first)
    elif how == "an unknown option":
        options.append({**first, "id": 99})


@pytest.mark.parametrize(
    "how",
    [
        "an option missing",
        "an option twice",
        "an unknown option",
        "an unmatched option in a match",
        "an unknown option in a match",
        "an empty place in a match",
        "a word in a match",
        "a comma alone",
    ],
)
def test_what_is_to_be_refused_is_refused_by_both_naming_the_record(how, tmp_path):
    study = studies.study(3)
    record = study.records[0]
    options = study.rubrics[second.base_of(record["id"])]
    spoilt(record, "nothing")
    assert second.refused(options, record) is None
    import_noharm(*reversed(study.write(tmp_path / "whole")))

    spoilt(record, how)

    assert second.refused(options, record)
    with pytest.raises(DataError, match=f":1: item {record['id']}: "):
        import_noharm(*reversed(study.write(tmp_path / "spoilt")))


@pytest.mark.parametrize("seed", range(20))
def test_the_tables_of_records_and_harms_are_those_of_plain_loops(seed, tmp_path):
    study = studies.study(seed)
    runs = import_noharm(*reversed(study.write(tmp_path)))
    view = Study(runs)
    records, harms = (
        NOHARM.tables[name].make(view, NOHARM_2026) for name in ("noharm_records", "noharm_harms")
    )

    rows = second.scored(study.rubrics, study.records)
    expected = {}
    expected_harms = []
    for row, record in zip(rows, study.records, strict=True):
        which = record["id"], record["trial"], record["judge"]
        expected[which] = {name: row[name] for name in second.RATES}
        for harm in second.harms(study.rubrics[second.base_of(record["id"])], record):
            expected_harms.append((*which, *harm.values()))
    assert len(records) == len(expected)
    for each in records:
        found = {name: each[name] for name in second.RATES}
        assert found == pytest.approx(expected[of_record(each)], abs=1e-12)
    of_harm = ("option", "kind", "severity", "partial")
    found_harms = [(*of_record(each), *(each[name] for name in of_harm)) for each in harms]
    assert sorted(found_harms) == sorted(expected_harms)


def of_record(row: dict) -> tuple[str, int, str]:
    return row["question_id"], row["trial"], row["judge"]
