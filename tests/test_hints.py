"""What to do next is said in plain words in Python, and as options at a command line, however deep
in an error it stands.
"""

from __future__ import annotations

import pickle

import pytest

from lm_eval_safescale.cli import main
from lm_eval_safescale.command_line import said
from lm_eval_safescale.errors import (
    OTHER_FOLDER,
    ArgumentHint,
    CommandHint,
    SafescaleError,
    SettingsHint,
)
from lm_eval_safescale.harness.task import TaskSetupError

HINTS = {
    "settings": (
        SettingsHint({"corpus_path": "FILE.jsonl", "top_k": 3}),
        'corpus_path = "FILE.jsonl", top_k = 3',
        '--metadata \'{"corpus_path": "FILE.jsonl", "top_k": 3}\'',
    ),
    "a value with a quote": (
        SettingsHint({"name": "it's"}),
        'name = "it\'s"',
        """--metadata '{"name": "it'"'"'s"}'""",
    ),
    "an argument": (ArgumentHint("dataset", "FILE"), "dataset=FILE", "--dataset FILE"),
    "a switch": (ArgumentHint("force"), "force=True", "--force"),
    "the output": (ArgumentHint("output", "FOLDER"), "output=FOLDER", "-o FOLDER"),
    "a command": (
        CommandHint("safescale runs salvage old", {"output": "NEW", "dataset": "a b"}),
        "safescale runs salvage old with output=NEW, dataset=a b",
        "safescale runs salvage old -o NEW --dataset 'a b'",
    ),
    "another folder": (OTHER_FOLDER, "choose another folder", "choose another folder with -o"),
}


@pytest.mark.parametrize(("hint", "plain", "options"), HINTS.values(), ids=HINTS)
def test_a_hint_is_plain_in_python_and_an_option_at_a_command_line(hint, plain, options):
    error = SafescaleError("x: in use; ", hint, " and again")
    assert str(error) == f"x: in use; {plain} and again"
    assert said(error) == f"x: in use; {options} and again"
    assert said(hint) == options


@pytest.mark.parametrize(
    "change",
    [
        lambda error: SafescaleError("outer: ", error),
        lambda error: pickle.loads(pickle.dumps(error)),
    ],
)
def test_a_hint_outlives_that_its_error_becomes_part_of_another_or_goes_to_another_process(change):
    error = change(SafescaleError("no model; ", ArgumentHint("model", "NAME")))
    assert str(error).endswith("no model; model=NAME")
    assert said(error).endswith("no model; --model NAME")


def test_lm_eval_ends_with_the_settings_as_its_own_option():
    error = TaskSetupError(
        SafescaleError("no window; ", SettingsHint({"max_context_tokens": 32768}))
    )
    assert str(error) == "no window; max_context_tokens = 32768"
    assert error.code == "error: no window; --metadata '{\"max_context_tokens\": 32768}'"


def test_the_command_prints_options(tmp_path, monkeypatch, capsys):
    (tmp_path / "each" / "one").mkdir(parents=True)
    (tmp_path / "each" / "one" / "run.json").touch()
    monkeypatch.setattr(
        "sys.argv", ["safescale", "analyze", str(tmp_path / "each"), "-o", str(tmp_path / "tables")]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert f"safescale analyze {tmp_path / 'each'}/* -o TABLES" in capsys.readouterr().err
