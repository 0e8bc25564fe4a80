"""`safescale sweep` as a person sees it: real processes on this machine, with a stub of a
backend.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("polars")

from tests.sweeping import answers_of, lines_of, stub_environment, write_sweep

LONG = 240
"""Seconds after which something hangs."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return {
        **os.environ,
        **stub_environment(tmp_path_factory.mktemp("plugin")),
        "CUDA_VISIBLE_DEVICES": "3,5",
        "COLUMNS": "200",
    }


def command(file, *options):
    return [sys.executable, "-m", "lm_eval_safescale", "sweep", str(file), "--limit", "4", *options]


def sweep(environment, file, *options):
    return subprocess.run(
        command(file, *options),
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


def asked_twice(folder: Path) -> list:
    """(condition, item, draw) that more than one line of the journal answers."""
    lines = [
        json.loads(line)
        for path in folder.glob("answers/*.jsonl")
        for line in path.read_text().splitlines()
    ]
    found = Counter(
        (line["condition"], line["question_id"], d["draw"])
        for line in lines
        for d in line.get("draws", [])
    )
    return [key for key, count in found.items() if count > 1]


@pytest.fixture(scope="module")
def swept(environment, tmp_path_factory):
    """A sweep in which one model fails, one dies on its first try, and one needs more GPUs than
    there are."""
    folder = tmp_path_factory.mktemp("swept")
    models = [
        {"model": "plain", "gpus": 1},
        {"model": "broken", "model_args": {"fails": "loading"}},
        {"model": "mortal", "gpus": 1, "model_args": {"dies_after": 9}},
        {"model": "huge", "gpus": 3},
        {"model": "weights/of/none", "name": "gone"},
    ]
    file = write_sweep(folder / "sweep.yaml", models)
    return folder, file, sweep(environment, file, "--jobs", "2", "--retries", "1")


def test_a_model_that_fails_costs_no_other_one(swept):
    folder, _, ended = swept
    assert ended.returncode == 1
    assert (
        answers_of(folder / "out" / "plain").height
        == answers_of(folder / "out" / "mortal").height
        == 4 * 2 * 3
    )
    assert "Traceback" not in ended.stderr


def test_each_failure_is_listed_with_its_reason_and_its_log(swept):
    folder, _, ended = swept
    shown = " ".join(ended.stderr.split())
    assert (
        "broken: failed: --model sweep-stub cannot be loaded: RuntimeError: CUDA error: no such "
        "luck"
    ) in shown
    assert f"log: {folder / 'out' / 'broken' / 'log.txt'}" in shown
    assert "huge: failed: it needs 3 GPUs, and this machine has 2 to use" in shown
    assert "plain: failed" not in shown
    assert "no such luck" in (folder / "out" / "broken" / "log.txt").read_text()


def test_a_failed_model_is_tried_as_often_as_told_and_one_that_cannot_be_run_not_at_all(swept):
    folder, _, _ = swept
    assert len(lines_of(folder / "broken.loads")) == 2
    assert lines_of(folder / "huge.loads") == []


def test_a_folder_that_is_not_there_is_said_at_once_and_not_tried_again(swept):
    _, _, ended = swept
    assert "model weights/of/none: no such folder" in ended.stderr.partition("of 4 models done")[0]
    assert "gone: failed: model weights/of/none: no such folder; expected" in " ".join(
        ended.stderr.split()
    )
    (row,) = [line for line in ended.stdout.splitlines() if "gone" in line]
    assert row.replace("│", " ").split()[-1] == "failed"  # and no number of tries


def test_the_next_step_names_the_answers_of_all_models(swept):
    folder, _, ended = swept
    assert ended.stdout.splitlines()[-1] == f"Next: safescale analyze {folder / 'out'}/* -o TABLES"


def test_a_killed_process_is_tried_again_and_nothing_is_lost_or_asked_twice(swept):
    folder, _, ended = swept
    assert len(lines_of(folder / "mortal.deaths")) == 1
    assert "done, 2 tries" in ended.stdout
    assert asked_twice(folder / "out" / "mortal") == []


def test_a_model_is_loaded_once_for_all_its_conditions(swept):
    folder, _, _ = swept
    assert len(lines_of(folder / "plain.loads")) == 1
    assert set(answers_of(folder / "out" / "plain")["condition"]) == {"closed_book", "clean"}


def test_each_model_sees_gpus_of_its_own(swept):
    folder, _, _ = swept
    (plain,), mortal = lines_of(folder / "plain.loads"), lines_of(folder / "mortal.loads")
    assert {line.split()[1] for line in (plain, *mortal)} <= {"3", "5"}


def test_the_same_command_loads_no_model_that_has_answered_everything(swept, environment):
    folder, file, _ = swept
    before = answers_of(folder / "out" / "mortal")
    again = sweep(environment, file, "--only", "plain,mortal")
    assert again.returncode == 0, again.stderr
    assert len(lines_of(folder / "plain.loads")) == 1
    assert len(lines_of(folder / "mortal.loads")) == 2
    assert answers_of(folder / "out" / "mortal").equals(before)


def test_an_interrupted_try_gives_the_answers_of_an_uninterrupted_one(swept, environment):
    folder, file, _ = swept
    whole = sweep(environment, file, "--only", "mortal", "-o", str(folder / "other"))
    assert whole.returncode == 0, whole.stderr
    assert (
        answers_of(folder / "other" / "mortal")
        .drop("latency_s")
        .equals(answers_of(folder / "out" / "mortal").drop("latency_s"))
    )


def test_more_draws_are_refused_where_answers_were_asked_for_otherwise(swept, environment):
    folder, _, _ = swept
    file = write_sweep(
        folder / "more.yaml",
        [{"model": "plain", "gpus": 1}],
        metadata={"dataset": "demo", "draws": 3},
    )
    refused = sweep(environment, file)
    assert refused.returncode == 1
    assert "settings.draws: there 2, now 3" in refused.stderr
    assert "tries" not in refused.stdout


class Halted:
    """A sweep whose model stands still after some answers: its own process, and the model's."""

    def __init__(self, folder: Path, environment: dict) -> None:
        self.folder, self.environment = folder, environment
        self.pipe = folder / "slow.pipe"
        os.mkfifo(self.pipe)
        self.file = write_sweep(
            folder / "sweep.yaml", [{"model": "slow", "model_args": {"waits": 9}}]
        )
        self.process = subprocess.Popen(
            command(self.file),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        reading = os.open(self.pipe, os.O_RDWR | os.O_NONBLOCK)
        assert select.select([reading], [], [], LONG)[0], "the model never stood still"
        self.model = os.pidfd_open(int(os.read(reading, 99)))
        os.close(reading)

    def model_has_ended(self) -> bool:
        return bool(select.select([self.model], [], [], 60)[0])

    def go_on(self) -> subprocess.CompletedProcess:
        self.pipe.unlink()
        return sweep(self.environment, self.file)


@pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="no way to wait for another's process here"
)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=lambda how: how.name)
def test_a_stopped_sweep_leaves_no_process_behind_and_goes_on_where_it_was(
    how, environment, tmp_path
):
    halted = Halted(tmp_path, environment)
    halted.process.send_signal(how)
    _, said = halted.process.communicate(timeout=LONG)
    assert halted.model_has_ended()
    if how == signal.SIGINT:
        assert halted.process.returncode == 1
        assert "interrupted" in said
        assert "the same command goes on from there" in " ".join(said.split())
    ended = halted.go_on()
    assert ended.returncode == 0, ended.stderr
    assert answers_of(tmp_path / "out" / "slow").height == 4 * 2 * 3
    assert asked_twice(tmp_path / "out" / "slow") == []
    assert len(lines_of(tmp_path / "slow.loads")) == 2


