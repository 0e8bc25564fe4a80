"""Archives that are not what a submission is: each is refused for the right reason, or harmless,
before it fills the memory or writes anything outside its temporary folder.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import struct
import tempfile
import tracemalloc
import unicodedata
import zipfile
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from lm_eval_safescale import inputs
from lm_eval_safescale.cli import app
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.leaderboard.archive import (
    FIRST_DAY,
    MOST_FILES,
    Refusal,
)
from lm_eval_safescale.leaderboard.verify import SubmissionKind, Verdicts, verify_submission
from lm_eval_safescale.verifying.findings import Kind, Verdict
from tests.leaderboard.making import (
    as_lines,
    lines_of,
    load_of,
    rezipped,
    sealed_again,
    sums,
    write_card,
)

MOST_MEMORY = 64_000_000
"""Bytes that Python may hold at a time while one of these is read."""


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Nothing is written outside the temporary folder, and nothing stays in it; memory is
    bounded."""
    temporary, elsewhere = tmp_path / "temporary", tmp_path / "here"
    temporary.mkdir()
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.chdir(elsewhere)
    before = everything(tmp_path)
    tracemalloc.start()
    yield tmp_path / "given"
    assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    tracemalloc.stop()
    after = everything(tmp_path) - {"given/hostile.zip"}
    assert after - {"given"} == before


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def kinds(path: Path, made: Path, **given) -> set[str]:
    report = verify_submission(path, load_of(made), **given)
    assert report.level is None or report.verdict is Verdicts.VERIFIED
    json.dumps(report.as_json(), allow_nan=False)
    return {str(each.kind) for each in report.found.of(Verdict.DAMAGED)}


# --- the archive itself ---------------------------------------------------------------------------


def name(given):
    return lambda files: {**files, given: b"x"}


NAMES = {
    "../evil.json": Refusal.PATH,
    "../../../../tmp/evil": Refusal.PATH,
    "a/../../evil": Refusal.PATH,
    "..\\evil.json": Refusal.PATH,
    "a\\..\\..\\evil": Refusal.PATH,
    "/etc/passwd": Refusal.PATH,
    "\\\\server\\share": Refusal.PATH,
    "\\windows": Refusal.PATH,
    "C:\\evil.json": Refusal.PATH,
    "c:evil.json": Refusal.PATH,
    "folder/manifest.json": Refusal.PATH,
    "./manifest.json": Refusal.PATH,
    "manifest\u202e.json": Refusal.PATH,
    "manifest.json\x1b[2J": Refusal.PATH,
    "manifest\u200b.json": Refusal.PATH,
    "Manifest.json": Refusal.TWICE,
    "MANIFEST.JSON": Refusal.TWICE,
    "manifest.json.": Refusal.TWICE,
    "manifest.json ": Refusal.TWICE,
    "\uff4danifest.json": Refusal.TWICE,
    "answer\u017f.jsonl": Refusal.TWICE,
    "m\u0430nifest.json": Refusal.NAME,
    "evil.pkl": Refusal.NAME,
    "answers.parquet": Refusal.NAME,
    "about.json": Refusal.NAME,
    "nested.zip": Refusal.NAME,
    ".hidden": Refusal.NAME,
    "__init__.py": Refusal.NAME,
    "CON": Refusal.NAME,
}


@pytest.mark.parametrize("given", NAMES, ids=ascii)
def test_a_name_that_is_none_of_a_submission_is_refused(watched, made, files, given):
    watched.mkdir()
    path = rezipped(watched / "hostile.zip", name(given)(files))
    assert kinds(path, made) == {NAMES[given]}


MODES = {
    "a link": (stat.S_IFLNK | 0o777, Refusal.NO_FILE),
    "a folder": (stat.S_IFDIR | 0o755, Refusal.NO_FILE),
    "a device": (stat.S_IFCHR | 0o600, Refusal.NO_FILE),
    "a disk": (stat.S_IFBLK | 0o600, Refusal.NO_FILE),
    "a pipe": (stat.S_IFIFO | 0o600, Refusal.NO_FILE),
    "a socket": (stat.S_IFSOCK | 0o600, Refusal.NO_FILE),
}


@pytest.mark.parametrize("kind", MODES)
def test_what_is_no_plain_file_is_refused(watched, made, files, kind):
    watched.mkdir()
    mode, refusal = MODES[kind]

    def change(info):
        if info.filename == "items.jsonl":
            info.external_attr = mode << 16

    path = rezipped(watched / "hostile.zip", files, change=change)
    assert kinds(path, made) == {refusal}


