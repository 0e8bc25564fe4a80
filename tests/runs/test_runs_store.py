"""A folder of runs gives back what was put into it, or says why not."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_eval_safescale.command_line import said
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.runs import Runs, answer_arrays, open_runs, write_runs
from lm_eval_safescale.runs.store import NO_STATISTIC
from tests.altering import make_sums_again

from .conftest import ABOUT, frame

ROWS = [("m", "clean", "1", 0, "A"), ("m", "clean", "1", 1, "B"), ("m", "clean", "10", 0, "error")]
OTHER = [("m", "rag", "1", 0, "A"), ("n", "clean", "2", 0, "truncated")]


def same(one: Runs, other: Runs) -> bool:
    return one.items.equals(other.items) and one.answers.equals(other.answers)


@given(
    st.lists(
        st.tuples(
            st.text(max_size=20),
            st.floats(allow_nan=False) | st.none(),
            st.integers(0, 2**40) | st.none(),
        ),
        min_size=1,
        max_size=30,
    ),
    st.text(st.characters(codec="utf-8"), min_size=1),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(tmp_path, values, model):
    items = pl.DataFrame({"question_id": ["1"], "answer": ["A"], "letters": ["AB"]})
    answers = frame([(model, "clean", "1", draw, "A") for draw in range(len(values))]).with_columns(
        text=pl.Series([value[0] for value in values]),
        latency_s=pl.Series([value[1] for value in values], dtype=pl.Float64),
        prompt_tokens=pl.Series([value[2] for value in values], dtype=pl.Int64),
    )
    runs = Runs(items, answers, ABOUT)
    write_runs(runs, tmp_path / "runs")
    read = open_runs(tmp_path / "runs")
    assert same(read, runs)
    assert read.about == runs.about


def test_what_no_statistic_needs_can_be_left_on_the_disk(tmp_path, make_runs, items):
    more = {"text": pl.lit("long"), "prompt_tokens": pl.lit(7), "latency_s": pl.lit(0.5)}
    runs = Runs(items, frame(ROWS).with_columns(**more), make_runs(ROWS).about)
    write_runs(runs, tmp_path)
    assert open_runs(tmp_path).answers["text"].to_list() == ["long"] * 3
    without = open_runs(tmp_path, texts=False).answers
    assert without.select(NO_STATISTIC).null_count().row(0) == (3,) * len(NO_STATISTIC)
    others = pl.exclude(NO_STATISTIC)
    assert without.select(others).equals(runs.answers.select(others))


def test_a_folder_that_was_written_before_there_was_a_column_opens_with_nulls_there(
    tmp_path, make_runs
):
    runs = make_runs(ROWS)
    write_runs(runs, tmp_path)
    path = tmp_path / "answers.parquet"
    old = pl.Enum(["ok", "unanswered", "truncated", "error"])  # there was no content filter
    before = pl.read_parquet(path).drop(
        "rule", "finish_reason", "served_model", "system_fingerprint", "reply_id"
    )
    before.with_columns(pl.col("status").cast(old)).write_parquet(
        path, metadata=pl.read_parquet_metadata(path)
    )
    make_sums_again(tmp_path)
    assert same(open_runs(tmp_path), runs)


def test_writing_again_replaces_the_runs_and_nothing_else(tmp_path, make_runs):
    (tmp_path / "notes.txt").write_text("mine")
    write_runs(make_runs(ROWS), tmp_path)
    write_runs(make_runs(OTHER), tmp_path)
    assert same(open_runs(tmp_path), make_runs(OTHER))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "about.json",
        "answers.parquet",
        "items.parquet",
        "notes.txt",
    ]


def test_a_writing_that_fails_leaves_the_runs_as_they_were(tmp_path, make_runs, monkeypatch):
    write_runs(make_runs(ROWS), tmp_path)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SafescaleError, match=r"cannot be written.*No space left"):
        write_runs(make_runs(OTHER), tmp_path)
    assert same(open_runs(tmp_path), make_runs(ROWS))
    assert len(list(tmp_path.iterdir())) == 3


def test_runs_of_nothing_known_are_not_written(tmp_path, make_runs):
    runs = make_runs(ROWS)
    with pytest.raises(SafescaleError, match="of which data set"):
        write_runs(Runs(runs.items, runs.answers), tmp_path)


# --- several folders ------------------------------------------------------------------------------


def test_several_folders_are_read_as_one(tmp_path, make_runs):
    write_runs(make_runs(ROWS), tmp_path / "a")
    write_runs(make_runs(OTHER), tmp_path / "b")
    both = open_runs(tmp_path / "a", tmp_path / "b")
    assert same(both, make_runs([*ROWS, *OTHER]))
    assert both.about["models"]["m"] == {
        "source": "hand",
        "conditions": ["clean", "rag"],
        "settings": {"draws": 1},
    }
    assert set(answer_arrays(both)) == {("m", "clean"), ("m", "rag"), ("n", "clean")}


def test_settings_that_differ_between_conditions_are_kept_apart(tmp_path, make_runs):
    write_runs(make_runs(ROWS), tmp_path / "a")
    about = make_runs(OTHER).about | {
        "models": {"m": {"source": "file", "conditions": ["rag"], "settings": {"draws": 5}}}
    }
    write_runs(Runs(make_runs(OTHER).items, frame(OTHER), about), tmp_path / "b")
    known = open_runs(tmp_path / "a", tmp_path / "b").about["models"]["m"]
    assert known["source"] == "hand, file"
    assert known["settings"] == {}
    assert known["by_condition"] == {"clean": {"draws": 1}, "rag": {"draws": 5}}


def test_folders_may_hold_different_items_of_one_data_set(tmp_path, make_runs, items):
    write_runs(
        make_runs([("m", "clean", "1", 0, "A")], its=items.filter(question_id="1")), tmp_path / "a"
    )
    write_runs(
        make_runs([("m", "rag", "2", 0, "B")], its=items.filter(question_id="2")), tmp_path / "b"
    )
    both = open_runs(tmp_path / "a", tmp_path / "b")
    assert both.items["question_id"].to_list() == ["1", "2"]
    assert answer_arrays(both)["m", "rag"].greedy.tolist() == [-2, 1]


def test_an_item_that_differs_between_folders_is_refused(tmp_path, make_runs, items):
    write_runs(make_runs(ROWS), tmp_path / "a")
    write_runs(make_runs(OTHER, its=items.with_columns(answer=pl.lit("D"))), tmp_path / "b")
    with pytest.raises(SafescaleError, match="item 1 differs"):
        open_runs(tmp_path / "a", tmp_path / "b")


def test_a_folder_of_folders_of_runs_says_how_to_name_them(tmp_path, make_runs):
    folder = tmp_path / "our runs"
    write_runs(make_runs(ROWS), folder / "a")
    (folder / "tables").mkdir()
    (folder / "tables" / "about.json").write_text("[]")
    with pytest.raises(SafescaleError) as refused:
        open_runs(folder)
    assert "our runs: no folder of runs, but 1 run, each in a folder of its own" in str(
        refused.value
    )
    assert f"safescale analyze '{folder}'/* -o TABLES" in said(refused.value)
    (folder / "b").mkdir()
    (folder / "b" / "run.json").write_text("{}")  # one that is under way
    with pytest.raises(SafescaleError, match="but 2 runs, each"):
        open_runs(folder)


def test_other_data_sets_are_refused_with_both_named(tmp_path, make_runs):
    write_runs(make_runs(ROWS), tmp_path / "a")
    write_runs(make_runs(OTHER, fingerprint="e" * 64), tmp_path / "b")
    with pytest.raises(SafescaleError, match=r"/a is of the data set set f .*/b of set e "):
        open_runs(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    "other",
    [{"draws": 1, "temperature": 1.0}, {"draws": 2}, {"draws": 1, "reading": {"by": "judge"}}],
)
def test_items_of_one_condition_that_were_asked_or_read_otherwise_are_not_mixed(
    tmp_path, make_runs, other
):
    def write(name, question, settings):
        runs = make_runs([("m", "clean", question, 0, "A")])
        about = {
            **runs.about,
            "models": {"m": {"source": "hand", "conditions": ["clean"], "settings": settings}},
        }
        write_runs(Runs(runs.items, runs.answers, about), tmp_path / name)
        return tmp_path / name

    one = write("one", "1", {"draws": 1, "version": "0.1"})
    assert open_runs(one, write("two", "2", {"draws": 1, "version": "0.2"})).answers.height == 2
    differs = next(name for name, value in other.items() if value != {"draws": 1}.get(name))
    with pytest.raises(
        SafescaleError,
        match=(
            rf"one and .*three both hold answers of m, clean, got otherwise \(differs: {differs}\)"
        ),
    ):
        open_runs(one, write("three", "2", other))


def test_an_answer_that_stands_in_two_folders_is_refused_with_both_named(tmp_path, make_runs):
    write_runs(make_runs(ROWS), tmp_path / "a")
    write_runs(make_runs([*OTHER, ROWS[1]]), tmp_path / "b")
    with pytest.raises(SafescaleError, match=r"/a and .*/b both hold answers of m, clean \(1 rows"):
        open_runs(tmp_path / "a", tmp_path / "b")


# --- damage ---------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, make_runs):
    write_runs(make_runs(ROWS), tmp_path / "runs")
    return tmp_path / "runs"


@pytest.mark.parametrize("name", ["answers.parquet", "items.parquet"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.99])
def test_a_cut_off_file_is_named(folder, name, share):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        SafescaleError, match=rf"{name}: cut off or damaged.*import the answers again"
    ):
        open_runs(folder)


@pytest.mark.parametrize("name", ["answers.parquet", "items.parquet"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(SafescaleError, match=rf"{name}: no such file"):
        open_runs(folder)


@pytest.mark.parametrize("name", ["answers.parquet", "items.parquet", "about.json"])
def test_files_of_two_writings_are_recognised(folder, tmp_path, make_runs, name):
    write_runs(make_runs(ROWS), tmp_path / "other")
    (tmp_path / "other" / name).replace(folder / name)
    with pytest.raises(SafescaleError, match="not of the same writing"):
        open_runs(folder)


def test_a_newer_format_asks_for_an_upgrade(folder):
    about = json.loads((folder / "about.json").read_text())
    (folder / "about.json").write_text(json.dumps(about | {"safescale_runs": 99}))
    with pytest.raises(
        SafescaleError, match=r"about.json: written by a newer version \(format 99.*upgrade"
    ):
        open_runs(folder)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"safescale_runs": "one"}', '{"safescale_runs": 1, "id": 3}']
)
def test_a_damaged_description_is_named(folder, content):
    (folder / "about.json").write_text(content)
    with pytest.raises(SafescaleError, match=r"about.json: damaged"):
        open_runs(folder)


def test_what_is_no_folder_of_runs_is_said(tmp_path):
    with pytest.raises(SafescaleError, match=r"no about.json in it; expected runs"):
        open_runs(tmp_path)
    with pytest.raises(SafescaleError, match="no such folder"):
        open_runs(tmp_path / "nowhere")
    with pytest.raises(SafescaleError, match="no runs named"):
        open_runs()
