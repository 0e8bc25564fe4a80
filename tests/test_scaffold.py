"""`safescale plugins new` writes a package that can be installed and whose own tests pass; what it
cannot write it leaves alone.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.plugins import KINDS
from lm_eval_safescale.testing.scaffold import STANDS_FOR, templates, write_plugin

TEMPLATES = templates()


def installed(folder: Path) -> str:
    """`PYTHONPATH` under which the package counts as installed: its sources, with the metadata an
    installer would write beside them."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (group, points), *others = project["entry-points"].items()
    assert not others
    info = folder / "src" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n",
        encoding="utf-8",
    )
    lines = "\n".join(f"{name} = {value}" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n", encoding="utf-8")
    return str(folder / "src")


def test_there_is_a_template_for_every_kind_of_part():
    assert {template.kind for template in TEMPLATES.values()} == set(KINDS)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_package_written_passes_its_own_tests(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("SAFESCALE_INDEX_DIR", str(tmp_path / "index"))
    folder = tmp_path / "new" / "package"
    written = write_plugin("first_try", kind, folder)
    assert sorted(written.files) == sorted(path for path in folder.rglob("*") if path.is_file())
    assert "first_try" in written.use or kind == "report-section"
    assert not any(
        mark
        in re.sub(
            r"^@(hookimpl|pytest|dataclass)\b",
            "",
            path.read_text(encoding="utf-8"),
            flags=re.MULTILINE,
        )
        for path in written.files
        for mark in ("@", *STANDS_FOR)
    )
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(folder),
            str(folder / "tests"),
        ],
        env={**os.environ, "PYTHONPATH": installed(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout


def test_the_package_names_what_it_needs(tmp_path):
    write_plugin("first-try", "metric", tmp_path)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["build-system"]["build-backend"] == "hatchling.build"
    assert project["project"]["name"] == "first-try"
    assert project["project"]["entry-points"] == {"lm_eval_safescale": {"first_try": "first_try"}}
    assert project["project"]["optional-dependencies"]["test"] == ["pytest>=8"]


@pytest.mark.parametrize("kind", [kind for kind in TEMPLATES if "--tasks" in TEMPLATES[kind].use])
def test_the_command_names_a_corpus_where_its_task_retrieves(kind, tmp_path):
    use = write_plugin("first_try", kind, tmp_path).use
    assert use in (tmp_path / "README.md").read_text(encoding="utf-8")
    words = shlex.split(use)
    if kind == "family":  # its condition is the question alone
        assert "corpus" not in use
        return
    task, given = (
        words[words.index("--tasks") + 1],
        json.loads(words[words.index("--metadata") + 1]),
    )
    needs_none = {"radsafe_evidence", "radsafe_closed_book", "radsafe_clean", "radsafe_conflict"}
    assert task in needs_none or "corpus" in given


@pytest.mark.parametrize(
    ("kind", "begins"), [("answer-reader", "An answer reader for"), ("metric", "A metric for")]
)
def test_the_readme_says_what_it_is_and_what_to_install_first(kind, begins, tmp_path):
    write_plugin("first_try", kind, tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert f"\n{begins} lm-eval-safescale: " in text
    assert text.index("pip install .`") < text.index("pip install -e '.[test]'")


@pytest.mark.parametrize("name", ["with space", "it's", "plain"])
def test_the_commands_printed_can_be_pasted_into_a_shell(name, tmp_path):
    folder = tmp_path / name
    shown = CliRunner().invoke(
        app, ["plugins", "new", "first_try", "--kind", "metric", "-o", str(folder)]
    )
    (line,) = re.findall(r"^  (pip install .*)$", shown.output, re.MULTILINE)
    assert shlex.split(line) == [
        "pip",
        "install",
        "-e",
        f"{folder}[test]",
        "&&",
        "pytest",
        str(folder),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "a/b",
        "../up",
        "9lives",
        "Ünicode",
        "class",
        "json",
        "lm_eval_safescale",
        "a__b",
        "-x",
    ],
)
def test_a_name_that_no_package_can_have_is_refused(name, tmp_path):
    with pytest.raises(SafescaleError, match="cannot be used"):
        write_plugin(name, "metric", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_name_of_our_own_is_refused(tmp_path):
    with pytest.raises(SafescaleError, match="we have a retriever of this name"):
        write_plugin("bm25", "retriever", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_unknown_kind_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(
        SafescaleError,
        match=(
            "retriever, context-builder, metric, dataset, condition, answer-reader, report-section"
        ),
    ):
        write_plugin("first_try", "retreiver", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    for place in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(SafescaleError, match="not empty"):
            write_plugin("first_try", "metric", place)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "mine"
