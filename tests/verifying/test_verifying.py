"""Verifying a folder: no flipped bit and no altered letter passes, whatever was done to the
checksums.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from lm_eval_safescale import reading
from lm_eval_safescale.checksums import with_checksum
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.harness import engines
from lm_eval_safescale.judging.judging import judge, write_judged
from lm_eval_safescale.judging.rereading import reread, write_reread
from lm_eval_safescale.plugins import Part, Plugin, plugins
from lm_eval_safescale.reading import AnswerReader
from lm_eval_safescale.running.finished import NOTE
from lm_eval_safescale.runs import open_runs, write_runs
from lm_eval_safescale.runs.lines import encoded
from lm_eval_safescale.runs.table import Runs
from lm_eval_safescale.verifying.findings import Kind, Verdict
from lm_eval_safescale.verifying.verify import verify
from tests.altering import alter_document, alter_lines, alter_table, flipped, make_sums_again
from tests.judging.judging_stub import StubJudge, says
from tests.running import asking
from tests.running.asking import ask, read_lines, seeded, write_questions
from tests.runs.conftest import frame

FIXTURES = Path(__file__).parent.parent / "fixtures" / "format1"
ITEMS, DRAWS = 2, 2
TEXTS = (
    "A",
    "Answer: B",
    "C",
    "I cannot say.",
    "<think>Is it C?</think>\n\nAnswer: D",
    "<think>The image shows",
    "The answer is B.",
)


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(engines, "sys", seeded)
    monkeypatch.setattr(asking, "TEXTS", TEXTS)


@pytest.fixture
def questions(tmp_path):
    return write_questions(tmp_path / "questions.jsonl", ITEMS)


@pytest.fixture
def data(questions):
    return RADSAFE.load(questions)


@pytest.fixture
def folder(tmp_path, questions):
    """A finished run."""
    ask(
        tmp_path / "run",
        metadata={"dataset_path": str(questions), "draws": DRAWS},
        batch_size=1,
        args={"pretrained": "m"},
    )
    return tmp_path / "run"


@pytest.fixture
def judged(tmp_path, folder):
    runs = open_runs(folder)
    (tmp_path / "judged").mkdir()
    steps = tmp_path / "judged" / "judge.steps.jsonl"
    write_judged(
        judge(runs, StubJudge(lambda text: says("B" if "B" in text else None)), steps),
        tmp_path / "judged",
    )
    return tmp_path / "judged"


@pytest.fixture
def reread_runs(tmp_path, folder, data):
    write_reread(reread(open_runs(folder), data), tmp_path / "reread")
    return tmp_path / "reread"


def other_letters(frame):
    """Every letter is another one."""
    turned = {letter: "ABCD"[("ABCD".index(letter) + 1) % 4] for letter in "ABCD"}
    return frame.with_columns(
        pl.col("response").cast(pl.String).replace(turned).cast(frame.schema["response"])
    )


def other_verdicts(frame):
    return frame.with_columns(
        judge_letter=other_letters(frame.rename({"judge_letter": "response"}))["response"]
    )


def turn(draw):
    if draw.get("response"):
        draw["response"] = "ABCD"[("ABCD".index(draw["response"]) + 1) % 4]


def whats(found, verdict=Verdict.DAMAGED):
    return [f"{finding.where}: {finding.what}" for finding in found.of(verdict)]


@pytest.mark.parametrize("kind", ["folder", "judged", "reread_runs"])
def test_what_was_written_is_whole_and_every_text_is_read_again(request, kind):
    folder = request.getfixturevalue(kind)
    found = verify(folder)
    assert found.findings == []
    assert (found.verdict, found.answers) == (Verdict.WHOLE, 12)
    assert found.read_again == 12
    assert found.not_read_again == {}


def test_a_finished_run_that_is_started_again_with_nothing_to_ask_stays_whole(folder, questions):
    ask(
        folder,
        metadata={"dataset_path": str(questions), "draws": DRAWS},
        batch_size=1,
        args={"pretrained": "m"},
    )
    assert verify(folder).findings == []


@pytest.mark.parametrize(
    ("kind", "times"), [("folder", 400), ("judged", 300), ("reread_runs", 200)]
)
def test_no_flipped_bit_in_any_file_is_read_as_other_data_and_none_is_called_whole(
    request, data, kind, times
):
    folder = request.getfixturevalue(kind)
    # it is no data: all that a damaged one does is that the model is loaded to see
    (folder / NOTE).unlink(missing_ok=True)
    runs, lines = open_runs(folder), {encoded(line) for line in read_lines(folder)[0]}
    hit = set()
    for path, bit in flipped(folder, times):
        hit.add(path.name)
        found = verify(folder, data)
        assert found.verdict is Verdict.DAMAGED, (path, bit)
        try:
            opened = open_runs(folder)
        except SafescaleError:
            opened = None
        if opened is not None:
            assert opened.answers.equals(runs.answers), (path, bit)
            assert opened.items.equals(runs.items), (path, bit)
            assert opened.about == runs.about, (path, bit)
        assert {encoded(line) for line in read_lines(folder)[0]} <= lines, (path, bit)
    assert len(hit) == len(
        [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    )
    assert verify(folder, data).verdict is Verdict.WHOLE


# --- letters --------------------------------------------------------------------------------------


def test_letters_changed_in_the_tables_are_each_named_though_the_checksums_were_made_again(folder):
    with_letter = open_runs(folder).answers.filter(pl.col("response").is_not_null())
    alter_table(folder, other_letters)
    found = verify(folder)
    assert found.verdict is Verdict.DAMAGED
    said = whats(found)
    assert (
        len([each for each in said if "the tables and the journal differ: response" in each])
        == with_letter.height
    )
    for condition, item, draw, letter in with_letter.select(
        "condition", "question_id", "draw", "response"
    ).iter_rows():
        turned = "ABCD"[("ABCD".index(letter) + 1) % 4]
        assert (
            f"m, {condition}, item {item}, draw {draw}: stored as {turned}, and its text reads "
            f"{letter}"
        ) in [each.replace("stub, ", "m, ", 1) for each in said]


def test_letters_that_were_changed_everywhere_are_found_by_their_texts(folder):
    """Every letter the key: the tables, the journal and all checksums say so, and the texts do
    not."""
    (shard,) = (folder / "answers").iterdir()
    alter_lines(shard, lambda line: [turn(draw) for draw in line.get("draws", ())])
    alter_table(folder, other_letters)
    found = verify(folder)
    assert found.verdict is Verdict.DAMAGED
    letters = open_runs(folder).answers["response"].drop_nulls().len()
    assert len(whats(found)) == letters
    assert all("its text reads" in each for each in whats(found))


def test_a_letter_that_was_made_of_none_and_a_text_without_one_are_found(folder):
    alter_table(
        folder,
        lambda frame: frame.with_columns(
            pl.lit("C", pl.String).cast(frame.schema["response"]).alias("response"),
            pl.lit("ok").cast(frame.schema["status"]).alias("status"),
        ),
    )
    said = whats(verify(folder))
    assert any("stored as C, and its text reads unanswered" in each for each in said)
    assert any("stored as C, and its text reads truncated" in each for each in said)


def test_an_answer_called_an_error_is_found_by_its_text(folder):
    failed = {"response": None, "status": "error"}
    alter_table(
        folder,
        lambda frame: frame.with_columns(
            pl.lit(value).cast(frame.schema[name]).alias(name) for name, value in failed.items()
        ),
    )
    assert any("stored as error, and its text reads" in each for each in whats(verify(folder)))


def test_another_rule_than_the_version_reads_by_is_found(folder):
    alter_table(folder, lambda frame: frame.with_columns(rule=pl.lit("by heart")))
    assert any("by the rule 'by heart'" in each for each in whats(verify(folder)))


def test_keys_and_labels_that_were_changed_are_found_by_the_data_set(folder):
    alter_table(
        folder,
        lambda frame: frame.with_columns(answer=pl.lit("A"), label_high_risk=pl.lit("")),
        "items.parquet",
    )
    assert whats(verify(folder)) == [
        (
            f"item q{number}: the table of items and the data set differ: answer 'A' and 'C'; "
            "label_high_risk '' and 'A'"
        )
        for number in range(ITEMS)
    ]


def test_options_that_were_changed_are_found_by_the_data_set(folder):
    alter_table(folder, lambda frame: frame.with_columns(letters=pl.lit("ABCDE")), "items.parquet")
    assert any("letters 'ABCDE' and 'ABCD'" in each for each in whats(verify(folder)))


def test_what_a_judge_read_is_held_against_its_verdicts_and_these_against_its_replies(judged):
    before = shutil.copytree(judged, judged.with_name("before"))
    alter_table(judged, other_letters)
    said = whats(verify(judged))
    assert len(said) == open_runs(before).answers["response"].drop_nulls().len()
    assert all("verdicts.parquet has the verdict" in each for each in said)
    alter_table(judged, other_verdicts, "verdicts.parquet")
    said = whats(verify(judged))
    assert said
    assert all("and the judge's reply reads" in each for each in said)


def test_replies_to_another_prompt_leave_the_verdicts_to_stand_for_them(judged, monkeypatch):
    monkeypatch.setattr("lm_eval_safescale.verifying.judged.PROMPT_SHA256", "another")
    found = verify(judged)
    assert found.verdict is Verdict.WHOLE
    assert any("replies to another prompt" in each for each in whats(found, Verdict.WHOLE))


def test_letters_that_came_with_imported_answers_are_not_read_again(tmp_path, make_runs):
    runs = make_runs([("m", "clean", "1", 0, "A"), ("m", "clean", "1", 1, "unanswered")])
    write_runs(runs, tmp_path / "imported")
    found = verify(tmp_path / "imported")
    assert found.not_read_again == {"the letters came with the answers, and no reader is named": 2}
    assert found.read_again == 0
    assert found.verdict is Verdict.UNKNOWN  # only for the data set: it is named nowhere
    assert [finding.where for finding in found.of(Verdict.UNKNOWN)] == ["data set"]


# --- what cannot be told --------------------------------------------------------------------------


@pytest.fixture
def read_by_another_version(folder, monkeypatch):
    """The same letters, of which the run says that an earlier version has read them."""
    (shard,) = (folder / "answers").iterdir()
    alter_lines(
        shard, lambda line: line["start"].update(reader_version="0") if "start" in line else None
    )
    make_sums_again(folder)
    return folder


def test_another_version_that_read_the_same_is_whole(read_by_another_version):
    assert verify(read_by_another_version).verdict is Verdict.WHOLE


def test_another_version_that_read_otherwise_leaves_it_open_and_names_each_difference(
    read_by_another_version,
):
    folder = read_by_another_version
    (shard,) = (folder / "answers").iterdir()
    alter_lines(shard, lambda line: [turn(draw) for draw in line.get("draws", ())])
    alter_table(folder, other_letters)
    found = verify(folder)
    assert found.verdict is Verdict.UNKNOWN
    said = whats(found, Verdict.UNKNOWN)
    assert len(said) == open_runs(folder).answers["response"].drop_nulls().len()
    assert all(
        f"it was read by version 0 of strict, and this is {reading.READER_VERSION}" in each
        for each in said
    )


def test_a_reader_that_is_not_installed_leaves_it_open(folder):
    alter_document(
        folder / "about.json",
        lambda about: about["models"]["stub"]["settings"].update(reader="nosuch"),
    )
    found = verify(folder)
    assert found.verdict is Verdict.UNKNOWN
    assert found.not_read_again == {"the reader nosuch is not installed": 12}


@pytest.fixture
def last_letter(monkeypatch):
    """A reader of an installed package; give the version that is installed and the reader's
    function."""

    def install(version, read):
        part = Part(
            "answer reader",
            "last",
            AnswerReader("last", "the last letter", read),
            "safescale-last",
            version,
        )
        known = plugins()
        others = [each for each in known.found if each.package != "safescale-last"]
        monkeypatch.setattr(
            known, "found", [*others, Plugin("safescale-last", version, "", lambda: None, [part])]
        )

    return install


def last(text, options):
    return next((each for each in text[::-1] if each in options), None)


def test_a_plugin_s_reader_reads_again_and_its_version_is_that_of_its_package(
    tmp_path, questions, last_letter
):
    folder = tmp_path / "by_plugin"
    last_letter("1.5", last)
    ask(folder, metadata={"dataset_path": str(questions), "draws": DRAWS, "reader": "last"})
    assert verify(folder).findings == []
    last_letter("1.6", last)
    assert verify(folder).verdict is Verdict.WHOLE
    last_letter("1.6", lambda text, options: "A")
    found = verify(folder)
    assert found.verdict is Verdict.UNKNOWN
    here = reading.READER_VERSION
    expected = (
        f"read by version {here}, safescale-last 1.5 of last, and this is {here}, safescale-last "
        "1.6"
    )
    assert all(expected in each for each in whats(found, Verdict.UNKNOWN))
    last_letter("1.5", lambda text, options: "A")
    assert verify(folder).verdict is Verdict.DAMAGED


def test_a_data_set_that_is_gone_or_another_leaves_it_open(folder, questions, tmp_path):
    other = RADSAFE.load(write_questions(tmp_path / "other.jsonl", ITEMS + 1))
    found = verify(folder, other)
    assert found.verdict is Verdict.UNKNOWN
    assert "is not the one that the runs are of" in whats(found, Verdict.UNKNOWN)[0]
    data = RADSAFE.load(questions)
    questions.unlink()
    found = verify(folder)
    assert found.verdict is Verdict.UNKNOWN
    assert "dataset=FILE" in whats(found, Verdict.UNKNOWN)[0]
    assert found.not_read_again == {
        "the data set, whose options the reader needs, cannot be had": 12
    }
    assert verify(folder, data).verdict is Verdict.WHOLE


@pytest.mark.parametrize(
    ("opened", "verdict"),
    [(None, Verdict.UNKNOWN), (False, Verdict.DAMAGED), (True, Verdict.WHOLE)],
)
def test_what_an_older_run_does_not_say_of_its_prompts_may_explain_a_truncated_answer(
    folder, data, opened, verdict
):
    """That a prompt had opened the reasoning cannot be seen in the output."""
    runs = open_runs(folder)
    known = runs.about["models"]["stub"]
    settings = {
        name: value for name, value in known["settings"].items() if name != "reasoning_opened"
    }
    settings |= {"draws": 1} | ({} if opened is None else {"reasoning_opened": opened})
    rows = frame([("stub", "clean", "q0", 0, "truncated"), ("stub", "clean", "q0", 1, "truncated")])
    rows = rows.with_columns(text=pl.Series(["It may be C", "The answer is B."]))
    target = folder.with_name("older")
    write_runs(
        Runs(
            runs.items,
            rows,
            {
                "dataset": runs.about["dataset"],
                "models": {"stub": known | {"settings": settings, "source": "hand"}},
            },
        ),
        target,
    )
    found = verify(target, data)
    assert found.verdict is verdict
    if opened is None:
        assert (
            "unless the prompt had opened the reasoning, which this older run does not say"
            in whats(found, verdict)[0]
        )


# --- completeness ---------------------------------------------------------------------------------


def test_a_run_that_is_not_finished_is_not_whole(tmp_path, questions):
    folder = tmp_path / "run"
    with pytest.raises(SafescaleError):
        ask(
            folder,
            metadata={"dataset_path": str(questions), "draws": DRAWS},
            batch_size=1,
            faults={"fails_at": 3},
        )
    found = verify(folder)
    assert found.verdict is Verdict.DAMAGED
    assert any("not finished" in each for each in whats(found))
    assert any(
        "10 of 12 are missing, the first of clean, item q0, draw 0" in each for each in whats(found)
    )
    assert found.read_again == 2


def test_tables_that_a_later_start_went_beyond_are_not_whole(folder, questions):
    given = {
        "metadata": {"dataset_path": str(questions), "draws": DRAWS},
        "batch_size": 1,
        "args": {"pretrained": "m"},
    }
    with pytest.raises(SafescaleError):
        ask(folder, conditions=("conflict",), faults={"fails_at": 2}, **given)
    said = whats(verify(folder))
    assert any(
        "the journal has it, and the tables do not; the same safescale run command" in each
        for each in said
    )
    ask(folder, conditions=("conflict",), **given)
    assert verify(folder).findings == []


def test_a_line_that_was_torn_before_the_run_was_finished_takes_nothing_from_it(folder, questions):
    (shard,) = (folder / "answers").iterdir()
    shard.write_bytes(shard.read_bytes()[:-10])
    ask(
        folder,
        metadata={"dataset_path": str(questions), "draws": DRAWS},
        batch_size=1,
        args={"pretrained": "m"},
    )
    found = verify(folder)
    assert found.verdict is Verdict.WHOLE
    assert [finding.what for finding in found.findings] == [
        "1 line torn before the run was finished, and asked again"
    ]


def test_a_torn_line_of_a_finished_run_of_the_earlier_format_takes_nothing_from_it(tmp_path):
    """Nothing tells when it was torn; but its answers were asked again, and the tables have
    them."""
    stored = Path(shutil.copytree(FIXTURES / "finished", tmp_path / "finished"))
    (shard,) = (stored / "answers").iterdir()
    first, *lines = shard.read_bytes().splitlines(keepends=True)
    shard.write_bytes(first[:50] + b"\n" + b"".join([first, *lines]))
    alter = json.loads((stored / "about.json").read_text())
    (stored / "about.json").write_text(json.dumps(alter | {"journal_bytes": shard.stat().st_size}))
    data = RADSAFE.load(FIXTURES / "questions.jsonl")
    assert verify(stored, data).verdict is Verdict.WHOLE
    shard.write_bytes(b"{" + shard.read_bytes()[1:].replace(first, b"x" * (len(first) - 1) + b"\n"))
    assert any(
        "the tables have it, and the journal does not" in each
        for each in whats(verify(stored, data))
    )


def test_answers_that_failed_are_told_and_take_nothing_from_the_run(tmp_path, questions):
    folder = tmp_path / "run"
    ask(
        folder,
        metadata={"dataset_path": str(questions), "draws": DRAWS},
        batch_size=1,
        faults={"silent": "image 1"},
    )
    found = verify(folder)
    assert found.verdict is Verdict.WHOLE
    assert any("6 have no output" in finding.what for finding in found.findings)
    assert found.not_read_again == {
        "there is no text: it was not stored, the request failed, or a filter held it back": 6
    }


def test_rows_that_were_taken_from_imported_runs_are_missed(reread_runs):
    alter_table(reread_runs, lambda frame: frame.slice(0, frame.height - 1))
    alter_document(reread_runs / "about.json", lambda about: about.update(rows=about["rows"] - 1))
    assert any("2 of 3 draws are there" in each for each in whats(verify(reread_runs)))


@pytest.mark.parametrize(
    "gone", ["run.json", "about.json", "items.parquet", "answers.parquet", "answers"]
)
def test_a_file_that_is_gone_is_named(folder, gone):
    path = folder / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = verify(folder)
    assert found.verdict is Verdict.DAMAGED
    assert any(
        gone in finding.where or "no tables yet" in finding.what
        for finding in found.of(Verdict.DAMAGED)
    )


def test_answers_of_another_run_are_no_part_of_this_one(folder, questions, tmp_path):
    ask(
        tmp_path / "other",
        metadata={"dataset_path": str(questions), "draws": DRAWS},
        args={"pretrained": "other"},
    )
    (shard,) = (tmp_path / "other" / "answers").iterdir()
    shutil.copy(shard, folder / "answers" / "000000-00000000.jsonl")
    assert whats(verify(folder)) == [
        "answers/000000-00000000.jsonl: its answers are of another run than run.json says"
    ]


def test_every_file_is_hashed_once(folder, monkeypatch):
    hashed, digest = [], hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda file, how: hashed.append(file.name) or digest(file, how)
    )
    verify(folder)
    assert {Path(name).name for name in hashed} > {"answers.parquet", "items.parquet"}
    assert len(hashed) == len(set(hashed))


def test_a_line_of_another_item_is_named(folder):
    (shard,) = (folder / "answers").iterdir()
    odd = {
        "condition": "clean",
        "question_id": "q0",
        "draws": [{"draw": 0, "status": "ok", "text": "C"}],
    }
    with shard.open("ab") as file:
        file.write(with_checksum(json.dumps(odd).encode()) + b"\n")
    make_sums_again(folder)
    found = verify(folder)
    assert any("1 line torn before" in finding.what for finding in found.findings)


@pytest.mark.parametrize("what", ["nothing", "an empty folder", "other things", "a file"])
def test_what_holds_no_runs_is_bad_input(tmp_path, what):
    path: Path = tmp_path / "x"
    if what == "a file":
        path.write_text("x")
    elif what != "nothing":
        path.mkdir()
        if what == "other things":
            (path / "notes.txt").write_text("mine")
    with pytest.raises(SafescaleError, match=r"expected runs|no such folder"):
        verify(path)


def test_of_an_empty_output_no_log_of_the_harness_tells_whether_it_was_refused_or_cut_off(
    folder, data
):
    runs = open_runs(folder)
    rows = frame(
        [("stub", "clean", "q0", 0, "unanswered"), ("stub", "clean", "q0", 1, "truncated")]
    )
    stub = runs.about["models"]["stub"]
    its = {**stub, "source": "a log", "settings": {**stub["settings"], "draws": 1}}
    known = {"dataset": runs.about["dataset"], "models": {"stub": its}}
    write_runs(
        Runs(runs.items, rows.with_columns(text=pl.lit("")), known), folder.with_name("empty")
    )
    assert verify(folder.with_name("empty"), data).verdict is Verdict.WHOLE
    assert reread(open_runs(folder.with_name("empty")), data).changes.height == 0


# --- prompts, and what no run can have written ----------------------------------------------------


def only(found, kind):
    return [finding for finding in found.of(Verdict.DAMAGED) if finding.kind is kind]


def everywhere(folder, **values):
    """Change the greedy answer to the first item in the journal and in the tables."""
    first = (
        (pl.col("question_id") == "q0") & (pl.col("condition") == "clean") & (pl.col("draw") == 0)
    )
    alter_table(
        folder,
        lambda frame: frame.with_columns(
            pl.when(first)
            .then(pl.lit(value))
            .otherwise(pl.col(name))
            .cast(frame.schema[name])
            .alias(name)
            for name, value in values.items()
        ),
    )


def test_every_prompt_is_rendered_again_and_one_of_another_item_is_found(folder, data):
    assert (verify(folder, data).prompts, verify(folder, data).prompts_left) == (4, {})
    other = open_runs(folder).answers.filter(question_id="q1", condition="clean")["prompt_sha256"][
        0
    ]
    everywhere(folder, prompt_sha256=other)
    found = verify(folder, data)
    (finding,) = only(found, Kind.PROMPT)
    assert (finding.where, len(finding.expected)) == ("stub, clean, item q0", 64)


def test_the_frame_of_a_prompt_is_noted_and_one_without_the_system_turn_is_found(folder, data):
    (known,) = open_runs(folder).about["models"].values()
    assert known["settings"]["prompt_frame"]["before"].startswith("<system>You are")
    assert known["settings"]["prompt_frame"]["after"] == ""

    def without(about):
        about["models"]["stub"]["settings"]["prompt_frame"]["before"] = "<user>"

    alter_document(folder / "about.json", without)
    assert only(verify(folder, data), Kind.PROMPT)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"completion_tokens": 5000}, "limit of 10"),
        ({"prompt_tokens": -1}, "prompt_tokens is none"),
        ({"latency_s": float("nan")}, "latency_s is none"),
        ({"latency_s": -1.0}, "latency_s is none"),
        ({"latency_s": 1e9}, "latency_s is none"),
        ({"latency_s": 1e-12}, "tokens a second"),
        ({"evidence_coverage": 1.5}, "evidence_coverage is none"),
        ({"text": None}, "no text, and not failed"),
        ({"prompt_sha256": None}, "no hash of its prompt"),
        ({"seed": 5}, "a greedy answer with a seed"),
        ({"read_as": "reasoning"}, "read as reasoning"),
        ({"read_as": "cut"}, "read as cut off"),
        ({"context_fingerprint": "0" * 64}, "shown different contexts"),
    ],
)
def test_what_no_run_can_have_written_is_found(folder, data, values, said):
    everywhere(folder, **values)
    assert [each.what for each in only(verify(folder, data), Kind.IMPOSSIBLE) if said in each.what]


def copied(runs, temperature, copies):
    """Ten samples of 60 words of one item, of which so many are the text of the first."""
    rows = frame([("stub", "clean", "q0", draw, "unanswered") for draw in range(11)])
    texts = [f"{'word ' * 60}{0 if 1 <= draw <= 1 + copies else draw}" for draw in range(11)]
    stub = runs.about["models"]["stub"]
    settings = {**stub["settings"], "draws": 10, "temperature": temperature}
    models = {"stub": {**stub, "source": "a log", "settings": settings}}
    return Runs(
        runs.items,
        rows.with_columns(text=pl.Series(texts)),
        {"dataset": runs.about["dataset"], "models": models},
    )


@pytest.mark.parametrize(
    ("temperature", "copies", "verdict"),
    [
        (0.7, 9, Verdict.DAMAGED),
        (0.7, 5, Verdict.DAMAGED),
        (0.7, 4, Verdict.WHOLE),
        (0.1, 9, Verdict.WHOLE),
    ],
)
def test_long_samples_that_copy_are_listed_and_most_of_them_are_no_samples(
    folder, data, temperature, copies, verdict
):
    write_runs(copied(open_runs(folder), temperature, copies), folder.with_name("copies"))
    found = verify(folder.with_name("copies"), data)
    (finding,) = [each for each in found.findings if each.kind is Kind.COPY]
    assert (finding.verdict, finding.what.startswith(f"{copies} of 9 further samples")) == (
        verdict,
        True,
    )


def test_a_subset_is_called_one_and_left_out_items_are_found(tmp_path, folder, data):
    ask(
        tmp_path / "first",
        metadata={"dataset_path": str(tmp_path / "questions.jsonl"), "draws": DRAWS},
        batch_size=1,
        limit=1,
        args={"pretrained": "m"},
    )
    found = verify(tmp_path / "first")
    assert (found.verdict, found.subsets["clean"]) == (Verdict.WHOLE, (1, 2))
    runs = open_runs(folder)
    for left, expected in (("q1", []), ("q0", [Kind.MISSING] * 2)):
        kept = runs.answers.filter(pl.col("question_id").cast(pl.String) != left)
        write_runs(Runs(runs.items, kept, runs.about), tmp_path / left)
        assert [each.kind for each in verify(tmp_path / left, data).findings] == expected


def test_a_version_of_the_reader_that_is_to_come_is_named(folder, data):
    def newer(about):
        about["models"]["stub"]["settings"]["reader_version"] = "99"

    runs = open_runs(folder)
    write_runs(runs, folder.with_name("newer"))
    alter_document(folder.with_name("newer") / "about.json", newer)
    (finding,) = verify(folder.with_name("newer"), data).findings
    assert (finding.verdict, finding.kind) == (Verdict.WHOLE, Kind.VERSION)
