"""`safescale run`, killed with -9 again and again: the table is the one of an undisturbed run, and
little is asked twice.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

from lm_eval_safescale.harness import engines
from lm_eval_safescale.runs import open_runs
from tests.running import asking
from tests.running.asking import (
    FAULTS,
    STUB,
    answers_of,
    ask,
    ask_and_die,
    asked_of,
    write_questions,
)

KILLS, BATCH, ITEMS, DRAWS = 20, 3, 12, 5
ANSWERS = 2 * ITEMS * (1 + DRAWS)
UNTIMED = pl.exclude("latency_s", "concurrency")
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([asking.__name__])


@pytest.fixture(autouse=True)
def _seeds_reach_the_stub(monkeypatch):
    monkeypatch.setattr(engines, "sys", asking.seeded)


@pytest.fixture
def given(tmp_path):
    questions = write_questions(tmp_path / "questions.jsonl", ITEMS)
    return {"metadata": {"dataset_path": str(questions), "draws": DRAWS}, "batch_size": BATCH}


def die(at, folder, given):
    """A run that dies at that instant; its exit code."""
    process = processes.Process(target=ask_and_die, args=(at, folder, given))
    process.start()
    process.join()
    return process.exitcode


def instants_of(folder):
    """What an undisturbed run did, in order."""
    return Path(f"{folder}.instants").read_text().split("\n")


def table(folder):
    return open_runs(folder).answers.select(UNTIMED)


def test_a_run_that_is_killed_at_random_instants_makes_the_same_table_and_asks_little_twice(
    given, tmp_path
):
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    assert die(0, whole, given) == 0
    answers = table(whole)
    asked_once = asked_of(whole)
    assert set(asked_once.values()) == {1}
    assert answers.height == asked_once.total() == ANSWERS

    latest = instants_of(whole).index("ask") + 12
    draw, kills, known = random.Random(6), 0, 0
    while known < ANSWERS:
        code = die(draw.randint(1, latest), pieces, given)
        assert code in (0, -signal.SIGKILL)
        kills += code != 0
        assert len(answers_of(pieces)) >= known  # nothing is lost
        known = len(answers_of(pieces))
        assert asked_of(pieces).total() <= known + kills * BATCH
    assert kills >= KILLS
    assert die(0, pieces, given) == 0
    assert table(pieces).equals(answers)
    assert open_runs(pieces).items.equals(open_runs(whole).items)
    asked = asked_of(pieces)
    assert asked.keys() == asked_once.keys()
    assert asked.total() <= asked_once.total() + kills * BATCH
    assert not [
        path.name for path in pieces.iterdir() if path.name.startswith(".") and path.name != ".lock"
    ]


def aimed_at(instants):
    """Instants of writing: the first start in full, an answer before, in and after its writing and
    its sync, and the three tables."""
    first = instants.index("ask")
    compaction = len(instants) - instants[::-1].index("after mkdir")
    return {
        **{f"start {number}": number for number in range(3, first, 4)},
        **{f"answer {instants[first + number]}": first + number + 1 for number in range(1, 6)},
        **{f"tables {number}": number for number in range(compaction, len(instants) + 1, 3)},
    }


def test_a_run_that_is_killed_while_it_writes_goes_on(tmp_path):
    questions = write_questions(tmp_path / "questions.jsonl", 1)
    given = {"metadata": {"dataset_path": str(questions), "draws": 1}, "conditions": ("clean",)}
    whole = tmp_path / "whole"
    assert die(0, whole, given) == 0
    instants, answers = instants_of(whole), table(whole)
    aims = aimed_at(instants)
    assert len(aims) >= 20
    for name, at in aims.items():
        folder = tmp_path / name
        assert die(at, folder, given) == -signal.SIGKILL
        there = len(answers_of(folder)) if (folder / "answers").exists() else 0
        assert there <= asked_of(folder).total() <= there + 1
        report = ask(folder, **given)
        assert (report.standing.known, report.failures) == (there, {}), name
        assert table(folder).equals(answers), name


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def start(given, tmp_path):
    """Starts the command in a process of its own."""

    def start(folder, *options, **faults):
        model = ["--model", STUB, "--batch_size", str(BATCH), "--conditions", "closed_book,clean"]
        command = [
            "run",
            *model,
            "--name",
            "stub",
            "--metadata",
            json.dumps(given["metadata"]),
            "-o",
            str(folder),
            *options,
        ]
        return subprocess.Popen(
            [sys.executable, asking.__file__, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                FAULTS: json.dumps({"log": f"{folder}.log", **faults}),
            },
            text=True,
        )

    return start


def wait_until(process, condition):
    """Until it holds; the process must live."""
    while not condition():
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
            pytest.fail(process.stdout.read())


def test_the_command_goes_on_after_kill_9_and_after_ctrl_c_and_refuses_a_second_runner(
    start, given, tmp_path
):
    folder, whole = tmp_path / "runs", tmp_path / "whole"
    ask(whole, **given)
    first = start(folder, hangs_at=9)
    wait_until(first, lambda: len(answers_of(folder)) >= 8)
    second = start(folder)
    said, _ = second.communicate()
    assert second.returncode == 1
    assert f"process {first.pid} on" in said
    assert "is writing there" in said
    first.kill()
    first.communicate()
    known, asked = len(answers_of(folder)), asked_of(folder).total()
    assert known < asked <= known + BATCH

    third = start(folder, hangs_at=2)
    wait_until(
        third, lambda: len(answers_of(folder)) > known and asked_of(folder).total() > asked + BATCH
    )
    third.send_signal(signal.SIGINT)
    said, _ = third.communicate()
    assert third.returncode == 1
    assert "interrupted; what was answered is stored in" in said.replace("\n", " ")
    assert "Traceback" not in said
    known = len(answers_of(folder))
    assert known < ANSWERS

    assert ask(folder, **given).standing.known == known
    assert table(folder).equals(table(whole))
    assert asked_of(folder).total() <= ANSWERS + 2 * BATCH
