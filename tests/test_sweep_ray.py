"""A sweep on Ray loses a worker, and nothing else: real Ray on this machine, with a stub of a
backend.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("ray")
pytest.importorskip("polars")

from tests.sweeping import answers_of, lines_of, stub_environment, write_sweep

LONG = 400


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A worker is killed in the midst of its first try, a model fails, one needs a GPU that no
    machine has, and one is well."""
    folder = tmp_path_factory.mktemp("swept")
    environment = {
        **os.environ,
        **stub_environment(folder / "plugin"),
        "COLUMNS": "200",
        "CUDA_VISIBLE_DEVICES": "",
    }
    environment = {name: value for name, value in environment.items() if name != "RAY_ADDRESS"}
    environment["SAFESCALE_TEMPERATURE"] = "0.9"
    models = [
        {"model": "mortal", "model_args": {"dies_after": 9}},
        {"model": "broken", "model_args": {"fails": "asking"}},
        {"model": "huge", "gpus": 8},
        {"model": "plain"},
    ]
    file = write_sweep(folder / "sweep.yaml", models)
    command = [
        sys.executable,
        "-m",
        "lm_eval_safescale",
        "sweep",
        str(file),
        "--limit",
        "4",
        "--retries",
        "1",
    ]
    first = subprocess.run(
        [*command, "--executor", "ray"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    return folder, first, command, environment


def test_the_sweep_of_a_killed_worker_is_complete(swept):
    folder, ended, _, _ = swept
    assert len(lines_of(folder / "mortal.deaths")) == 1, ended.stderr
    assert len(lines_of(folder / "mortal.loads")) == 2
    assert (
        answers_of(folder / "out" / "mortal").height
        == answers_of(folder / "out" / "plain").height
        == 4 * 2 * 3
    )
    assert "done, 2 tries" in ended.stdout


def test_ray_puts_no_words_of_its_own_between_ours(swept):
    _, ended, _, _ = swept
    assert "raylet" not in ended.stdout + ended.stderr
    assert "\x1b" not in ended.stdout + ended.stderr


def test_what_failed_is_listed_and_costs_no_other_one(swept):
    folder, ended, _, _ = swept
    shown = " ".join(ended.stderr.split())
    assert ended.returncode == 1
    assert "broken: failed: the model failed: RuntimeError: out of memory" in shown
    assert (
        "huge: failed: it needs 8 GPUs on one machine, and the largest of the cluster has 0"
        in shown
    )
    assert f"log: {folder / 'out' / 'broken' / 'log.txt'}" in shown


def test_each_try_has_a_process_of_its_own(swept):
    folder, _, _, _ = swept
    processes = [
        line.split()[0]
        for name in ("mortal", "broken", "plain")
        for line in lines_of(folder / f"{name}.loads")
    ]
    assert len(processes) == 5
    assert len(set(processes)) == 5


def test_settings_in_the_environment_reach_the_workers(swept):
    folder, _, _, _ = swept
    assert '"temperature": 0.9' in (folder / "out" / "plain" / "run.json").read_text()


def test_the_answers_are_those_of_a_run_on_this_machine_without_ray(swept):
    folder, _, command, environment = swept
    local = subprocess.run(
        [*command, "--only", "mortal", "-o", str(folder / "local")],
        env=environment, capture_output=True, text=True, timeout=LONG, check=False,
    )  # fmt: skip
    assert local.returncode == 0, local.stderr
    assert (
        answers_of(folder / "local" / "mortal")
        .drop("latency_s")
        .equals(answers_of(folder / "out" / "mortal").drop("latency_s"))
    )
