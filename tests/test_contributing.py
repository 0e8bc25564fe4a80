"""What is written for contributors, and what their changes are checked with, is what this project
has.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from lm_eval_safescale.cli import app
from lm_eval_safescale.yaml_text import decode_yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = [
    path
    for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    if path.name != "config.yml"
]


def named(path: Path) -> str:
    return path.name


def load(path: Path) -> Any:
    return decode_yaml(path.read_text(encoding="utf-8"))


def steps(workflow: Any) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


# --- dependencies ---------------------------------------------------------------------------------

MODULE_OF = {
    "pyyaml": "yaml",
    "sentence-transformers": "sentence_transformers",
    "faiss-cpu": "faiss",
}


def test_every_dependency_is_imported():
    extras = PROJECT["optional-dependencies"]
    asked_for = [
        *PROJECT["dependencies"],
        *(each for name in extras.keys() - {"dev"} for each in extras[name]),
    ]
    sources = [
        path.read_text(encoding="utf-8") for path in (ROOT / "lm_eval_safescale").rglob("*.py")
    ]
    for name in {re.match(r"[\w-]+", each)[0] for each in asked_for}:
        module = MODULE_OF.get(name, name)
        imported = re.compile(rf'^\s*(import|from) {module}\b|_import\("{module}"', re.MULTILINE)
        assert any(map(imported.search, sources)), f"nothing imports {name}"


# --- workflows ------------------------------------------------------------------------------------


def test_every_python_that_the_package_names_is_tested_and_no_other():
    named_ones = {
        found[1]
        for found in map(re.compile(r".*:: (3\.\d+)$").match, PROJECT["classifiers"])
        if found
    }
    tested = load(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["test"]["strategy"][
        "matrix"
    ]["python"]
    assert set(tested) == named_ones
    assert PROJECT["requires-python"] == f">={min(named_ones, key=lambda name: int(name[2:]))}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_what_a_workflow_runs_of_ours_is_there_and_can_be_run(path):
    ran = re.findall(
        r"(?:scripts|\.ci)/[\w.-]+", "\n".join(step.get("run", "") for step in steps(load(path)))
    )
    assert ran
    for script in map(ROOT.joinpath, ran):
        assert script.exists(), script
        assert script.suffix == ".py" or os.access(script, os.X_OK), f"{script} cannot be executed"


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_a_workflow_may_only_read_has_an_end_and_uses_actions_of_one_major_version(path):
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values() if "uses" not in job)
    for step in steps(workflow):
        assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v1)", step.get("uses", "actions/none@v1"))
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_only_what_publishes_can_name_itself_to_the_registry_and_nothing_of_it_is_ours():
    jobs = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert {name for name, job in jobs.items() if "permissions" in job} == {"publish"}
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert not any("run" in step for step in jobs["publish"]["steps"])
    assert set(jobs["publish"]["needs"]) == set(jobs) - {"publish"}


def test_no_workflow_uses_a_secret_that_a_person_has_to_keep():
    assert not [path.name for path in WORKFLOWS if "secrets." in path.read_text(encoding="utf-8")]


# --- hooks ----------------------------------------------------------------------------------------


def test_the_hooks_run_what_the_tests_run():
    commands = re.findall(
        r'"\$env/bin/((?:ruff|mypy)[^"&]*?)"?( [^&\n]*?)?(?: \.)?(?: &.*)?\n', script("test.sh")
    )
    (repo,) = load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert {hook["entry"].removeprefix(".cache/env/bin/") for hook in repo["hooks"]} == {
        "".join(each) for each in commands
    }


def test_what_lints_has_one_version():
    pinned = dict(
        re.findall(
            r"^([\w_]+)==(\S+)$",
            (ROOT / "constraints.txt").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
    assert {"ruff", "mypy", "torch", "lm_eval"} <= set(pinned)


def script(name: str) -> str:
    return (ROOT / "scripts" / name).read_text(encoding="utf-8")


# --- forms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FORMS, ids=named)
def test_a_form_can_be_shown(path):
    form = load(path)
    assert {"name", "description", "body"} <= set(form)
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))
    for field in form["body"]:
        assert field["type"] in {"textarea", "input", "dropdown", "checkboxes"}
        assert field["attributes"]["label"]
        assert ("options" in field["attributes"]) == (field["type"] in {"dropdown", "checkboxes"})


def test_a_wrong_number_is_reported_with_all_that_finds_its_cause():
    form = load(ROOT / ".github" / "ISSUE_TEMPLATE" / "wrong_number.yml")
    required = {
        field["id"] for field in form["body"] if field.get("validations", {}).get("required")
    }
    assert {"command", "doctor", "verify"} <= required


PAGES = [*FORMS, ROOT / "SECURITY.md", ROOT / "docs" / "releasing.md", ROOT / "CONTRIBUTING.md"]


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_the_commands_that_a_page_asks_for_are_there(path):
    for words in re.findall(
        r"`safescale ((?:[a-z][a-z-]*)(?: [a-z-]+)*)", path.read_text(encoding="utf-8")
    ):
        command = get_command(app)
        for word in words.split():
            if not hasattr(command, "commands"):
                break
            assert word in command.commands, f"safescale {words}"
            command = command.commands[word]


# --- where is what --------------------------------------------------------------------------------


def test_what_is_said_to_be_in_a_file_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text[text.index("## Where is what") :].split("\n\n")[1].splitlines()[2:]
    assert table
    for row in table:
        places, names = (re.findall(r"`([^`]+)`", cell) for cell in row.strip("|").split("|")[1:])
        found = [ROOT / "lm_eval_safescale" / place for place in places]
        code = [
            file.read_text(encoding="utf-8")
            for path in found
            for file in (path.rglob("*.py") if path.is_dir() else [path])
        ]
        for name in names:
            assert any(
                re.search(rf"^(?:def |class |){name}\b", each, re.MULTILINE) for each in code
            ), f"{name} is not in {places}"


# --- releases -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def check_release() -> Any:
    spec = importlib.util.spec_from_file_location(
        "check_release", ROOT / "scripts" / "check-release.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


COMMITTED = {
    "pyproject.toml": (
        '[project]\nname = "a-b"\nversion = "0.2.0"\n[tool.hatch.build.targets.wheel]\n'
        'packages = ["a_b"]\n'
        '[tool.hatch.build.targets.wheel.force-include]\ndata = "a_b/data"\n'
    ),
    "a_b/__init__.py": '__version__ = "0.2.0"\n',
    "data/x.json": "1",
    "CITATION.cff": "cff-version: 1.2.0\nversion: 0.2.0\n",
    "CHANGELOG.md": "# Changes\n\n## 0.2.0 (2026-12-01)\n\n## 0.1.0\n",
}


@pytest.fixture
def project(tmp_path):
    """A project with version 0.2.0 committed, and its builds in `dist`."""
    root = tmp_path / "project"
    for name, text in COMMITTED.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    (root / "dist").mkdir()
    (root / "dist" / "a_b-0.2.0.tar.gz").touch()
    build(root, "a_b/__init__.py", "a_b/data/x.json")
    return root


def build(root, *names):
    with zipfile.ZipFile(root / "dist" / "a_b-0.2.0-py3-none-any.whl", "w") as wheel:
        for name in (*names, "a_b-0.2.0.dist-info/METADATA"):
            wheel.writestr(name, "")


def test_a_release_of_what_is_committed_is_taken(project, check_release, capsys):
    assert check_release.main(project, project / "dist", "v0.2.0") == 0
    assert "all of version v0.2.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("a_b/__init__.py",), "lacks a_b/data/x.json"),
        (
            ("a_b/__init__.py", "a_b/data/x.json", "a_b/notes.py"),
            "has a_b/notes.py, which is not committed",
        ),
    ],
)
def test_a_wheel_that_is_not_what_is_committed_is_no_release(
    project, check_release, capsys, names, said
):
    build(project, *names)
    assert check_release.main(project, project / "dist") == 1
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "a_b/__init__.py", "CITATION.cff", "CHANGELOG.md"]
)
def test_a_place_with_another_version_is_named(project, check_release, capsys, name):
    (project / name).write_text(COMMITTED[name].replace("0.2.0", "0.1.9"), encoding="utf-8")
    assert check_release.main(project, project / "dist", "v0.2.0") == 1
    said = capsys.readouterr().out
    assert name in said
    assert "0.1.9; expected 0.2.0" in said


def test_a_build_of_before_is_not_published_along(project, check_release, capsys):
    (project / "dist" / "a_b-0.1.0.tar.gz").touch()
    assert check_release.main(project, project / "dist", "v0.2.0") == 1
    assert "expected a_b-0.2.0-py3-none-any.whl, a_b-0.2.0.tar.gz" in capsys.readouterr().out