def test_a_folder_by_its_name_is_refused(watched, made, files):
    watched.mkdir()
    assert kinds(rezipped(watched / "hostile.zip", {**files, "data.jsonl/": b""}), made) == {
        Refusal.NO_FILE
    }


def patched(content: bytes, place: int, data: bytes) -> bytes:
    return content[:place] + data + content[place + len(data) :]


def central(content: bytes, number: int = 0) -> int:
    place = content.index(b"PK\x01\x02")
    for _ in range(number):
        place = content.index(b"PK\x01\x02", place + 4)
    return place


def end(content: bytes) -> int:
    return content.rindex(b"PK\x05\x06")


def locator(content: bytes) -> bytes:
    """With a second, larger end before the end, as archives beyond 4 GB have it."""
    place = end(content)
    larger = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2**40, 2**40, 2**40, 0)
    where = struct.pack("<4sLQL", b"PK\x06\x07", 0, place, 1)
    return content[:place] + larger + where + content[place:]


RAW = {
    "nothing": (lambda _: b"", None),
    "no archive": (lambda _: b"\x80\x04N." * 20, None),
    "a pickle": (lambda _: pickle.dumps({"a": os.getcwd}), None),
    "cut off": (lambda content: content[:-30], Refusal.STRUCTURE),
    "something behind": (lambda content: content + b"#!/bin/sh\n", Refusal.STRUCTURE),
    "something before": (lambda content: b"PK#!/bin/sh\n" + content, Refusal.STRUCTURE),
    "an archive in an archive": (lambda content: content + content, Refusal.STRUCTURE),
    "a comment": (
        lambda content: patched(content, len(content) - 2, b"\x05\x00") + b"hello",
        Refusal.STRUCTURE,
    ),
    "beyond 4 GB": (locator, Refusal.STRUCTURE),
    "many files said": (
        lambda content: patched(content, end(content) + 8, b"\xff\xff\xff\xff"),
        Refusal.TOO_MANY,
    ),
    "a list of 4 GB": (
        lambda content: patched(content, end(content) + 12, b"\xf0\xff\xff\xff"),
        Refusal.TOO_LARGE,
    ),
    "a list elsewhere": (
        lambda content: patched(content, end(content) + 16, b"\x00\x00\x00\x00"),
        Refusal.STRUCTURE,
    ),
    "several disks": (
        lambda content: patched(content, end(content) + 4, b"\x01\x00"),
        Refusal.STRUCTURE,
    ),
    "encrypted": (
        lambda content: patched(content, central(content) + 8, b"\x01\x00"),
        Refusal.ENCRYPTED,
    ),
    "strongly encrypted": (
        lambda content: patched(content, central(content) + 8, b"\x41\x00"),
        Refusal.ENCRYPTED,
    ),
    "bzip2": (lambda content: patched(content, central(content) + 10, b"\x0c\x00"), Refusal.METHOD),
    "lzma": (lambda content: patched(content, central(content) + 10, b"\x0e\x00"), Refusal.METHOD),
    "a bomb by its size": (
        lambda content: patched(content, central(content) + 24, struct.pack("<L", 2**32 - 2)),
        Refusal.TOO_LARGE,
    ),
    "a bomb by its ratio": (
        lambda content: patched(content, central(content) + 24, struct.pack("<L", 2**28)),
        Refusal.RATIO,
    ),
    "a size in the list alone": (
        lambda content: patched(content, central(content) + 24, struct.pack("<L", 5)),
        Refusal.STRUCTURE,
    ),
    "bytes shared by two files": (
        lambda content: patched(content, central(content, 1) + 42, struct.pack("<L", 0)),
        Refusal.STRUCTURE,
    ),
    "another name inside": (lambda content: patched(content, 30, b"b"), Refusal.STRUCTURE),
    "a flipped bit": (
        lambda content: patched(content, 60, bytes([content[60] ^ 1])),
        Refusal.DAMAGED,
    ),
}


@pytest.mark.parametrize("given", RAW)
def test_bytes_that_are_no_submission_are_refused(watched, made, given):
    change, refusal = RAW[given]
    watched.mkdir()
    path = watched / "hostile.zip"
    path.write_bytes(change((made / "submission.zip").read_bytes()))
    if refusal is None:
        with pytest.raises(SafescaleError, match=r"no (ZIP )?archive"):
            kinds(path, made)
    else:
        assert kinds(path, made) == {refusal}


