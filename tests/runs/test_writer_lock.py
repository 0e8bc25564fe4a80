"""One writer a folder: a second is refused while the first lives, and whatever ends the first holds
nothing up.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time

import pytest

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.runs import writer_lock
from lm_eval_safescale.runs.writer_lock import LOCK, WRITER, WriterLock

OTHER = {"id": "b" * 32, "machine": "another", "host": "node-7", "pid": 4321, "count": 8}
fork = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Beats and patience a hundredth as long."""
    monkeypatch.setattr(writer_lock, "BEAT", 0.02)
    monkeypatch.setattr(writer_lock, "PATIENCE", 0.3)


@pytest.fixture
def no_system_lock(monkeypatch):
    """A file system that knows no locks."""

    def flock(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(writer_lock.fcntl, "flock", flock)


def says(folder, **writer):
    """As a writer of another machine writes it."""
    unfinished = folder / "theirs"
    unfinished.write_text(json.dumps(OTHER | writer))
    unfinished.replace(folder / WRITER)


def holding(folder, connection):
    lock = WriterLock(folder)
    connection.send(os.getpid())
    connection.recv()
    lock.release()


@pytest.fixture
def other_process(tmp_path):
    """A process that holds the lock of `tmp_path`, its id, and its end of a pipe."""
    ours, theirs = fork.Pipe()
    process = fork.Process(target=holding, args=(tmp_path, theirs))
    process.start()
    ours.recv()
    yield process, ours
    if process.is_alive():
        process.kill()
    process.join()


def test_a_second_writer_is_refused_with_process_and_machine(other_process, tmp_path):
    process, _ = other_process
    with pytest.raises(
        SafescaleError,
        match=rf"process {process.pid} on \S+ is writing there; wait for it, or stop it",
    ):
        WriterLock(tmp_path)


def test_a_second_writer_of_the_same_process_is_refused_too(tmp_path):
    lock = WriterLock(tmp_path)
    with pytest.raises(SafescaleError, match="is writing there"):
        WriterLock(tmp_path)
    lock.release()


def test_a_writer_that_was_killed_holds_nothing_up(other_process, tmp_path, monkeypatch):
    process, _ = other_process
    process.kill()
    process.join()
    assert (tmp_path / WRITER).exists()
    monkeypatch.setattr(writer_lock, "PATIENCE", 3600.0)
    WriterLock(tmp_path).release()


def test_a_released_folder_can_be_locked_again_and_keeps_nothing_but_the_lock_file(tmp_path):
    for _ in range(2):
        WriterLock(tmp_path).release()
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_a_forked_worker_does_not_hold_the_lock_of_a_parent_that_was_killed(tmp_path):
    def work(connection):
        connection.send(os.getpid())
        signal.pause()

    def parent(connection):
        WriterLock(tmp_path)
        fork.Process(target=work, args=(connection,)).start()
        signal.pause()

    ours, theirs = fork.Pipe()
    process = fork.Process(target=parent, args=(theirs,))
    process.start()
    worker = ours.recv()
    process.kill()
    process.join()
    try:
        WriterLock(tmp_path).release()
    finally:
        os.kill(worker, signal.SIGKILL)


# --- other machines -------------------------------------------------------------------------------


def test_a_writer_of_another_machine_whose_count_goes_on_is_refused(tmp_path, monkeypatch):
    says(tmp_path)
    counts = iter(range(9, 1000))
    monkeypatch.setattr(writer_lock.time, "sleep", lambda _: says(tmp_path, count=next(counts)))
    with pytest.raises(SafescaleError, match="process 4321 on node-7 is writing there"):
        WriterLock(tmp_path)
    assert json.loads((tmp_path / WRITER).read_text())["id"] == OTHER["id"]


def test_a_writer_of_another_machine_whose_count_stands_is_taken_over_after_patience_and_not_before(
    tmp_path,
):
    says(tmp_path)
    began = time.monotonic()
    lock = WriterLock(tmp_path)
    assert time.monotonic() - began >= writer_lock.PATIENCE
    assert json.loads((tmp_path / WRITER).read_text())["pid"] == os.getpid()
    lock.release()


def test_machines_of_one_name_are_not_taken_for_one(tmp_path, monkeypatch):
    """Containers and cloned machines share names."""
    says(tmp_path, host=writer_lock.socket.gethostname())
    counts = iter(range(9, 1000))
    monkeypatch.setattr(writer_lock.time, "sleep", lambda _: says(tmp_path, count=next(counts)))
    with pytest.raises(SafescaleError, match="is writing there"):
        WriterLock(tmp_path)


def test_where_the_file_system_knows_no_locks_the_count_decides_on_one_machine_too(
    other_process, tmp_path, no_system_lock, monkeypatch
):
    process, _ = other_process
    monkeypatch.setattr(writer_lock, "PATIENCE", 60.0)
    with pytest.raises(SafescaleError, match=f"process {process.pid} on"):
        WriterLock(tmp_path)
    process.kill()
    process.join()
    monkeypatch.setattr(writer_lock, "PATIENCE", 0.3)
    WriterLock(tmp_path).release()


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"[1]", b"{", b"\xff"])
def test_a_damaged_note_of_a_writer_is_waited_out_and_replaced(tmp_path, content):
    (tmp_path / WRITER).write_bytes(content)
    lock = WriterLock(tmp_path)
    assert json.loads((tmp_path / WRITER).read_text())["pid"] == os.getpid()
    lock.release()