def test_a_dry_run_loads_nothing_and_writes_nothing(environment, tmp_path):
    file = write_sweep(tmp_path / "sweep.yaml", [{"model": "plain"}])
    planned = sweep(environment, file, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    cells = (
        next(line for line in planned.stdout.splitlines() if "plain" in line)
        .replace("│", " ")
        .split()
    )
    assert cells[:4] == ["plain", "0", "16", "24"]  # GPUs, requests, answers
    assert lines_of(tmp_path / "plain.loads") == []
    assert not (tmp_path / "out").exists()


def test_a_condition_that_cannot_be_asked_is_said_by_the_dry_run(environment, tmp_path):
    file = write_sweep(
        tmp_path / "sweep.yaml", [{"model": "plain"}], conditions=["closed_book", "rag"]
    )
    planned = sweep(environment, file, "--dry-run")
    assert planned.returncode == 1
    assert "cannot be asked: rag:" in planned.stderr


def test_an_error_in_the_file_is_said_without_a_traceback(environment, tmp_path):
    file = write_sweep(tmp_path / "sweep.yaml", [{"model": "plain", "gpu": 1}])
    refused = sweep(environment, file)
    assert refused.returncode == 1
    assert "models, number 1 (plain): gpu: no such field" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("backend", "condition", "said"),
    [
        ("hf", "noharm", "safescale judge out/MODEL"),
        ("choose-nothing", "noharm", "safescale analyze out/* -o TABLES"),
        ("hf", "closed_book", "safescale analyze out/* -o TABLES"),
    ],
)
def test_the_next_step_for_answers_that_a_judge_must_read_is_the_judge(
    backend, condition, said, capsys
):
    from lm_eval_safescale.cli.sweep import _print_results
    from lm_eval_safescale.sweep import SweepProgress
    from lm_eval_safescale.sweep.jobs import Job

    job = Job(name="m", folder="out/m", backend=backend, model_args={}, conditions=[condition])
    _print_results([SweepProgress(job, "done")], Path("out"))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "Next" in line]
    assert said in line
