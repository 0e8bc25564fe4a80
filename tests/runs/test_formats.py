"""What earlier versions have stored opens and can be gone on with; what cannot be what was written
does not count.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lm_eval_safescale.analysis.study import Study, remarks
from lm_eval_safescale.checksums import with_checksum
from lm_eval_safescale.contexts import StepLog, read_contexts
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.harness import engines
from lm_eval_safescale.runs import open_runs
from lm_eval_safescale.runs.description import read_run
from lm_eval_safescale.runs.journal import Journal
from lm_eval_safescale.runs.lines import Draw, Known, Line, encoded, fault_of, read_shard
from tests.altering import flipped
from tests.running.asking import answers_of, ask, asked_of, read_lines, seeded

FIXTURES = Path(__file__).parent.parent / "fixtures" / "format1"
"""Made by version 0.1.0 of four demo questions and a stub: a run that was finished and one that was
not, one imported from lm_eval, one judged, and a report with its steps."""
GIVEN = {
    "args": {"pretrained": "stub-model"},
    "metadata": {"dataset_path": str(FIXTURES / "questions.jsonl"), "draws": 2},
    "batch_size": 1,
}


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "sys", seeded)
    shutil.copytree(FIXTURES, tmp_path / "stored")
    return tmp_path / "stored"


@pytest.mark.parametrize(("name", "rows"), [("finished", 24), ("imported", 12), ("judged", 24)])
def test_runs_of_the_earlier_format_open_and_a_study_of_them_says_that_they_bear_no_checksums(
    name, rows
):
    runs = open_runs(FIXTURES / name)
    assert runs.answers.height == rows
    (remark,) = [row["reason"] for row in remarks(Study(runs, 0.8)) if "checksum" in row["reason"]]
    assert remark == (
        "1 folder of an earlier format without checksums: damage there would not show (safescale "
        "runs verify)"
    )


def test_a_run_of_the_earlier_format_is_gone_on_with_and_bears_checksums_from_then_on(stored):
    folder = stored / "unfinished"
    before = answers_of(folder)
    assert len(before) == 5
    report = ask(folder, **GIVEN)
    assert (report.standing.known, report.standing.done, report.damaged) == (5, 19, 0)
    assert asked_of(folder).total() == 19
    assert before.items() <= answers_of(folder).items()
    runs = open_runs(folder)
    assert runs.answers.height == 24
    assert "unchecked" not in runs.about
    old, new = sorted((folder / "answers").iterdir())
    assert (read_shard(old).unchecked, read_shard(new).unchecked) == (5, 0)
    assert read_run(folder)["safescale_run"] == 3


def test_a_finished_run_of_the_earlier_format_is_not_asked_again(stored):
    folder = stored / "finished"
    report = ask(folder, **GIVEN)
    assert (report.standing.known, report.standing.done) == (24, 0)
    assert open_runs(folder).answers.equals(open_runs(FIXTURES / "finished").answers)


@pytest.mark.parametrize("name", ["reports.steps.jsonl", "judged/judge.steps.jsonl"])
def test_steps_of_the_earlier_format_are_gone_on_with(stored, name):
    path = stored / name
    header, *records = map(json.loads, path.read_bytes().splitlines())
    about = {key: value for key, value in header.items() if key != "safescale_steps"}
    for _ in range(2):
        steps = StepLog(path, about)
        assert steps.damaged == 0
        assert len(steps._known) == sum("step" in record for record in records)
        steps.note({"another": 1})
        steps.close()
    # the header twice, and what was noted once
    assert len(path.read_bytes().splitlines()) == 1 + len(records) + 2 + 1
    with pytest.raises(SafescaleError, match="taken otherwise"):
        StepLog(path, about | {"models": "another"})


def test_contexts_of_the_earlier_format_open():
    assert list(read_contexts(FIXTURES / "reports.jsonl").contexts) == ["demo-001"]


# --- damage ---------------------------------------------------------------------------------------


@pytest.fixture
def shard(stored):
    folder = stored / "new"
    ask(folder, **GIVEN)
    (path,) = (folder / "answers").iterdir()
    return path


def test_no_flipped_bit_of_the_answers_is_read_as_another_answer(shard):
    folder, content = shard.parent.parent, shard.read_bytes()
    lines, _ = read_lines(folder)
    whole = set(map(encoded, lines))
    for bit in range(0, len(content) * 8, 53):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        shard.write_bytes(flipped)
        read, damaged = read_lines(folder)
        assert set(map(encoded, read)) <= whole, bit
        assert damaged, bit
        assert len(read) >= len(lines) - 2, bit  # two where the end of a line is hit


def test_a_flipped_bit_costs_the_answers_of_its_line_and_they_are_asked_again(shard):
    folder = shard.parent.parent
    before, table = answers_of(folder), open_runs(folder).answers
    content = shard.read_bytes()
    place = content.index(b'"response":"') + len(b'"response":"')
    shard.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    report = ask(folder, **GIVEN)
    assert (report.damaged, report.standing.done) == (1, 1)
    assert answers_of(folder) == before
    assert open_runs(folder).answers.drop("latency_s").equals(table.drop("latency_s"))


def test_a_flipped_bit_of_the_header_costs_no_answer(shard):
    content = shard.read_bytes()
    shard.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    report = ask(shard.parent.parent, **GIVEN)
    assert (report.damaged, report.standing.done) == (1, 0)


def test_no_panic_of_a_library_reaches_whoever_opens_damaged_tables_without_checksums(
    stored, capfd
):
    """Some flips make Polars panic: an exception that is no `Exception`, and lines on standard
    error."""
    ended = set()
    for path, _ in flipped(stored / "finished", 600):
        if path.suffix == ".parquet":
            try:
                open_runs(stored / "finished")
                ended.add("opened")
            except SafescaleError as error:
                ended.add("damaged" if "cut off or damaged" in str(error) else "other")
    assert "damaged" in ended
    assert "panicked" not in capfd.readouterr().err


KNOWN = Known({"q": frozenset("ABC")}, {"clean"}, 2)
GOOD = {
    "condition": "clean",
    "question_id": "q",
    "draws": [{"draw": 1, "status": "ok", "text": "B", "response": "B"}],
}


def a_draw(**changed):
    return {"draws": [{**GOOD["draws"][0], **changed}]}


@pytest.mark.parametrize(
    "changed",
    [
        a_draw(response=None),
        a_draw(status="unanswered"),
        a_draw(status="error"),
        a_draw(status="unsure", response=None),
        a_draw(response="D"),
        a_draw(response="b"),
        a_draw(response="BC"),
        a_draw(response=""),
        a_draw(draw=3),
        a_draw(draw=-1),
        a_draw(draw=2**40),
        a_draw(draw=1.5),
        a_draw(text=None),
        a_draw(completion_tokens=-1),
        {"condition": "cleam"},
        {"question_id": "r"},
        {"draws": []},
        {"draws": [], "failed": [3]},
        {"draws": [], "failed": [-1]},
        {"seed": -1},
        {"prompt_tokens": -1},
        {"latency_s": -0.5},
        {"concurrency": -1},
        {"context_tokens": -1},
        {"recall": 1.5},
        {"evidence_coverage": -0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("bears", [False, True])
@pytest.mark.parametrize("called", ["letter", "response"])
def test_a_line_that_cannot_be_what_was_written_is_damaged_and_asked_again(
    tmp_path, changed, bears, called
):
    """Of the earlier format, in which a flipped bit is not seen otherwise; and of whoever writes
    what cannot be."""
    identity, responses = {"settings": {"draws": 2}}, dict(KNOWN.responses)
    with Journal(tmp_path, identity, {}, responses) as journal:
        journal.of_condition("clean", {})
        journal.write(Line("clean", "q", [Draw(0, "ok", "A", "A")]))
    (shard,) = (tmp_path / "answers").iterdir()
    odd = json.dumps(GOOD | changed).replace('"response"', f'"{called}"').encode()
    shard.with_name("000000-00000000.jsonl").write_bytes(
        (with_checksum(odd) if bears else odd) + b"\n"
    )
    with Journal(tmp_path, identity, {}, responses) as journal:
        assert journal.damaged == 1
        assert journal.held.answered == {"clean": {"q": 1}}


def test_a_good_line_is_good():
    line = Line(
        "clean",
        "q",
        [Draw(1, "ok", "B", "B"), Draw(2, "unanswered", "?")],
        seed=1,
        latency_s=0.0,
        recall=1.0,
    )
    assert fault_of(line, KNOWN) == ""


def test_numbers_of_a_backend_that_cannot_be_cost_no_answer(tmp_path):
    with Journal(tmp_path, {}, {}) as journal:
        journal.write(
            Line(
                "clean",
                "q",
                [Draw(0, "ok", "A", "A", completion_tokens=-1)],
                prompt_tokens=-7,
                latency_s=float("nan"),
                recall=3.0,
            )
        )
        journal.write(
            Line(
                "clean",
                "r",
                [Draw(0, "ok", "\ud800", "A", rule="\udc00")],
                prompt_tokens=2.5,
                reply_id="\ud83d",
            )
        )  # type: ignore[arg-type]
    (one, other), damaged = read_lines(tmp_path)
    assert damaged == 0
    assert (one.prompt_tokens, one.latency_s, one.recall, one.draws[0].completion_tokens) == (
        None,
    ) * 4
    assert (other.prompt_tokens, other.draws[0].text, other.reply_id) == (None, "\ufffd", "\ufffd")


def test_answers_of_a_newer_format_ask_for_an_upgrade(shard):
    header, *lines = shard.read_bytes().splitlines()
    later = json.loads(header) | {"safescale_answers": 99}
    later.pop("crc32")
    data = with_checksum(json.dumps(later, separators=(",", ":")).encode())
    shard.write_bytes(b"\n".join([data, *lines, b""]))
    with pytest.raises(SafescaleError, match=r"format 99\); upgrade lm-eval-safescale"):
        read_lines(shard.parent.parent)