def test_ten_thousand_files_are_refused_before_their_list_is_read(watched, made):
    watched.mkdir()
    path = watched / "hostile.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(10_000):
            archive.writestr(zipfile.ZipInfo(f"{number}", FIRST_DAY), b"")
    tracemalloc.reset_peak()
    assert kinds(path, made) == {Refusal.TOO_MANY}
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(MOST_FILES):
            archive.writestr(zipfile.ZipInfo("x" * 500 + str(number), FIRST_DAY), b"")
    assert kinds(path, made) == {Refusal.TOO_LARGE}


@pytest.mark.parametrize("size", [1 << 23, 1 << 30])
def test_a_bomb_is_refused_before_it_is_unpacked(watched, made, files, size):
    """Real ones: zeros, said to be so many."""
    watched.mkdir()
    path = watched / "hostile.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, content in files.items():
            if each != "answers.jsonl":
                archive.writestr(zipfile.ZipInfo(each, FIRST_DAY), content)
        info = zipfile.ZipInfo("answers.jsonl", FIRST_DAY)
        info.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(info, "w") as target:
            for _ in range(size >> 20):
                target.write(bytes(1 << 20))
        archive.writestr(zipfile.ZipInfo("checksums.txt", FIRST_DAY), sums(files))
    tracemalloc.reset_peak()
    assert kinds(path, made) == {Refusal.RATIO}


def test_a_stream_that_is_longer_than_it_says_is_refused(watched, made, files):
    """The list and the file agree on a size that is not that of what comes out."""
    watched.mkdir()
    path = rezipped(watched / "hostile.zip", files)
    content = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        info = next(each for each in archive.infolist() if each.filename == "answers.jsonl")
        number = [each.filename for each in archive.infolist()].index("answers.jsonl")
    less = struct.pack("<L", info.file_size - 7)
    content = patched(content, info.header_offset + 22, less)
    path.write_bytes(patched(content, central(content, number) + 24, less))
    assert kinds(path, made) == {Refusal.DAMAGED}


def test_more_than_may_be_unpacked_is_refused(watched, made, files, monkeypatch):
    watched.mkdir()
    monkeypatch.setenv(inputs.MAX_FILE_MB, "0.008")
    path = rezipped(watched / "hostile.zip", {**files, "data.jsonl": b" " * 7_000})
    assert kinds(path, made) == {Refusal.TOO_LARGE}


def test_a_file_twice_is_refused(watched, made, files):
    watched.mkdir()
    path = watched / "hostile.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in [*files.items(), ("checksums.txt", b"")]:
            archive.writestr(zipfile.ZipInfo(each, FIRST_DAY), content)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(zipfile.ZipInfo("items.jsonl", FIRST_DAY), b"{}")
    assert kinds(path, made) == {Refusal.TWICE}


@pytest.mark.parametrize(
    "missing", ["manifest.json", "answers.jsonl", "items.jsonl", "results.json"]
)
def test_a_missing_file_is_named(watched, made, files, missing):
    watched.mkdir()
    left = {each: content for each, content in files.items() if each != missing}
    report = verify_submission(rezipped(watched / "hostile.zip", left), load_of(made))
    (finding,) = report.found.findings
    assert (finding.kind, finding.where) == (Refusal.MISSING, missing)


SUMS = {
    "none": b"",
    "no text": b"\xff\xfe" * 40,
    "of other contents": b"0" * 64 + b"  answers.jsonl\n",
    "a line too many": None,
    "in another order": None,
    "with Windows' line ends": None,
}


@pytest.mark.parametrize("given", SUMS)
def test_checksums_that_are_not_those_of_the_files_are_refused(watched, made, files, given):
    watched.mkdir()
    own = sums(files)
    lines = own.splitlines(keepends=True)
    checksums = {
        "a line too many": own + b"0" * 64 + b"  evil\n",
        "in another order": b"".join(lines[::-1]),
        "with Windows' line ends": own.replace(b"\n", b"\r\n"),
    }.get(given, SUMS[given])
    path = rezipped(watched / "hostile.zip", files, checksums=checksums)
    assert kinds(path, made) == {Refusal.CHECKSUM}


def test_another_root_than_the_published_one_is_refused(watched, made):
    watched.mkdir()
    path = made / "submission.zip"
    root = verify_submission(path, load_of(made)).root
    assert kinds(path, made, root="0" * 64) == {Refusal.ROOT}
    report = verify_submission(path, load_of(made), root=root.upper())
    assert (report.verdict, report.published_root) == (Verdicts.VERIFIED, True)


