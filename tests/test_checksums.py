"""Checksums beside what is stored: every flipped bit is found, wherever it is."""

from __future__ import annotations

import json
import os
import subprocess
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.checksums import (
    ChecksumError,
    document_of,
    is_whole,
    read_document,
    with_checksum,
)
from lm_eval_safescale.errors import PanicError, SafescaleError, panics_as_errors, unwritten
from lm_eval_safescale.jsonlog import LogFile, read_log

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.text(), values, min_size=1, max_size=4)


def flips(content):
    for bit in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)


@given(objects)
def test_a_line_stays_json_and_says_what_it_said(value):
    line = json.dumps(value).encode()
    sealed = with_checksum(line)
    assert is_whole(sealed)
    assert is_whole(line) is None
    read = json.loads(sealed)
    assert len(read.pop("crc32")) == 8
    assert read == {name: each for name, each in value.items() if name != "crc32"}


def test_the_checksum_of_a_line_is_the_crc_32_that_other_tools_compute():
    """Of the bytes before it: the check value of the CRC-32 catalogue, for the nine digits."""
    assert with_checksum(b"123456789}") == b'123456789,"crc32":"cbf43926"}'


@given(objects)
def test_a_document_is_read_as_it_was_written(value):
    value.pop("sha256", None)
    assert read_document(document_of(value | {"x": 1})) == (value | {"x": 1}, True)
    assert read_document(json.dumps(value | {"x": 1}).encode()) == (value | {"x": 1}, False)


def test_a_document_bears_the_sha_256_that_sha256sum_prints():
    content = document_of({"name": "Größe", "n": 1})
    *body, last, end, _ = content.split(b"\n")
    assert end == b"}"
    made_of = b"\n".join(body).removesuffix(b",")
    printed = subprocess.run(
        ["sha256sum"], input=made_of, capture_output=True, check=True
    ).stdout.split()[0]
    assert json.loads(b"{" + last + b"}") == {"sha256": printed.decode()}


def test_each_flipped_bit_is_found_but_for_those_that_take_the_checksum_away_and_change_nothing():
    line = json.dumps({"text": "Größe: 4\n{}", "n": [1, 2.5, None]}).encode()
    for flipped in flips(with_checksum(line)):
        assert is_whole(flipped) is False or (
            is_whole(flipped) is None and flipped.startswith(line[:-1])
        )


def test_each_flipped_bit_of_a_document_is_found_or_takes_the_checksum_away_and_changes_nothing():
    value = {"safescale": 2, "name": "Größe", "list": [1, {"a": "\u00e9\ud800"}]}
    for flipped in flips(document_of(value)):
        try:
            read, is_checked = read_document(flipped)
        except ValueError:
            continue
        assert not is_checked
        assert value.items() <= read.items()


def test_more_or_less_behind_a_document_is_found():
    content = document_of({"a": 1})
    for other in (
        content + b" ",
        content + content,
        content + b"\n",
        content.replace(b'"a"', b'"b"'),
    ):
        with pytest.raises(ChecksumError):
            read_document(other)


@pytest.mark.parametrize("content", [b"[]", b"null", b"", b"{", b"\xff", b"[" * 100_000, b"{} {}"])
def test_what_is_no_object_is_an_error_that_can_be_caught(content):
    with pytest.raises(ValueError, match=r"JSON|column|deeply|decode"):
        read_document(content)


# --- logs -----------------------------------------------------------------------------------------


def test_lines_without_a_checksum_count_only_above_the_first_that_bears_one():
    old, new = b'{"n":1}', with_checksum(b'{"n":2}')
    log = read_log(b"\n".join([old, new, old, new, b""]))
    assert [(line.number, line.is_checked) for line in log.lines] == [
        (1, False),
        (2, True),
        (4, True),
    ]
    assert log.damaged == [3]


@given(st.lists(objects, max_size=5), st.data())
def test_a_log_torn_anywhere_loses_the_torn_line_alone(tmp_path_factory, records, data):
    path = tmp_path_factory.mktemp("log") / "l.jsonl"
    file = LogFile(path, new=True)
    for record in records:
        file.append(json.dumps(record).encode())
    content = file.read()
    file.close()
    end = data.draw(st.integers(0, len(content)))
    log = read_log(content[:end])
    whole = content[:end].count(b"\n")
    assert len(log.lines) in (whole, whole + 1)  # the last one may lack nothing but its line end
    assert log.size == content[:end].rfind(b"\n") + 1
    assert len(log.lines) + len(log.damaged) == len(
        [raw for raw in content[:end].split(b"\n") if raw]
    )


def test_a_file_is_new_or_there_or_in_use_and_knows_when_it_is_gone(tmp_path):
    path = tmp_path / "l.jsonl"
    file = LogFile(path, new=True)
    with pytest.raises(FileExistsError):
        LogFile(path, new=True)
    with pytest.raises(BlockingIOError):
        LogFile(path, new=False)
    file.append(b'{"a":1}', b'{"a":2}')
    assert len(read_log(file.read()).lines) == 2
    file.cut(0)
    assert file.read() == b""
    assert file.is_in_place()
    path.rename(tmp_path / "m.jsonl")
    assert not file.is_in_place()
    path.write_text("another")
    assert not file.is_in_place()
    file.close()


# --- errors of others -----------------------------------------------------------------------------


class PanicException(BaseException):
    """A stub of what Rust libraries raise."""


def test_a_panic_can_be_caught_and_what_it_prints_be_kept_away(capfd):
    def panic():
        os.write(2, b"thread '<unnamed>' panicked at crates/")
        raise PanicException("unreachable\nstack backtrace")

    with pytest.raises(PanicError, match="unreachable"), panics_as_errors(quiet=True):
        panic()
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"
    with pytest.raises(KeyboardInterrupt), panics_as_errors():
        raise KeyboardInterrupt


def chained(*errors):
    for before, error in pairwise(errors):
        before.__cause__ = error
    return errors[0]


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        chained(RuntimeError("failed"), ValueError("odd"), OSError(28, "No space left on device")),
        RuntimeError(
            "parquet: File out of specification: underlying IO error: No space left on device (os "
            "error 28)"
        ),
        chained(RuntimeError("failed"), RuntimeError("(os error 28)")),
        OSError(122, "Disk quota exceeded"),
    ],
)
def test_a_full_disk_is_named_however_deep_it_stands(tmp_path, error):
    said = str(unwritten(tmp_path, error))
    assert "make room, or choose another folder" in said
    assert any(each in said for each in ("No space left", "os error 28", "quota"))
    assert "Make room, and the same command goes on" in str(
        unwritten(tmp_path, error, goes_on=True)
    )


def test_what_else_keeps_from_writing_is_named_too(tmp_path):
    error = unwritten(tmp_path, OSError(13, "Permission denied"))
    assert isinstance(error, SafescaleError)
    assert str(error) == f"{tmp_path}: cannot be written (Permission denied); choose another folder"
