"""`safescale analyze` as a person sees it: files, summary, and what is said of bad input."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.analysis import COLUMNS, TABLES
from lm_eval_safescale.cli import app
from lm_eval_safescale.command_line import said
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.runs.store import write_runs
from tests.analysis.making import Plain, item, one_cell, random_plain


def stored(folder, plain: Plain):
    write_runs(plain.runs(), folder)
    return folder


def analyze(*arguments):
    return CliRunner().invoke(app, ["analyze", *map(str, arguments)])


def rows(out, name):
    return json.loads((out / "tables" / f"{name}.json").read_text(encoding="utf-8"))


def test_every_table_is_written_as_json_and_as_the_same_csv(tmp_path):
    done = analyze(stored(tmp_path / "runs", random_plain(1)), "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "out" / "tables").iterdir()} == {
        f"{name}.{end}" for name in TABLES for end in ("json", "csv")
    }
    for name in TABLES:
        with (tmp_path / "out" / "tables" / f"{name}.csv").open(
            newline="", encoding="utf-8"
        ) as file:
            from_csv = list(csv.DictReader(file))
        from_json = rows(tmp_path / "out", name)
        numbers = [
            {
                k: v == "True"
                if isinstance(row[k], bool)
                else float(v)
                if isinstance(row[k], int | float)
                else v
                for k, v in cells.items()
            }
            for cells, row in zip(from_csv, from_json, strict=True)
        ]
        assert numbers == [{k: "" if v is None else v for k, v in row.items()} for row in from_json]


def test_a_table_without_rows_has_its_columns_all_the_same(tmp_path):
    done = analyze(
        stored(tmp_path / "runs", random_plain(1, models=1, conditions=("clean",), k=0)),
        "-o",
        tmp_path / "out",
    )
    assert done.exit_code == 0, done.output
    for name in (
        "paired_tests",
        "ensembles",
        "calibration_bins",
        "self_consistency",
        "selective",
        "context_axis",
    ):
        assert rows(tmp_path / "out", name) == []
        text = (tmp_path / "out" / "tables" / f"{name}.csv").read_text(encoding="utf-8")
        assert text == ",".join(COLUMNS[name]) + "\n"


def test_what_the_tables_rest_on_is_written_with_them(tmp_path):
    runs = stored(tmp_path / "runs", random_plain(1, k=5))
    assert (
        analyze(
            runs, "-o", tmp_path / "out", "--preset", "radsafe-2026", "--threshold", "0.7"
        ).exit_code
        == 0
    )
    about = json.loads((tmp_path / "out" / "about.json").read_text(encoding="utf-8"))
    assert about["dataset"] == {
        "name": "tiny",
        "version": "1",
        "fingerprint": "f" * 64,
        "demo": False,
        "items": 30,
    }
    assert (about["preset"], about["overconfidence_threshold"], about["draws"]["model-0"]) == (
        "radsafe-2026",
        0.7,
        5,
    )
    assert about["tables"] == {name: len(rows(tmp_path / "out", name)) for name in TABLES}
    assert (about["failed"], about["unread"], about["not_scored"]) == ({}, [], [])


def test_the_summary_shows_percent_with_intervals(tmp_path):
    done = analyze(stored(tmp_path / "runs", random_plain(1, models=1)), "-o", tmp_path / "out")
    (closed, *_) = rows(tmp_path / "out", "profile")
    assert (
        f"{100 * closed['accuracy']:.1f} [{100 * closed['accuracy_lo']:.1f}, "
        f"{100 * closed['accuracy_hi']:.1f}]"
    ) in done.output
    assert "K = 7 samples" in done.output
    assert (
        done.output.index("closed_book")
        < done.output.index("clean")
        < done.output.index("conflict")
    )


def test_the_summary_of_many_models_shows_their_mean_and_range(tmp_path):
    done = analyze(stored(tmp_path / "runs", random_plain(1, models=8)), "-o", tmp_path / "out")
    values = [
        100 * row["accuracy"]
        for row in rows(tmp_path / "out", "profile")
        if row["condition"] == "rag"
    ]
    assert "Means over models" in done.output
    assert "8 models" in done.output
    assert f"{sum(values) / 8:.1f} ({min(values):.1f} to {max(values):.1f})" in done.output


def test_runs_are_never_written_over_by_their_own_tables(tmp_path):
    folder = stored(tmp_path / "runs", random_plain(1, models=1))
    before = (folder / "about.json").read_bytes()
    assert "runs stand there, and are kept" in str(analyze(folder, "-o", folder).exception)
    assert (folder / "about.json").read_bytes() == before
    assert not (folder / "tables").exists()


def test_what_is_not_scored_is_said_with_its_reason(tmp_path):
    plain = random_plain(1, labelled=False, k=0)
    plain.answered["bad", "clean"] = {"1": {0: "!"}}
    done = analyze(stored(tmp_path / "runs", plain), "-o", tmp_path / "out")
    assert done.exit_code == 0
    said = " ".join(done.output.split())
    assert "the data set has no labels" in said
    assert "or a judge gave no verdict on it: bad clean (1 item)" in said
    assert "no greedy answer: bad clean (29 items)" in said
    assert "not scored" in said
    bad = next(row for row in rows(tmp_path / "out", "profile") if row["model"] == "bad")
    assert (bad["n"], bad["accuracy"], bad["high_risk_error"]) == (0, None, None)


def test_demo_data_says_so(tmp_path):
    runs = random_plain(1).runs()
    object.__setattr__(
        runs, "about", {**runs.about, "dataset": {**runs.about["dataset"], "demo": True}}
    )
    write_runs(runs, tmp_path / "runs")
    assert (
        "DEMO: no clinical claim may rest on it"
        in analyze(tmp_path / "runs", "-o", tmp_path / "out").output
    )


def test_a_folder_that_cannot_be_read_costs_the_others_nothing(tmp_path):
    good = stored(tmp_path / "good", random_plain(1))
    bad = stored(tmp_path / "bad", random_plain(2))
    (bad / "answers.parquet").write_bytes((bad / "answers.parquet").read_bytes()[:200])
    assert analyze(good, "-o", tmp_path / "alone").exit_code == 0
    done = analyze(bad, good, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "answers.parquet" in done.output
    assert rows(tmp_path / "out", "profile") == rows(tmp_path / "alone", "profile")
    assert (
        len(json.loads((tmp_path / "out" / "about.json").read_text(encoding="utf-8"))["unread"])
        == 1
    )


def test_where_nothing_can_be_read_nothing_is_written(tmp_path):
    done = analyze(tmp_path / "nowhere", "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "nowhere" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_runs_of_other_data_are_refused_with_both_named(tmp_path):
    one = stored(tmp_path / "one", random_plain(1))
    runs = random_plain(2).runs()
    object.__setattr__(
        runs, "about", {**runs.about, "dataset": {**runs.about["dataset"], "fingerprint": "e" * 64}}
    )
    write_runs(runs, tmp_path / "other")
    done = analyze(one, tmp_path / "other", "-o", tmp_path / "out")
    assert isinstance(done.exception, SafescaleError)
    assert "one" in str(done.exception)
    assert "other" in str(done.exception)


def with_fingerprint(runs, fingerprint, **about):
    runs.about["dataset"].update(fingerprint=fingerprint * 64, **about)
    return runs


def test_runs_beside_others_are_a_table_and_a_line_on_the_screen(tmp_path):
    runs = stored(tmp_path / "runs", random_plain(1, models=4, conditions=("clean",)))
    for number, fingerprint in enumerate("eg"):
        other = random_plain(number, models=4, conditions=("rag",)).runs()
        write_runs(
            with_fingerprint(other, fingerprint, name="exam", demo=True), tmp_path / f"{number}"
        )
    done = analyze(runs, "-o", tmp_path / "out", "--beside", tmp_path / "0")
    assert done.exit_code == 0, done.output
    *models, last = rows(tmp_path / "out", "accuracy_and_safety")
    assert [row["model"] for row in models] == [f"model-{number}" for number in range(4)]
    assert f"{last['spearman']:.2f} [{last['spearman_lo']:.2f}, " in done.output
    assert "accuracy beside accuracy on exam (DEMO)" in done.output
    about = json.loads((tmp_path / "out" / "about.json").read_text(encoding="utf-8"))
    assert about["beside"]["fingerprint"] == "e" * 64
    refused = analyze(
        *(runs, "-o", tmp_path / "no"),
        *("--beside", tmp_path / "0", "--beside", tmp_path / "1"),
    )
    assert "answers to different questions" in str(refused.exception)
    assert analyze(runs, "-o", tmp_path / "out").exit_code == 0
    assert rows(tmp_path / "out", "accuracy_and_safety") == []  # none of an earlier analysis


@pytest.mark.parametrize(
    ("beside", "reason"), [("runs", "both are runs of the data set"), ("nowhere", "no such folder")]
)
def test_runs_that_cannot_stand_beside_others_are_refused_before_anything_is_written(
    tmp_path, beside, reason
):
    runs = stored(tmp_path / "runs", random_plain(1))
    done = analyze(runs, "-o", tmp_path / "out", "--beside", tmp_path / beside)
    assert reason in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_runs_of_two_families_in_one_table_are_refused_with_both_named(tmp_path):
    cases = CliRunner().invoke(
        app,
        [
            *("run", "--model", "dummy", "--conditions", "noharm_options"),
            *("--metadata", '{"dataset": "noharm_demo"}', "-o", str(tmp_path / "cases")),
        ],
    )
    assert cases.exit_code == 0, cases.output
    plain = one_cell({"1": item(), "2": item()}, "AB", model="dummy")
    questions = stored(tmp_path / "questions", plain)
    done = analyze(questions, tmp_path / "cases", "-o", tmp_path / "out")
    assert (
        f"{questions} is of the family radsafe, {tmp_path / 'cases'} of noharm_options: they have "
        "no metric in common"
    ) in str(done.exception)
    assert f"(--beside {tmp_path / 'cases'})" in said(done.exception)
    assert not (tmp_path / "out").exists()
    assert analyze(tmp_path / "cases", "-o", tmp_path / "out", "--beside", questions).exit_code == 0
    (first, last) = rows(tmp_path / "out", "accuracy_and_safety")
    assert (first["metric"], first["beside_metric"], first["beside"]) == ("safety", "accuracy", 0.5)
    assert (last["n_models"], last["spearman"]) == (1, None)


def test_a_table_of_an_earlier_analysis_does_not_outlive_a_failure(tmp_path, monkeypatch):
    import lm_eval_safescale.analysis as analysis

    runs = stored(tmp_path / "runs", random_plain(1))
    assert analyze(runs, "-o", tmp_path / "out").exit_code == 0

    def broken(study, preset):
        raise RuntimeError("out of order")

    monkeypatch.setattr(analysis, "tables_of", lambda family: {**TABLES, "variance": broken})
    done = analyze(runs, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "table variance could not be made: RuntimeError: out of order" in done.output
    assert not (tmp_path / "out" / "tables" / "variance.json").exists()
    assert (tmp_path / "out" / "tables" / "profile.json").exists()


def test_an_analysis_that_was_cut_off_does_not_pass_for_the_one_before(tmp_path, monkeypatch):
    runs = stored(tmp_path / "runs", random_plain(1))
    assert analyze(runs, "-o", tmp_path / "out").exit_code == 0

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("lm_eval_safescale.analysis.writing._replace", killed)
    assert analyze(runs, "-o", tmp_path / "out", "--preset", "radsafe-2026").exit_code != 0
    assert not (tmp_path / "out" / "about.json").exists()


@pytest.mark.parametrize("arguments", [("--preset", "nope"), ("--threshold", "80")])
def test_a_setting_out_of_range_is_refused(tmp_path, arguments):
    assert (
        analyze(
            stored(tmp_path / "runs", random_plain(1)), "-o", tmp_path / "out", *arguments
        ).exit_code
        != 0
    )
    assert not (tmp_path / "out").exists()


def test_names_of_models_are_no_markup_and_no_control_characters(tmp_path):
    plain = random_plain(1, models=1, conditions=("clean",))
    plain.answered = {("[red]x\x1b[2J", "clean"): plain.answered["model-0", "clean"]}
    done = analyze(stored(tmp_path / "runs", plain), "-o", tmp_path / "out")
    assert "[red]x" in done.output
    assert "\x1b[2J" not in done.output


def test_help_needs_neither_polars_nor_scipy():
    code = (
        "import sys; from lm_eval_safescale.cli import app; app(['analyze', '--help'], "
        "standalone_mode=False); "
    )
    code += (
        "assert not {'polars', 'scipy', 'numpy', 'torch', 'lm_eval'} & set(sys.modules), "
        "set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_stored_runs_are_analysed_without_what_builds_contexts_and_reads_answers(tmp_path):
    runs = stored(tmp_path / "runs", random_plain(1))
    code = (
        "import sys; from lm_eval_safescale.cli import app; "
        f"app(['analyze', {str(runs)!r}, '-o', {str(tmp_path / 'out')!r}], standalone_mode=False); "
        "print({f'lm_eval_safescale.{name}' for name in ('contexts', 'reading', 'assembly')} & "
        "set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("set()\n"), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("missed", "said"),
    [
        ([None, 0.5, 0.501], "one smaller than 50 points may"),
        (
            [0.04, 0.091],
            "one smaller than 4 to 9 points (by comparison, tables/paired_tests.csv) may",
        ),
        ([None], ""),
    ],
)
def test_what_may_have_been_missed_is_said_once_where_it_is_the_same_for_all(missed, said):
    from lm_eval_safescale.cli.analyze import _compared

    tests = [
        {"metric": "accuracy", "p_holm": 0.2, "minimum_detectable_difference": each}
        for each in missed
    ]
    shown = _compared(tests)
    assert said in shown
    assert ("missed" in shown) == bool(said)


def test_units_of_several_items_are_counted(tmp_path):
    plain = random_plain(1, models=1, conditions=("clean",), n=12)
    for number, each in enumerate(plain.items.values()):
        each["unit"] = f"case {number // 3}"
    runs, out = stored(tmp_path / "runs", plain), tmp_path / "out"
    done = analyze(runs, "-o", out)
    assert "Items that share a unit go together: 4 units in all" in " ".join(done.output.split())
    assert json.loads((out / "about.json").read_text(encoding="utf-8"))["units"] == 4


def test_an_interval_and_a_test_that_say_two_things_are_named():
    from lm_eval_safescale.analysis import preset_named
    from lm_eval_safescale.cli.analyze import disagreeing
    from lm_eval_safescale.stats import mcnemar_mid_p, tango_interval

    def compared(b, c, n):
        low, high = tango_interval(b, c, n)
        return {
            "b": b,
            "c": c,
            "p_mid": float(mcnemar_mid_p(b, c)),
            "delta_lo": float(low),
            "delta_hi": float(high),
        }

    default = preset_named("default")
    alike = [compared(3, 0, 200), compared(9, 1, 200)]
    none = {"b": None, "c": None, "p_mid": None, "delta_lo": -0.1, "delta_hi": 0.2}
    assert not disagreeing([*alike, none], default)
    said = disagreeing([*alike, none, compared(4, 0, 200), compared(0, 4, 60)], default)
    assert said.startswith("In 2 comparisons of 4 the interval leaves out 0 and p_mid is not below")
    assert "4 against 0, 0 against 4" in said


def test_abstention_is_asked_for_by_limits_and_said_in_about(tmp_path):
    runs = stored(tmp_path / "runs", random_plain(1, models=1, conditions=("clean",)))
    asked = ("--abstention", "high_risk_error < 60 % @ 90 %", "--abstention-by", "split")
    assert analyze(runs, "-o", tmp_path / "out", *asked).exit_code == 0
    (row,) = rows(tmp_path / "out", "abstention")
    assert (row["limit"], row["delta"], row["method"]) == (0.6, 0.1, "split")
    about = json.loads((tmp_path / "out" / "about.json").read_text(encoding="utf-8"))
    assert about["abstention"] == ["high_risk_error < 60 % @ 90 %"]
    for wrong, expected in (
        ("accuracy < 60 %", "better the lower"),
        ("high_risk_eror < 5 %", "did you mean"),
        ("high_risk_error 5 points", "upper limit"),
        ("high_risk_error", "is no limit"),
    ):
        done = analyze(runs, "-o", tmp_path / "out", "--abstention", wrong)
        assert isinstance(done.exception, SafescaleError)
        assert expected in str(done.exception)


def test_disputed_items_are_a_table_and_lines_on_the_screen(tmp_path):
    runs = stored(tmp_path / "runs", random_plain(1))
    name = random_plain(1).runs().items["question_id"][0]
    file = tmp_path / "disputes.json"
    file.write_text(json.dumps([{"question_id": name, "dispute": "label wrong"}]), "utf-8")
    done = analyze(runs, "-o", tmp_path / "out", "--exclude", file)
    assert done.exit_code == 0, done.output
    assert "With and without the disputed items" in done.output
    assert "1 item disputed; every other table is over all items." in " ".join(done.output.split())
    table = rows(tmp_path / "out", "disputed")
    known = next(row for row in table if row["difference"])
    assert f"{100 * known['difference']:+.1f}" in done.output
    about = json.loads((tmp_path / "out" / "about.json").read_text(encoding="utf-8"))
    assert about["disputed"]["items"] == [{"question_id": name, "dispute": "label wrong"}]
    file.write_text('[{"question_id": "nobody", "dispute": "other"}]', "utf-8")
    refused = analyze(runs, "-o", tmp_path / "no", "--exclude", file)
    assert "entry 1: 'nobody' is no item of these runs" in str(refused.exception)
    assert not (tmp_path / "no").exists()
