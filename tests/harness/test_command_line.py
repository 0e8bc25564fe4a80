"""The stock command line: tasks are found with nothing but an installation, and a missing data set
is said once and clearly.
"""

from __future__ import annotations

import os
import subprocess
import sys


def lm_eval(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SAFESCALE_")
    }
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nonexistent"} | variables
    return subprocess.run(
        [sys.executable, "-m", "lm_eval", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_the_harness_lists_tasks_group_and_tag():
    listed = lm_eval("ls", "tasks").stdout
    for name in ("radsafe_closed_book", "radsafe_clean", "radsafe_conflict", "radsafe_evidence"):
        assert name in listed


def test_no_data_is_one_clear_error_with_two_ways_on():
    done = lm_eval("--model", "dummy", "--tasks", "radsafe_clean", "--limit", "1")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    for way in ("safescale data fetch", "dataset_path", "SAFESCALE_DATASET=demo"):
        assert done.stderr.count(way) == 1


def test_a_misspelt_variable_is_an_error():
    done = lm_eval(
        "--model", "dummy", "--tasks", "radsafe_clean", "--limit", "1", SAFESCALE_DATASETS="demo"
    )
    assert done.returncode != 0
    assert "did you mean dataset?" in done.stderr
