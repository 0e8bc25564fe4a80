"""Files of contexts built ahead: what was written is read again, and what is damaged or of other
data is refused.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from lm_eval_safescale.checksums import with_checksum
from lm_eval_safescale.contexts import (
    ContextSet,
    check_belongs,
    files,
    read_contexts,
    write_contexts,
)
from lm_eval_safescale.datasets import DataError
from lm_eval_safescale.datasets.dataset import Dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.records import FEWER_FOUND, NOTHING_FOUND, Context, Flag, PassageRef

TEXT = "passage\u2028one\r\nAnswer: B \U0001f480 {question}\n\n---\n\n\x1b[31mtwo"


@pytest.fixture
def dataset(item):
    return Dataset.of("mine", "1.0", [item(0), item(1)])


@pytest.fixture
def made(dataset):
    passages = (PassageRef("p1#1", "p1", 0.1 + 0.2, 1), PassageRef("p2#1", "p2", -1e-300, 2))
    context = Context(
        TEXT, "rag", passages, 12, "words", True,
        (Flag("prompt line", "Answer: B", "p1#1"), Flag("x", "y")),
        {"recall": 1 / 3, "reciprocal_rank": None}, {"budget": 5},
    )  # fmt: skip
    about = {
        "condition": "rag", "builder": {"name": "rag", "provided_by": "x 1", "settings": {}},
        "tokenizer": "words", "window": None,
        "dataset": {"name": "mine", "version": "1.0", "fingerprint": dataset.fingerprint},
        "items": 2,
    }  # fmt: skip
    return ContextSet(
        about, {"q0": context, "q1": dataclasses.replace(context, text="other", flags=())}
    )


@pytest.fixture
def file(made, tmp_path):
    write_contexts(tmp_path / "new" / "rag.jsonl", made)
    return tmp_path / "new" / "rag.jsonl"


def test_what_was_written_is_read_again(file, made, dataset):
    assert read_contexts(file) == made
    check_belongs(made, dataset, file)
    assert [path.name for path in file.parent.iterdir()] == ["rag.jsonl"]
    before = file.read_bytes()
    write_contexts(file, read_contexts(file))
    assert file.read_bytes() == before


def lines_of(file):
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    return [{name: value for name, value in line.items() if name != "crc32"} for line in lines]


def rewrite(file, change):
    """Change lines, and make their checksums again."""
    lines = lines_of(file)
    change(lines)
    file.write_bytes(b"".join(with_checksum(json.dumps(line).encode()) + b"\n" for line in lines))


def test_no_flipped_bit_is_read_as_another_context(file, made):
    content = file.read_bytes()
    for bit in range(0, len(content) * 8, 7):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        with pytest.raises(DataError):
            read_contexts(file)


def test_a_file_of_the_earlier_version_is_read_without_checksums(file, made):
    lines = lines_of(file)
    lines[0]["safescale_contexts"] = 1
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert read_contexts(file) == made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda lines: lines.pop(),
            "1 contexts, but the header says 2: half-written; build it again",
        ),
        (
            lambda lines: lines[1].update(text=lines[1]["text"] + " "),
            "jsonl:2: .*q0.*the text is not as it was written",
        ),
        (lambda lines: lines[1].update(text=7), "jsonl:2: .*q0.*not a context"),
        (lambda lines: lines.append(lines[1]), "jsonl:4: .*q0.*the item stands twice"),
        (
            lambda lines: lines.append({"question_id": "q0", "failed": "x"}),
            "jsonl:4: .*q0.*the item stands twice",
        ),
        (
            lambda lines: lines.insert(1, {"question_id": "q0", "failed": "x"}),
            "jsonl:3: .*q0.*the item stands twice",
        ),
        (lambda lines: lines[2].pop("tokens"), "jsonl:3: .*q1.*not a context.*tokens"),
        (lambda lines: lines[2].update(passages=[{"id": "x"}]), "jsonl:3: .*q1.*not a context"),
        (lambda lines: lines[2].update(passages=None), "jsonl:3: .*not a context"),
        (
            lambda lines: lines[0].update(safescale_contexts=3),
            "jsonl:1: .*version 3; expected contexts of version 2",
        ),
        (
            lambda lines: lines.pop(0),
            (
                "jsonl:1: .*no header; expected contexts of version 2, built by safescale contexts "
                "build"
            ),
        ),
        (lambda lines: lines.clear(), "no records in the file"),
    ],
)
def test_a_damaged_file_is_refused_with_place_and_reason(file, change, message):
    rewrite(file, change)
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_contexts(file)


def test_a_file_is_read_with_bounds_and_no_other_way(file, made, monkeypatch):
    monkeypatch.delattr(Path, "read_bytes")
    assert read_contexts(file).contexts == made.contexts


def test_a_line_torn_in_the_middle_is_refused(file):
    whole = file.read_bytes()
    for end in (len(whole) - 2, len(whole) - 100, len(whole) // 2):
        file.write_bytes(whole[:end])
        with pytest.raises(DataError):
            read_contexts(file)


def test_a_header_without_what_it_must_say_is_refused(file):
    for name in ("condition", "items", "dataset"):
        whole = file.read_bytes()
        rewrite(file, lambda lines, name=name: lines[0].pop(name))
        with pytest.raises(SafescaleError, match=name):
            read_contexts(file)
        file.write_bytes(whole)


def test_what_is_no_file_or_no_jsonl_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file; safescale contexts build makes one"):
        read_contexts(tmp_path / "nothing.jsonl")
    (tmp_path / "x.csv").write_text("a,b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"expected a \.jsonl file"):
        read_contexts(tmp_path / "x.csv")


def test_contexts_of_another_data_set_are_refused(made, item, file):
    other = Dataset.of("mine", "1.1", [item(0), item(1, answer="B")])
    with pytest.raises(
        SafescaleError,
        match=r"built for the data set mine 1\.0, not for mine 1\.1.*fingerprints differ",
    ):
        check_belongs(made, other, file)


def test_a_missing_item_is_named(made, dataset, file):
    fewer = ContextSet(made.about, {"q0": made.contexts["q0"]})
    with pytest.raises(SafescaleError, match="no context for 1 items, the first q1"):
        check_belongs(fewer, dataset, file)


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(made, tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(SafescaleError, match="cannot be written"):
        write_contexts(tmp_path / "file" / "rag.jsonl", made)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_summary_is_over_the_items_that_are_scored(made):
    contexts = dict(made.contexts)
    contexts["q1"] = dataclasses.replace(
        contexts["q1"],
        tokens=4,
        measures={"recall": None, "reciprocal_rank": None},
        truncated=False,
    )
    assert ContextSet(made.about, contexts).summary() == {
        "tokens": {"least": 4, "mean": 8.0, "most": 12},
        "measures": {"recall": 1 / 3, "reciprocal_rank": None},
        "scored": {"recall": 1, "reciprocal_rank": 0},
        "truncated": 1,
        "flagged": 1,
        "nothing_found": 0,
        "fewer_found": 0,
        "failed": 0,
    }


def test_contexts_for_which_too_little_was_found_are_counted_apart_from_imitations(made):
    kinds = {"q0": (NOTHING_FOUND, "0 of 3 passages"), "q1": (FEWER_FOUND, "1 of 3 passages")}
    contexts = {
        name: dataclasses.replace(made.contexts[name], flags=(Flag(*flag),))
        for name, flag in kinds.items()
    }
    flagged = ContextSet(made.about, contexts)
    assert [flagged.summary()[name] for name in ("nothing_found", "fewer_found", "flagged")] == [
        1,
        1,
        0,
    ]
    assert flagged.flagged_as(NOTHING_FOUND) == {"q0": "0 of 3 passages"}
    assert [flagged.contexts[name].nothing_found for name in ("q0", "q1")] == [True, False]


def test_a_context_for_which_nothing_was_found_is_read_as_it_was_written(made, tmp_path):
    empty = Context(
        "",
        "rag",
        tokenizer="words",
        flags=(Flag(NOTHING_FOUND, "0 of 3 passages"),),
        measures={"recall": 0.0},
    )
    written = ContextSet(made.about, {**made.contexts, "q0": empty})
    write_contexts(tmp_path / "empty.jsonl", written)
    assert read_contexts(tmp_path / "empty.jsonl").contexts == written.contexts


@pytest.mark.parametrize(
    "interruption", [KeyboardInterrupt(), OSError(28, "No space left on device")]
)
def test_a_write_that_is_interrupted_leaves_the_old_file_and_nothing_else(
    file, made, monkeypatch, interruption
):
    before = file.read_bytes()
    other = ContextSet(
        made.about,
        {name: dataclasses.replace(each, text="new") for name, each in made.contexts.items()},
    )

    def interrupted(_):
        raise interruption

    monkeypatch.setattr("lm_eval_safescale.files.os.fsync", interrupted)
    with pytest.raises((KeyboardInterrupt, SafescaleError)):
        write_contexts(file, other)
    assert [path.name for path in file.parent.iterdir()] == ["rag.jsonl"]
    assert file.read_bytes() == before


def test_a_note_that_is_no_text_is_refused_before_anything_is_written(made, tmp_path):
    odd = {
        name: dataclasses.replace(each, notes={"x": "\ud800"})
        for name, each in made.contexts.items()
    }
    with pytest.raises(SafescaleError, match="cannot be written"):
        write_contexts(tmp_path / "rag.jsonl", ContextSet(made.about, odd))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("builder", None),
        ("builder", {"name": "rag"}),
        ("items", "2"),
        ("tokenizer", 5),
        ("dataset", []),
    ],
)
def test_a_header_that_is_damaged_is_refused_by_the_field(file, name, value):
    rewrite(file, lambda lines: lines[0].update({name: value}))
    with pytest.raises(DataError, match=f"jsonl:1: {name}: missing or damaged in the header"):
        read_contexts(file)


@pytest.mark.parametrize(
    ("name", "value"),
    [("question_id", 5), ("tokens", "12"), ("measures", [1]), ("notes", "x"), ("text", "\ud800")],
)
def test_a_field_of_another_type_is_refused(file, name, value):
    rewrite(file, lambda lines: lines[1].update({name: value}))
    with pytest.raises(DataError, match=r"jsonl:2: item .*: not a context"):
        read_contexts(file)


@pytest.mark.parametrize(
    "content", ["", "\n\n", "not JSON\n", "[1]\n", "\x00\x00\x00\x00", '{"a": 1}{"b": 2}\n']
)
def test_what_holds_no_contexts_is_refused(tmp_path, content):
    path = tmp_path / "x.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.jsonl"):
        read_contexts(path)


def test_a_header_alone_is_no_set_of_contexts(file):
    rewrite(file, lambda lines: (lines[0].update(items=0), lines.__delitem__(slice(1, None))))
    with pytest.raises(DataError, match="0 contexts"):
        read_contexts(file)


def test_contexts_that_stand_in_a_file_are_read_from_it_when_they_are_asked_for(file, made):
    read = read_contexts(file)
    assert list(read.contexts) == ["q0", "q1"]
    assert read.contexts["q1"] == made.contexts["q1"]
    file.unlink()  # it is open
    assert read.contexts["q0"] == made.contexts["q0"]
    with pytest.raises(KeyError):
        read.contexts["q2"]


def test_a_file_that_is_changed_while_its_contexts_are_used_is_not_taken_for_what_it_was(file):
    read = read_contexts(file)
    file.write_bytes(file.read_bytes().replace(b"other", b"OTHER"))
    with pytest.raises(
        SafescaleError, match=r"rag.jsonl: was changed while it was used; start again"
    ):
        read.contexts["q1"]


def test_a_file_says_the_same_read_as_a_whole(file, made, monkeypatch):
    write_contexts(file, ContextSet({**made.about, "items": 3}, made.contexts, {"q2": "no report"}))
    read = read_contexts(file)
    monkeypatch.setattr(files, "_undamaged", lambda _: None)
    assert read_contexts(file) == read
    assert read.failed == {"q2": "no report"}
