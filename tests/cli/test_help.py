"""What `--help` shows: every command in its place, and an example that works."""

from __future__ import annotations

import shlex

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from lm_eval_safescale.cli import STUDY, app
from lm_eval_safescale.cli.examples import EXAMPLES

run = CliRunner().invoke


def commands(group=None, words=()):
    """Every command that does something, by its words."""
    group = group or get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


COMMANDS = dict(commands())


def test_every_command_stands_in_one_group_in_the_order_of_a_study():
    shown = run(app, ["--help"], env={"COLUMNS": "100"}).output
    named = [(name, shown.index(f"│ {name} ")) for group in STUDY.values() for name in group]
    assert [name for name, _ in sorted(named, key=lambda each: each[1])] == [
        name for name, _ in named
    ]
    assert {name for name, _ in named} == {command.split()[0] for command in COMMANDS}
    assert [shown.index(group) for group in STUDY] == sorted(shown.index(group) for group in STUDY)
    assert "─ Commands ─" not in shown


def test_every_command_has_an_example_and_every_example_a_command():
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_ends_with_an_example_of_it_that_its_parser_takes(command):
    said = (
        run(app, [*command.split(), "--help"], env={"COLUMNS": "200"})
        .output.rstrip()
        .splitlines()[-1]
    )
    assert said.strip() == f"Example: {EXAMPLES[command]}"
    program, *words = shlex.split(EXAMPLES[command])
    assert program == "safescale"
    assert words[: len(command.split())] == command.split()
    COMMANDS[command].make_context(command, words[len(command.split()) :])


def test_the_examples_that_need_no_model_and_no_network_do_what_they_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (
        "plugins list",
        "plugins new",
        "data list",
        "data show",
        "power",
        "contexts build",
        "contexts show",
    ):
        done = run(app, shlex.split(EXAMPLES[command])[1:])
        assert done.exit_code == 0, done.output
    assert "demo-003: " in done.output


def test_plugins_are_listed_with_and_without_the_word():
    assert run(app, ["plugins", "list"]).output == run(app, ["plugins"]).output != ""
