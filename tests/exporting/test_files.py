"""Names of exported files, and what keeps the files that are there."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.exporting import Output
from lm_eval_safescale.exporting.files import file_name


@pytest.mark.parametrize("name", ["Qwen3-4B", "gpt-4.1", "a_b", "模型", "C++"])
def test_a_plain_name_is_its_own(name):
    assert file_name(name) == name


@given(st.text(max_size=200))
def test_any_name_is_one_part_of_a_path_that_every_file_system_takes(name):
    made = file_name(name)
    assert PurePosixPath(made).name == made
    assert 0 < len(made.encode()) < 200
    assert not set(made) & set('/\\:*?"<>| \0\n\r\t')
    assert made[0] not in "._-"
    assert made[-1] not in "._- "
    assert made.split(".")[0].casefold() not in ("con", "nul", "aux", "prn", "com1", "lpt9")
    assert file_name(name) == made


@given(st.text(max_size=30), st.text(max_size=30))
def test_two_names_are_two_files(one, two):
    if one.encode("utf-16", "surrogatepass") != two.encode("utf-16", "surrogatepass"):
        assert file_name(one) != file_name(two)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    def broken():
        yield "begun"
        raise RuntimeError("cut off")

    output, path = Output(tmp_path), PurePosixPath("folder", "file")
    with pytest.raises(RuntimeError):
        output.write(path, broken())
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]
    output.write(path, ["whole"])
    with pytest.raises(SafescaleError, match=r"file: there already, and kept"):
        output.refuse_existing([path])
    with pytest.raises(RuntimeError):
        Output(tmp_path, overwrite=True).write(path, broken())
    assert (tmp_path / path).read_text() == "whole"


def test_where_nothing_can_be_written_the_place_is_named(tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(SafescaleError, match=r"folder.file: cannot be written"):
        Output(tmp_path).write(PurePosixPath("folder", "file"), ["x"])