# --- what is in the files -------------------------------------------------------------------------

DEEP = b"[" * 100_000 + b"]" * 100_000
CONTENTS = {
    ("manifest.json", "no JSON"): (b"{", SubmissionKind.MANIFEST),
    ("manifest.json", "no object"): (b"[]", SubmissionKind.MANIFEST),
    ("manifest.json", "deep"): (DEEP, SubmissionKind.MANIFEST),
    ("manifest.json", "large"): (b'"' + b"x" * 5_000_000 + b'"', Refusal.TOO_LARGE),
    ("manifest.json", "no UTF-8"): (b"\xff\xfe{}", SubmissionKind.MANIFEST),
    ("manifest.json", "a monstrous number"): (
        b'{"a": ' + b"9" * 10_000 + b"}",
        SubmissionKind.MANIFEST,
    ),
    ("manifest.json", "half a character"): (b'{"a": "\\ud800"}', SubmissionKind.MANIFEST),
    ("manifest.json", "a pickle"): (pickle.dumps({}), SubmissionKind.MANIFEST),
    ("items.jsonl", "no JSON"): (b"{\n", Kind.ITEM),
    ("items.jsonl", "deep"): (b'{"question_id": ' + DEEP + b"}", Kind.ITEM),
    ("items.jsonl", "none"): (b"", Kind.ITEM),
    ("items.jsonl", "NaN"): (b'{"question_id": "q0", "x": NaN}\n', Kind.ITEM),
    ("items.jsonl", "infinite"): (b'{"question_id": "q0", "x": 1e999}\n', Kind.ITEM),
    ("items.jsonl", "objects"): (b'{"question_id": {"a": 1}}\n', Kind.ITEM),
    ("items.jsonl", "of other kinds"): (b'{"question_id": 1, "answer": [1]}\n', Kind.ITEM),
    ("answers.jsonl", "no JSON"): (b"{\n", Kind.TABLE),
    ("answers.jsonl", "none"): (b"", Kind.TABLE),
    ("answers.jsonl", "deep"): (b'{"condition": ' + DEEP + b"}", Kind.TABLE),
    ("answers.jsonl", "a long line"): (b'"' + b"x" * (1 << 24) + b'"', Kind.TABLE),
    ("answers.jsonl", "other names"): (b'{"exec": "rm"}\n', Kind.TABLE),
    ("answers.jsonl", "zeros"): (bytes(5000), Kind.TABLE),
    ("answers.jsonl", "a Parquet file"): (b"PAR1" + bytes(100) + b"PAR1", Kind.TABLE),
    ("results.json", "no JSON"): (b"{", SubmissionKind.NUMBER),
    ("results.json", "no rows"): (b'{"a": 1}', SubmissionKind.NUMBER),
    ("results.json", "half a character"): (
        b'[{"condition": "\\ud800"}]',
        SubmissionKind.NUMBER,
    ),
    ("results.json", "deep"): (DEEP, SubmissionKind.NUMBER),
    ("results.json", "none"): (b"[]", SubmissionKind.NUMBER),
    ("results.json", "a million lists"): (b"[" + b"[]," * 1_400_000 + b"[]]", Refusal.TOO_LARGE),
}


@pytest.mark.parametrize("given", CONTENTS, ids=" ".join)
def test_a_file_that_holds_something_else_is_refused(watched, made, files, given):
    content, kind = CONTENTS[given]
    watched.mkdir()
    path = rezipped(watched / "hostile.zip", {**files, given[0]: content}, mode=zipfile.ZIP_STORED)
    assert kind in kinds(path, made)


def test_a_forged_table_of_verdicts_reaches_no_parser_of_tables(watched, made, files):
    watched.mkdir()
    buffer = io.BytesIO()
    pl.DataFrame({"a": [1]}).write_parquet(buffer)
    path = rezipped(watched / "hostile.zip", {**files, "verdicts.jsonl": buffer.getvalue()})
    assert kinds(path, made) == {Kind.TABLE}


ODD_ANSWERS = {
    "an unknown item": {"question_id": "nosuch"},
    "an unknown status": {"status": "right"},
    "a draw beyond all": {"draw": 1001},
    "a negative draw": {"draw": -1},
    "a huge number": {"prompt_tokens": 10**30},
    "a text for a number": {"latency_s": "fast"},
    "a number for a text": {"text": 5},
    "a response that is none of the item": {"response": "Z", "status": "ok"},
    "a response without its status": {"response": "A", "status": "unanswered"},
    "an object for a text": {"text": {"$ref": "file:///etc/passwd"}},
}


