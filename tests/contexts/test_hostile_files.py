"""`safescale contexts show` shows a file of contexts or says what is wrong with it, whatever is in
it.
"""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.datasets import data_folder
from lm_eval_safescale.errors import SafescaleError
from tests.cli.test_table_of_hostile_results import HOSTILE, places
from tests.importing.test_hostile_logs import changed


def first_lines() -> list[dict]:
    """A file of the version without checksums: with them, a change would be found before it is
    looked at."""
    with (data_folder() / "radsafe_demo" / "agentic.jsonl").open(encoding="utf-8") as file:
        lines = [json.loads(next(file)) for _ in range(3)]
    return [{**lines[0], "safescale_contexts": 1, "items": 2}, *lines[1:]]


LINES = first_lines()


def shown(folder, lines, *item):
    path = folder / "it.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return CliRunner().invoke(app, ["contexts", "show", str(path), *item])


def test_the_file_that_is_changed_below_is_a_good_one(tmp_path):
    assert shown(tmp_path, LINES).exit_code == 0
    assert shown(tmp_path, LINES, LINES[1]["question_id"]).exit_code == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.sampled_from(places(LINES)), st.sampled_from(HOSTILE))
def test_a_file_in_which_anything_is_changed_is_shown_or_refused(tmp_path, place, value):
    lines = changed(LINES, place, value)
    for item in ((), (LINES[1]["question_id"],)):
        done = shown(tmp_path, lines, *item)
        assert done.exception is None or isinstance(done.exception, SafescaleError), done.exc_info
