"""A folder of the store is whole or not there, whoever is killed, and whatever became of its files
is found out.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.retrieval import Store
from lm_eval_safescale.retrieval import store as store_module
from lm_eval_safescale.retrieval.store import ABANDONED

KEY = {"retriever": "stub", "settings": {"a": 1}}


def write(folder: Path, scratch: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "numbers.bin").write_bytes(bytes(range(100)))
    (folder / "words.txt").write_text("alpha beta", encoding="utf-8")


def never(folder: Path, scratch: Path) -> None:
    raise AssertionError("made a second time")


@pytest.fixture
def made(store) -> Path:
    return store.folder("stub", KEY, write, about={"corpus": "demo"})


def test_a_folder_is_made_once_describes_itself_and_leaves_nothing_else(store, made):
    assert store.folder("stub", KEY, never) == made
    assert list(store.root.iterdir()) == [made]
    about = json.loads((made / "about.json").read_text(encoding="utf-8"))
    assert about["corpus"] == "demo"
    assert about["key"]["settings"] == {"a": 1}
    assert set(about["files"]) == {"deep/numbers.bin", "words.txt"}


def test_another_key_is_another_folder(store, made):
    assert store.folder("stub", KEY | {"settings": {"a": 2}}, write) != made


DAMAGE = {
    "truncated": (
        lambda place: os.truncate(place / "deep" / "numbers.bin", 50),
        "deep/numbers.bin is not as it was written",
    ),
    "one byte flipped": (
        lambda place: (place / "deep" / "numbers.bin").write_bytes(bytes([1, *range(1, 100)])),
        "deep/numbers.bin is not as it was written",
    ),
    "a file missing": (lambda place: (place / "words.txt").unlink(), "words.txt"),
    "a file too many": (lambda place: (place / "more.txt").write_text("x"), "more.txt"),
    "no about.json": (lambda place: (place / "about.json").unlink(), "about.json cannot be read"),
    "about.json garbage": (
        lambda place: (place / "about.json").write_bytes(b"\xff\x00{"),
        "about.json cannot be read",
    ),
    "about.json a list": (
        lambda place: (place / "about.json").write_text("[]"),
        "about.json cannot be read",
    ),
    "about.json empty": (
        lambda place: (place / "about.json").write_text(""),
        "about.json cannot be read",
    ),
    "about.json deep": (
        lambda place: (place / "about.json").write_text("[" * 100_000),
        "about.json cannot be read",
    ),
    "all gone": (lambda place: [shutil.rmtree(place), place.mkdir()], "about.json cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_an_error_that_names_folder_file_and_remedy(damage, store, made):
    harm, said = DAMAGE[damage]
    harm(made)
    with pytest.raises(
        SafescaleError, match=r"damaged.*delete the folder, and it is made again"
    ) as error:
        store.folder("stub", KEY, never)
    assert str(made) in str(error.value)
    assert said in str(error.value)
    shutil.rmtree(made)
    assert store.folder("stub", KEY, write) == made  # the remedy works


def test_a_file_that_cannot_be_read_is_named(store, made, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(store_module, "sha256_of", fail)
    with pytest.raises(
        SafescaleError, match=r"stub-.*/deep/numbers\.bin cannot be read .*delete the folder"
    ):
        store.folder("stub", KEY, never)


@pytest.mark.parametrize(
    ("name", "value"), [("settings", {"a": 2}), ("format", 0), ("version", "9")]
)
def test_a_folder_made_from_another_key_or_format_says_what_differs(name, value, store, made):
    about = json.loads((made / "about.json").read_text(encoding="utf-8"))
    about["key"][name] = value
    (made / "about.json").write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(
        SafescaleError,
        match=f"other settings or by another version.*{name}: .*, expected .*delete the folder",
    ):
        store.folder("stub", KEY, never)


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt(), SafescaleError("no")])
def test_an_exception_leaves_nothing(error, store):
    def fail(folder: Path, scratch: Path) -> None:
        write(folder, scratch)
        raise error

    with pytest.raises(type(error)):
        store.folder("stub", KEY, fail)
    assert list(store.root.iterdir()) == []
    store.folder("stub", KEY, write)


def test_a_folder_appears_in_one_step(store, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        store.folder("stub", KEY, write)
    assert list(store.root.iterdir()) == []


def test_scratch_outlives_an_exception_and_is_removed_after_success(store):
    def fail(folder: Path, scratch: Path) -> None:
        (scratch / "half.txt").write_text("half", encoding="utf-8")
        raise RuntimeError

    def finish(folder: Path, scratch: Path) -> None:
        write(folder, scratch)
        assert (scratch / "half.txt").read_text(encoding="utf-8") == "half"

    with pytest.raises(RuntimeError):
        store.folder("stub", KEY, fail)
    place = store.folder("stub", KEY, finish)
    assert list(store.root.iterdir()) == [place]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("where", ["write", "mkdir"])
def test_no_room_and_no_permission_name_index_dir(code, where, store, monkeypatch):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    if where == "mkdir":
        monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(SafescaleError, match=f"cannot be made: .*{os.strerror(code)}.*index_dir"):
        store.folder("stub", KEY, fail)
    monkeypatch.undo()
    assert not store.root.exists() or list(store.root.iterdir()) == []


def test_a_file_in_the_place_of_the_root_names_index_dir(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(SafescaleError, match="index_dir"):
        Store(tmp_path / "file").folder("stub", KEY, write)


def test_only_what_was_abandoned_for_a_day_is_removed(store):
    for name, age in (
        ("old", ABANDONED + 60),
        ("young", ABANDONED - 60),
        ("growing", ABANDONED + 60),
    ):
        folder = store.root / f".stub-1.{name}.unfinished"
        folder.mkdir(parents=True)
        (folder / "part.bin").write_bytes(b"x")
        os.utime(folder / "part.bin", (time.time() - (60 if name == "growing" else age),) * 2)
        os.utime(folder, (time.time() - age,) * 2)
    place = store.folder("stub", KEY, write)
    left = [".stub-1.growing.unfinished", ".stub-1.young.unfinished", place.name]
    assert sorted(path.name for path in store.root.iterdir()) == left


PROCESS = """
import sys
from pathlib import Path
from lm_eval_safescale.retrieval import Store

def write(folder, scratch):
    (folder / "words.txt").write_text("alpha")
    print("writing", flush=True)
    sys.stdin.readline()
    (folder / "more.txt").write_text("beta")

print(Store(Path(sys.argv[1])).folder("stub", {"a": 1}, write), flush=True)
"""


def start(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def test_a_kill_in_the_middle_leaves_no_folder_and_the_next_call_succeeds(store):
    process = start(store.root)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [path for path in store.root.iterdir() if not path.name.startswith(".")] == []
    place = store.folder("stub", {"a": 1}, write)
    assert sorted(path.name for path in place.iterdir()) == ["about.json", "deep", "words.txt"]


def test_two_processes_that_make_the_same_folder_at_once_both_read_a_good_one(store):
    processes = [start(store.root), start(store.root)]  # both are in the middle of writing
    outputs = [process.communicate("go on\n")[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    place = store.folder("stub", {"a": 1}, never)
    assert outputs == [str(place)] * 2
    assert list(store.root.iterdir()) == [place]
