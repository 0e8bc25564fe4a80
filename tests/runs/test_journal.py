"""The store of a run under way: a line is whole or does not count, whatever happens to process,
disk and folder.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.runs import journal as module
from lm_eval_safescale.runs import writer_lock
from lm_eval_safescale.runs.description import read_run
from lm_eval_safescale.runs.journal import Journal
from lm_eval_safescale.runs.lines import Draw, Line
from lm_eval_safescale.runs.replay import Replay
from tests.running.asking import read_lines

IDENTITY = {"model": {"backend": "stub", "pretrained": "m"}, "settings": {"draws": 2}, "seed": 1}
AS_ROOT = os.geteuid() == 0


def opened(folder, **changed):
    return Journal(folder, IDENTITY | changed, {"at": "now"})


def line(item, *draws, text="A", condition="clean", **options):
    return Line(condition, item, [Draw(draw, "ok", text, "A") for draw in draws], **options)


def filled(folder, n=3):
    with opened(folder) as journal:
        for number in range(n):
            journal.write(line(f"q{number}", 0))
    return next((folder / "answers").iterdir())


def write_all(journal, n):
    for number in range(n):
        journal.write(line(f"q{number}", 0))


def is_header(raw):
    return raw.startswith(b'{"safescale_answers":')


def known(folder):
    return [(each.question_id, draw.draw) for each in read_lines(folder)[0] for draw in each.draws]


texts = st.text(st.characters(), max_size=30)  # half surrogate pairs, line ends and NULs among them


@given(st.lists(st.tuples(texts, texts, st.none() | st.integers(0, 2**31)), min_size=1, max_size=8))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_model_says_is_read_as_it_was_written(tmp_path_factory, said):
    folder = tmp_path_factory.mktemp("run")
    with opened(folder) as journal:
        for number, (text, error, seed) in enumerate(said):
            journal.write(line(f"q{number}", 1, 2, text=text, error=error, seed=seed))
        written = journal.held
    read, damaged = read_lines(folder)
    assert (damaged, len(read)) == (0, len(said))
    assert Replay(folder).read().answered == written.answered
    for each, (text, _, _) in zip(read, said, strict=True):
        assert each.draws[0].text == text.encode("utf-16", "surrogatepass").decode(
            "utf-16", "replace"
        )


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_torn_anywhere_loses_the_torn_line_alone_and_counts_it(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("run")
    shard = filled(folder)
    content = shard.read_bytes()
    end = data.draw(st.integers(0, len(content)))
    shard.write_bytes(content[:end])
    whole = [raw for raw in content[:end].split(b"\n") if raw in content.split(b"\n") and raw]
    torn = content[:end].split(b"\n")[-1]
    assert len(known(folder)) == len([raw for raw in whole if not is_header(raw)])
    assert read_lines(folder)[1] == (1 if torn and torn not in whole else 0)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 512,
        b"\xff\xfe{}",
        b"{",
        b"null",
        b"[1, 2]",
        b'{"condition": 3}',
        b'"text"',
        b"{}" + b"[" * 5000,
        b"NaN",
    ],
)
def test_lines_of_garbage_are_passed_over_and_counted(tmp_path, garbage):
    shard = filled(tmp_path)
    header, _, *others = shard.read_bytes().splitlines(keepends=True)
    shard.write_bytes(header + garbage + b"\n" + b"".join(others) + garbage)
    with opened(tmp_path) as journal:
        assert journal.damaged == 2
        assert journal.held.answered == {"clean": {"q1": 1, "q2": 1}}
        journal.write(Line("clean", "q0", [Draw(0, "ok", "A", "A")]))
    assert len(known(tmp_path)) == 3


def test_a_torn_line_never_swallows_the_first_line_of_the_next_start(tmp_path):
    shard = filled(tmp_path, 1)
    shard.write_bytes(shard.read_bytes()[:-5])
    with opened(tmp_path) as journal:
        assert len(journal.held) == 0
        journal.write(line("q0", 0))
    assert known(tmp_path) == [("q0", 0)]


def test_lines_that_were_written_before_rules_had_names_are_read(tmp_path):
    with opened(tmp_path) as journal:
        journal.write(Line("clean", "q0", [Draw(0, "ok", "A", "A")]))
        journal.write(Line("clean", "q1", [Draw(0, "ok", "A", "A", rule="bare letter")]))
    (shard,) = (tmp_path / "answers").iterdir()
    assert [b"rule" in raw for raw in shard.read_bytes().splitlines() if not is_header(raw)] == [
        False,
        True,
    ]
    lines, damaged = read_lines(tmp_path)
    assert ([line.draws[0].rule for line in lines], damaged) == ([None, "bare letter"], 0)


def test_what_a_reply_says_of_itself_is_stored_and_unknown_in_lines_that_were_written_before(
    tmp_path,
):
    said = {"served_model": "m-2", "system_fingerprint": "fp", "reply_id": "r1"}
    with opened(tmp_path) as journal:
        journal.write(Line("clean", "q0", [Draw(0, "ok", "A", "A")]))
        journal.write(Line("clean", "q1", [Draw(0, "ok", "A", "A", finish_reason="stop")], **said))
    (old, new), damaged = read_lines(tmp_path)
    assert damaged == 0
    assert {getattr(old, name) for name in said} == {old.draws[0].finish_reason} == {None}
    assert {name: getattr(new, name) for name in said} == said
    assert new.draws[0].finish_reason == "stop"


def test_an_answer_that_stands_twice_counts_once_and_keeps_its_seed(tmp_path):
    """Two runners, each of which did not know of the other."""
    with opened(tmp_path) as journal:
        journal.write(line("q", 1, text="first", seed=70))
        journal.write(line("q", 1, 2, 3, text="second", seed=70))
    (one, other), _ = read_lines(tmp_path)
    assert ([draw.draw for draw in one.draws], one.seed) == ([1], 70)
    assert ([draw.draw for draw in other.draws], other.seed) == ([2, 3], 71)


def test_files_of_many_starts_are_read_in_their_order(tmp_path):
    filled(tmp_path, 1)
    (shard,) = (tmp_path / "answers").iterdir()
    shard.rename(shard.with_name(f"000009-{'a' * 8}.jsonl"))
    with opened(tmp_path) as journal:
        journal.write(line("q0", 0, 1, text="later"))
    assert [draw.text for each in read_lines(tmp_path)[0] for draw in each.draws] == ["A", "later"]


# --- disks ----------------------------------------------------------------------------------------


@pytest.fixture
def disk(monkeypatch):
    """A disk with room for `disk.room` bytes of answers, which takes at most 7 at once."""

    class Disk:
        room = 10**9

    write = os.write

    def limited(file, data):
        if not Disk.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(file, bytes(data[: min(7, Disk.room)]))
        Disk.room -= written
        return written

    monkeypatch.setattr(os, "write", limited)
    return Disk


@pytest.mark.parametrize("room", [0, 1, 280, 334, 335, 336, 337, 400, 450])
def test_a_full_disk_stops_with_the_cause_and_leaves_whole_lines_and_the_same_folder_goes_on(
    tmp_path, disk, room
):
    disk.room = room
    with opened(tmp_path) as journal:
        with pytest.raises(
            SafescaleError,
            match=r"cannot be written \(No space left on device\).*what was written before stays",
        ):
            write_all(journal, 9)
        stored = len(journal.held)
    assert len(known(tmp_path)) == stored < 9
    disk.room = 10**9
    with opened(tmp_path) as journal:
        assert journal.damaged == 0
        for number in range(stored, 9):
            journal.write(line(f"q{number}", 0))
    assert known(tmp_path) == [(f"q{number}", 0) for number in range(9)]


@pytest.mark.skipif(not AS_ROOT, reason="mounting takes root")
def test_a_disk_that_is_really_full_does_the_same(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        ballast = tmp_path / "ballast"
        folder = tmp_path / "run"
        ballast.write_bytes(b"x" * 30_000)
        with opened(folder) as journal, pytest.raises(SafescaleError, match="No space left"):
            write_all(journal, 2000)
        stored = len(known(folder))
        assert stored > 10
        with pytest.raises(SafescaleError, match="No space left"):  # nor can a new start be noted
            opened(folder)
        assert len(known(folder)) == stored
        ballast.unlink()
        with opened(folder) as journal:
            assert (len(journal.held), journal.damaged) == (stored, 0)
            journal.write(line("another", 0))
        assert len(known(folder)) == stored + 1
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_disk_that_gives_up_at_the_sync_is_said(tmp_path, monkeypatch):
    """As network file systems do, which learn of a full disk late."""
    fsync = os.fsync
    journal = opened(tmp_path)
    journal.write(line("q0", 0))

    def quota(_):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", quota)
    monkeypatch.setattr(module, "SYNC_SECONDS", 0.0)
    with pytest.raises(SafescaleError, match="Disk quota exceeded"):
        journal.write(line("q1", 0))
    with pytest.raises(SafescaleError, match="Disk quota exceeded"):
        journal.close()
    monkeypatch.setattr(os, "fsync", fsync)
    assert {name for name, _ in known(tmp_path)} >= {"q0"}
    opened(tmp_path).close()


def test_answers_before_a_long_pause_are_synced_and_a_failure_in_the_pause_is_not_lost(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(writer_lock, "BEAT", 0.01)
    fsync, synced = os.fsync, []

    def failing(file):
        synced.append(file)
        raise OSError(errno.EIO, "Input/output error")

    journal = opened(tmp_path)
    monkeypatch.setattr(module, "SYNC_SECONDS", 3600.0)
    monkeypatch.setattr(os, "fsync", failing)
    journal.write(line("q0", 0))
    while journal._failure is None:
        journal._lock._done.wait(0.001)
    assert synced == [journal._shard.descriptor]
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(module, "SYNC_SECONDS", 0.0)
    with pytest.raises(SafescaleError, match="Input/output error"):
        journal.write(line("q1", 0))
    with pytest.raises(SafescaleError, match="Input/output error"):
        journal.close()


def test_the_description_is_on_the_disk_before_the_first_answer_and_the_names_are_too(
    tmp_path, monkeypatch
):
    done = []
    fsync, replace = os.fsync, Path.replace

    def noted(file):
        done.append(
            str(Path(f"/proc/self/fd/{file}").readlink())
            .replace(str(tmp_path), "")
            .split(".json.")[0]
        )
        fsync(file)

    def replacing(path, target):
        done.append(f"to {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "replace", replacing)
    opened(tmp_path).close()
    assert done[done.index("to run.json") - 1 :][:4] == ["/.run", "to run.json", "", "/answers"]


# --- folders --------------------------------------------------------------------------------------


def test_what_a_start_that_was_killed_left_behind_is_no_hindrance_and_goes_away(tmp_path):
    (tmp_path / "answers").mkdir()
    for name in (
        ".lock",
        ".run.json.0a1b2c3d",
        ".writer.json.0a1b2c3d",
        ".answers.parquet.0a1b2c3d.unfinished",
    ):
        (tmp_path / name).write_bytes(b"{half")
    filled(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "answers", "run.json"]


@pytest.mark.parametrize("name", ["notes.txt", "about.json", "results"])
def test_a_folder_of_other_things_is_refused_and_left_alone(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(
        SafescaleError,
        match="holds other things than a run of safescale run; choose another folder",
    ):
        opened(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "runs").write_text("mine")
    with pytest.raises(SafescaleError, match="a file; give a folder for the answers"):
        opened(tmp_path / "runs")


def test_answers_without_their_description_are_nobodys(tmp_path):
    """They would be taken for those of whatever model comes next."""
    filled(tmp_path)
    (tmp_path / "run.json").rename(tmp_path / ".away")
    with pytest.raises(
        SafescaleError,
        match=r"holds answers, but not run.json, which says whose they are; put it back",
    ):
        opened(tmp_path, seed=2)
    (tmp_path / ".away").rename(tmp_path / "run.json")
    opened(tmp_path).close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b"\0" * 100, "damaged"),
        (b"[]", "damaged"),
        (b'{"identity": {}}', "damaged"),
        (b'{"safescale_run": "1", "identity": {}, "conditions": {}, "starts": []}', "damaged"),
        (b'{"safescale_run": 1, "identity": {}, "conditions": [], "starts": []}', "damaged"),
        (b'{"safescale_run": 2, "identity": {}, "conditions": {}, "starts": []}', "damaged"),
        (
            b'{"safescale_run": 4}',
            r"written by a newer version \(format 4\); upgrade lm-eval-safescale",
        ),
    ],
)
def test_a_description_that_cannot_be_used_stops_before_anything_is_written(
    tmp_path, content, message
):
    filled(tmp_path)
    (tmp_path / "run.json").write_bytes(content)
    for _ in range(2):  # the lock is let go of
        with pytest.raises(SafescaleError, match=message):
            opened(tmp_path)
    assert (tmp_path / "run.json").read_bytes() == content
    assert len(list((tmp_path / "answers").iterdir())) == 1


def test_a_folder_of_another_run_is_refused_with_each_difference_and_stays_as_it_was(tmp_path):
    filled(tmp_path)
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(SafescaleError) as refused:
        opened(
            tmp_path, seed=2, model={"backend": "stub", "pretrained": "other", "dtype": "float16"}
        )
    said = str(refused.value)
    assert 'model.pretrained: there "m", now "other"' in said
    assert 'model.dtype: there null, now "float16"' in said
    assert "seed: there 1, now 2" in said
    assert "draws" not in said
    assert "choose another folder" in said
    assert (tmp_path / "run.json").read_bytes() == before


def test_many_differences_are_cut_short_and_control_characters_do_not_reach_the_terminal(tmp_path):
    filled(tmp_path)
    with pytest.raises(SafescaleError, match="and 8 more") as refused:
        opened(
            tmp_path,
            model={"backend": "stub", "pretrained": "m"}
            | {f"a{number}": "\x1b[2J" for number in range(20)},
        )
    assert "\x1b" not in str(refused.value)


def test_conditions_are_asked_alike_or_refused(tmp_path):
    with opened(tmp_path) as journal:
        journal.of_condition("clean", {"revision": "abc", "chat_template": True})
        journal.of_condition("conflict", {"revision": "abc", "chat_template": True})
        for name in ("clean", "rag"):  # one that was asked, and one that would stand beside it
            with pytest.raises(SafescaleError, match=r'clean\.revision: there "abc", now "def"'):
                journal.of_condition(name, {"revision": "def", "chat_template": True})
    assert list(read_run(tmp_path)["conditions"]) == ["clean", "conflict"]


@pytest.fixture
def not_root():
    """Root may do everything."""
    if AS_ROOT:
        os.seteuid(65534)
    yield
    if AS_ROOT:
        os.seteuid(0)


def unprivileged(folder, mode):
    if AS_ROOT:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534)
        for parent in folder.parents:
            with suppress(OSError):
                parent.chmod(parent.stat().st_mode | 0o011)
    folder.chmod(mode)


@pytest.mark.parametrize(
    ("place", "mode", "message"),
    [
        (".", 0o555, "cannot be written"),
        (".", 0o000, "cannot be read"),
        ("answers", 0o555, "cannot be written"),
        ("answers", 0o000, "cannot be read"),
        ("answers", 0o333, "cannot be read"),
        ("answers/SHARD", 0o000, "cannot be read"),
        ("run.json", 0o000, "damaged|cannot be read"),
    ],
)
def test_a_folder_that_cannot_be_written_or_read_is_said_and_asks_nothing_again(
    tmp_path, place, mode, message, request
):
    folder = tmp_path / "runs"
    shard = filled(folder)
    if AS_ROOT:
        (folder / ".lock").chmod(0o666)
    path = folder / place.replace("SHARD", shard.name)
    unprivileged(folder, 0o755)
    path.chmod(mode)
    request.getfixturevalue("not_root")
    try:
        with pytest.raises(SafescaleError, match=message):
            opened(folder)
    finally:
        if AS_ROOT:
            os.seteuid(0)
        path.chmod(0o755)
    assert len(known(folder)) == 3


def test_nothing_is_left_of_a_start_that_answered_nothing(tmp_path):
    opened(tmp_path).close()
    assert list((tmp_path / "answers").iterdir()) == []


@pytest.mark.parametrize("moved", [-1e9, 1e9])
def test_the_clock_may_be_set_back_or_forward(tmp_path, monkeypatch, moved):
    with opened(tmp_path) as journal:
        journal.write(line("q0", 0))
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + moved)
        journal.write(line("q1", 0))
    with opened(tmp_path) as journal:
        journal.write(line("q2", 0))
    assert known(tmp_path) == [("q0", 0), ("q1", 0), ("q2", 0)]


def test_a_start_that_is_refused_lets_go_of_the_lock(tmp_path):
    filled(tmp_path)
    for _ in range(2):
        with pytest.raises(SafescaleError, match="seed"):
            opened(tmp_path, seed=2)
    opened(tmp_path).close()
    assert len(json.loads((tmp_path / "run.json").read_text())["starts"]) == 2


def test_a_folder_without_an_answer_is_bound_to_nothing(tmp_path):
    with opened(tmp_path, model="typo") as journal:
        journal.of_condition("clean", {"token_limit": 1})
        journal.write(Line("clean", "q1", failed=[0], error="no such model"))
    with opened(tmp_path, model="right") as journal:
        assert (len(journal.held), journal.held.failures()) == (0, {})
        assert len(journal.about["starts"]) == 2
        journal.of_condition("clean", {"token_limit": 2})
        journal.write(line("q1", 0))
    with pytest.raises(SafescaleError, match=r'model: there "right", now "typo"'):
        opened(tmp_path, model="typo")


# --- what vanishes under way ----------------------------------------------------------------------


def test_a_file_of_answers_that_is_deleted_is_missed_at_the_next_sync(tmp_path, monkeypatch):
    """Not at the end of the run: whatever is written to it until then is lost."""
    earlier = filled(tmp_path / "run")
    monkeypatch.setattr(module, "SYNC_SECONDS", 0.0)
    for which in ("this start's", "an earlier start's"):
        journal = opened(tmp_path / "run")
        journal.write(line("q5", 1, text=which))
        gone = journal._shard.path if which == "this start's" else earlier
        gone.unlink()
        message = (
            rf"{gone.name}: was removed while the run was under way, and the answers in it with "
            r"it\. Put it back, or let"
        )
        with pytest.raises(SafescaleError, match=message):
            journal.write(line("q6", 1))
        with pytest.raises(SafescaleError, match=message):
            journal.close()
    # of the second start; the first one's are gone with their file
    assert known(tmp_path / "run") == [("q5", 1), ("q6", 1)]
    opened(tmp_path / "run").close()


@pytest.mark.parametrize("how", ["renamed", "removed", "replaced"])
def test_a_folder_that_is_renamed_or_removed_is_called_that_and_not_taken_over(
    tmp_path, monkeypatch, how
):
    folder = tmp_path / "run"
    filled(folder)
    monkeypatch.setattr(module, "SYNC_SECONDS", 0.0)
    journal = opened(folder)
    journal.write(line("q5", 1))
    folder.rename(tmp_path / "elsewhere")
    if how == "removed":
        shutil.rmtree(tmp_path / "elsewhere")
    if how == "replaced":
        opened(folder).close()
    message = (
        "run: the folder was renamed or removed while the run was under way.*Put it back, and the "
        "same command goes on"
    )
    with pytest.raises(SafescaleError, match=message):
        journal.write(line("q6", 1))
    journal._lock._look()  # as the next beat does
    with pytest.raises(SafescaleError, match=message):
        journal.write(line("q7", 1))
    with pytest.raises(SafescaleError, match=message):
        journal.close()
    if how == "renamed":
        (tmp_path / "elsewhere").rename(folder)
        assert ("q5", 1) in known(folder)
        opened(folder).close()


def test_what_vanishes_in_a_long_pause_is_missed_with_the_next_beat(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_lock, "BEAT", 0.01)
    monkeypatch.setattr(module, "SYNC_SECONDS", 3600.0)
    journal = opened(tmp_path)
    journal.write(line("q0", 0))
    journal._shard.path.unlink()
    journal._is_synced = False
    while journal._failure is None:
        journal._lock._done.wait(0.001)
    with pytest.raises(SafescaleError, match="was removed while the run was under way"):
        journal.close()


def test_answers_of_another_run_are_not_taken_for_this_one_s(tmp_path):
    """As when a file was copied into the wrong folder."""
    mine = filled(tmp_path / "mine")
    with opened(tmp_path / "other", seed=2) as journal:
        journal.write(line("q9", 0))
    (other,) = (tmp_path / "other" / "answers").iterdir()
    shutil.copy(other, mine.with_name("000009-00000000.jsonl"))
    with pytest.raises(
        SafescaleError,
        match=(
            r"000009-00000000.jsonl: answers of another run than the one of this folder; take the "
            r"file"
        ),
    ):
        opened(tmp_path / "mine")
    mine.with_name("000009-00000000.jsonl").unlink()
    opened(tmp_path / "mine").close()