@pytest.mark.parametrize("given", ODD_ANSWERS)
def test_an_answer_that_can_be_none_is_refused(watched, made, files, given):
    watched.mkdir()
    rows = lines_of(files["answers.jsonl"])
    rows[0] |= ODD_ANSWERS[given]
    path = sealed_again(watched / "hostile.zip", {**files, "answers.jsonl": as_lines(rows)})
    assert kinds(path, made) == {Kind.TABLE}


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_refused(watched, made, files, value):
    watched.mkdir()
    told = files["manifest.json"].replace(
        b'"parameters_b": 0.1', f'"parameters_b": {value}'.encode()
    )
    assert told != files["manifest.json"]
    path = sealed_again(watched / "hostile.zip", {**files, "manifest.json": told})
    assert kinds(path, made) == {SubmissionKind.MANIFEST}


def test_a_name_twice_in_the_manifest_is_refused(watched, made, files):
    watched.mkdir()
    told = files["manifest.json"].replace(b'"demo": false', b'"demo": false,\n "demo": false', 1)
    path = sealed_again(watched / "hostile.zip", {**files, "manifest.json": told})
    assert kinds(path, made) == {SubmissionKind.MANIFEST}


# --- texts of authors -----------------------------------------------------------------------------

TEXTS = {
    "HTML": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "a formula": '=HYPERLINK("http://evil";"x")',
    "a formula with a plus": "+cmd|' /C calc'!A0",
    "a formula with an at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "escapes": "\x1b]0;evil\x07\x1b[2J\x1b[31mverified",
    "backwards": "\u202everified",
    "markup": "[bold red]verified[/bold red][link=http://evil]x[/link]",
    "a template": "{{7*7}} ${7*7} %s %n {0.__class__}",
    "a path": "../../../../etc/passwd",
    "lines": "one\nmine.zip: verified\r\nthree",
    "a key": "\ud83d\ude00\u0000",
}
ENTRIES = ("name", "revision", "model_family", "licence", "contact", "hardware")


@pytest.mark.parametrize("given", TEXTS)
def test_texts_of_authors_are_shown_and_do_nothing(watched, made, files, given):
    """In every entry of the card at a time: the verdict is the same, and nothing steers the
    screen."""
    watched.mkdir()
    told = json.loads(files["manifest.json"])
    for entry in ENTRIES:
        told["card"][entry] = TEXTS[given]
    told["card"]["notes"] = TEXTS[given]
    path = sealed_again(
        watched / "hostile.zip", {**files, "manifest.json": json.dumps(told).encode()}
    )
    assert kinds(path, made) == set()
    shown = CliRunner().invoke(
        app, ["submit", "verify", str(path), "--dataset", str(made / "questions.jsonl")]
    )
    assert shown.exit_code == 0, shown.output
    odd = {each for each in shown.output if unicodedata.category(each) in ("Cc", "Cf")} - {"\n"}
    assert odd == set()
    assert "[bold red]" in shown.output or given != "markup"


LONG = {"name": 201, "licence": 201, "contact": 201, "hardware": 201, "notes": 2001}


@pytest.mark.parametrize("entry", LONG)
def test_texts_without_end_are_refused(watched, made, files, entry):
    watched.mkdir()
    told = json.loads(files["manifest.json"])
    told["card"][entry] = "x" * LONG[entry]
    path = sealed_again(
        watched / "hostile.zip", {**files, "manifest.json": json.dumps(told).encode()}
    )
    assert kinds(path, made) == {SubmissionKind.MANIFEST}


def test_a_data_set_that_is_a_path_is_never_opened(watched, made, files):
    watched.mkdir()
    told = json.loads(files["manifest.json"])
    told["dataset"]["name"] = str(made / "questions.jsonl")
    path = sealed_again(
        watched / "hostile.zip", {**files, "manifest.json": json.dumps(told).encode()}
    )
    report = verify_submission(path)
    assert report.verdict is Verdicts.UNKNOWN
    (finding,) = [each for each in report.found.findings if each.kind is Kind.DATA]
    assert "not at hand" in finding.what


def test_a_card_is_read_with_bounds(tmp_path):
    from lm_eval_safescale.leaderboard.card import read_card
    from lm_eval_safescale.runs import open_runs  # noqa: F401

    path = tmp_path / "card.yaml"
    path.write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(SafescaleError):
        read_card(path, None)  # type: ignore[arg-type]
    write_card(path)
