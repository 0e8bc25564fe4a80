"""A file is there whole, or as it was before."""

from __future__ import annotations

import pytest

from lm_eval_safescale.files import replaced


@pytest.fixture(params=[True, False], ids=["to disk", "not to disk"])
def to_disk(request):
    return request.param


def test_what_is_written_takes_the_place_when_all_is_written(tmp_path, to_disk):
    path = tmp_path / "new" / "a.txt"
    for text in ("one", "two"):
        with replaced(path, to_disk=to_disk) as unfinished:
            unfinished.write_text(text)
            assert not path.exists() or path.read_text() == "one"
        assert path.read_text() == text
    assert [each.name for each in path.parent.iterdir()] == ["a.txt"]


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path, to_disk):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def interrupted():
        with replaced(path, to_disk=to_disk) as unfinished:
            unfinished.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("a.txt", "before")]


def test_a_folder_that_is_a_file_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").write_text("")
    # which one differs between systems
    with pytest.raises(OSError), replaced(tmp_path / "file" / "a.txt"):  # noqa: PT011
        raise AssertionError("not reached")


def test_two_writers_at_once_do_not_share_their_unfinished_file(tmp_path):
    path = tmp_path / "a.txt"
    with replaced(path) as one, replaced(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
