"""`safescale import-lm-eval` imports what it can of a log or says what is wrong with it, whatever
is in it.
"""

from __future__ import annotations

import copy
import json
import shutil
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.importing import import_lm_eval
from tests.cli.test_table_of_hostile_results import HOSTILE, places
from tests.importing.test_lm_eval_import import TWO, Logs


def contents(folder) -> dict[str, list[Any]]:
    """A result file, and its samples line by line."""
    shutil.rmtree(folder, ignore_errors=True)
    log = Logs(folder).add(TWO)
    results = log.parent / log.name.replace("samples_radsafe_clean", "results").replace(
        ".jsonl", ".json"
    )
    return {
        str(results): [json.loads(results.read_text())],
        str(log): [json.loads(line) for line in log.read_text().splitlines()],
    }


def changed(value: Any, place: tuple, to: Any) -> Any:
    copied = copy.deepcopy(value)
    holder = copied
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = to
    return copied


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.data())
def test_a_log_in_which_anything_is_changed_is_imported_or_refused(tmp_path, data):
    for path, lines in contents(tmp_path / "out").items():
        place = data.draw(st.sampled_from(places(lines)))
        lines = changed(lines, place, data.draw(st.sampled_from(HOSTILE)))
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write("".join(json.dumps(line) + "\n" for line in lines))
    done = CliRunner().invoke(
        app, ["import-lm-eval", str(tmp_path / "out"), "-o", str(tmp_path / "runs"), "--force"]
    )
    assert done.exception is None or isinstance(done.exception, SafescaleError), done.exc_info


def test_models_in_folders_of_the_same_path_written_in_two_ways_are_one(tmp_path):
    """They cannot be told apart, however much of their paths is looked at."""
    logs = Logs(tmp_path)
    for number, name in enumerate(("/models/m", "/models//m", "/other/m")):
        given = {"model_name": name, "config": {"model_args": {"pretrained": name}}}
        logs.add(TWO, run=f"run{number}", date=f"2026-01-0{number + 1}T00-00-00", content=given)
    runs = import_lm_eval([tmp_path])
    assert sorted(runs.models) == ["models/m", "other/m"]
    assert len(runs.about["left_out"]) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 1}, "Expected `str`, got `int` - at `$.dataset.version`"),
        ({"demo": "no"}, "at `$.dataset.demo`"),
        ({"fingerprint": None}, "at `$.dataset.fingerprint`"),
    ],
)
def test_what_is_wrong_in_a_result_file_is_named_with_its_place(tmp_path, change, said):
    log = Logs(tmp_path).add(TWO)
    results = next(log.parent.glob("results_*.json"))
    content = json.loads(results.read_text())
    content["configs"]["radsafe_clean"]["metadata"]["safescale"]["dataset"] |= change
    results.write_text(json.dumps(content))
    with pytest.raises(SafescaleError) as refused:
        import_lm_eval([tmp_path])
    assert said in str(refused.value)