def test_a_note_that_cannot_be_read_for_a_moment_does_not_make_a_living_writer_dead(
    tmp_path, monkeypatch
):
    """A network file system, while the file is replaced."""
    notes = iter([{}, OTHER, {}, OTHER | {"count": 9}])
    monkeypatch.setattr(writer_lock, "_read", lambda _: next(notes))
    with pytest.raises(SafescaleError, match="process 4321 on node-7"):
        WriterLock(tmp_path)


def test_a_writer_whose_folder_was_taken_over_may_not_write_on(tmp_path):
    lock = WriterLock(tmp_path)
    lock.check()
    says(tmp_path)
    lock._beating.join(10)
    with pytest.raises(
        SafescaleError,
        match="process 4321 on node-7 has taken the folder over while this process stood still",
    ):
        lock.check()
    lock.release()
    assert json.loads((tmp_path / WRITER).read_text()) == OTHER


@pytest.mark.parametrize("taken", ["goes on", "has finished"])
def test_a_writer_that_stood_still_notices_at_its_next_write_before_its_counting_thread_does(
    tmp_path, monkeypatch, taken
):
    monkeypatch.setattr(writer_lock, "BEAT", 3600.0)
    lock = WriterLock(tmp_path)
    if taken == "goes on":
        says(tmp_path)
    else:
        (tmp_path / WRITER).unlink()
    now = writer_lock._now()
    monkeypatch.setattr(writer_lock, "_now", lambda: now + 3 * 3600)
    with pytest.raises(SafescaleError, match="has taken the folder over"):
        lock.check()
    lock.release()


def test_a_stopped_process_whose_folder_was_taken_over_stops_itself(tmp_path, no_system_lock):
    def writing(connection):
        lock = WriterLock(tmp_path)
        connection.send(None)
        connection.recv()
        try:
            lock.check()
        except SafescaleError as error:
            connection.send(str(error))
        else:
            connection.send("it writes on")

    ours, theirs = fork.Pipe()
    process = fork.Process(target=writing, args=(theirs,))
    process.start()
    ours.recv()
    os.kill(process.pid, signal.SIGSTOP)
    # until it stands still: it may have been at writing its count
    os.waitpid(process.pid, os.WUNTRACED)
    lock = WriterLock(tmp_path)
    ours.send(None)
    os.kill(process.pid, signal.SIGCONT)
    assert f"process {os.getpid()} on" in ours.recv()
    process.join()
    lock.check()
    lock.release()


@pytest.mark.parametrize("moved", [-1e9, 1e9])
def test_the_clock_may_be_set(tmp_path, monkeypatch, moved):
    lock = WriterLock(tmp_path)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + moved)
    lock.check()
    with pytest.raises(SafescaleError, match="is writing there"):
        WriterLock(tmp_path)
    lock.release()
    says(tmp_path)
    WriterLock(tmp_path).release()


def test_a_full_disk_does_not_end_the_counting(tmp_path, monkeypatch):
    beats = []
    lock = WriterLock(tmp_path, lambda: beats.append(1))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as at_work:
        at_work.setattr(type(tmp_path), "write_text", full)
        there = len(beats)
        while len(beats) < there + 3:
            lock._done.wait(0.001)
    lock.check()
    lock.release()
    monkeypatch.setattr(type(tmp_path), "write_text", full)
    with pytest.raises(SafescaleError, match=r"cannot be written \(No space left on device\)"):
        WriterLock(tmp_path)
    monkeypatch.undo()
    WriterLock(tmp_path).release()


def test_without_a_lock_of_the_system_at_all_the_count_stands_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_lock, "fcntl", None)
    monkeypatch.setattr(writer_lock, "PATIENCE", 60.0)
    lock = WriterLock(tmp_path)
    with pytest.raises(SafescaleError, match=f"process {os.getpid()} on"):
        WriterLock(tmp_path)
    lock.release()
    WriterLock(tmp_path).release()
